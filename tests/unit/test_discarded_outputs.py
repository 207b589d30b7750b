"""What the engine tells after outputs were held and discarded: the difference to what the world really knows."""

from __future__ import annotations

import msgspec

from streams.core.events import DAY_MS
from streams.core.policy import Policy
from streams.core.ports import Output, Step
from tests.support.partition_runs import POLICY, PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.worlds import START, click, purchase, refund

USERS = [f"u{number}" for number in range(6)]


def wrong() -> Policy:
    """A policy that finds everybody at risk after nine days."""
    stages = msgspec.structs.replace(POLICY.stages, at_risk_gaps=0.1)
    return msgspec.structs.replace(POLICY, version="wrong", stages=stages)


def discard(run: PartitionRun, outputs: list[Output]) -> Step:
    """Drop outputs that were held, as the gate does: the newest is taken back first."""
    for output in outputs:
        run.outputs.remove(output)
    changes = [output for output in outputs if output.topic == "segment-changes"]
    undone = [(output.user_id, output.body["dimension"], output.body["previous"]) for output in reversed(changes)]
    return run.take(run.engine.untell(undone))


def customers() -> PartitionRun:
    """Customers who bought nine days ago."""
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START + number, user) for number, user in enumerate(USERS)])
    run.advance(START + 9 * DAY_MS)
    return run


def under_a_wrong_policy() -> tuple[PartitionRun, list[Output]]:
    run = customers()
    told = len(run.outputs)
    run.restart(wrong())
    step = run.advance(START + 9 * DAY_MS + 1)
    assert [seen.change for seen in step.seen] == [("new_customer", "at_risk")] * len(USERS)
    return run, run.outputs[told:]


def test_a_wrong_policy_discarded_and_mended_tells_nothing() -> None:
    run, held = under_a_wrong_policy()
    discard(run, held)
    told = list(run.outputs)
    run.restart(POLICY)
    step = run.advance(START + 9 * DAY_MS + 2)
    assert run.outputs == told
    assert [seen.change for seen in step.seen] == [None] * len(USERS)


def test_what_was_discarded_and_not_mended_is_told_from_where_the_world_stands() -> None:
    run, held = under_a_wrong_policy()
    discard(run, held)
    run.feed([click(START + 9 * DAY_MS + 2, "u0")])
    last = run.told(dimension="lifecycle")[-1].body
    assert (last["user_id"], last["previous"], last["current"]) == ("u0", "new_customer", "at_risk")


def test_a_false_order_discarded_and_taken_back_tells_nothing() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([click(START, "u0", action="cart")])
    told = len(run.outputs)
    run.feed([purchase(START + 1, "u0", order="false")])
    discard(run, run.outputs[told:])
    known = run.last_told()
    run.feed([refund(START + 2, "u0", of="false")])
    assert run.last_told() == known


def test_several_held_changes_of_a_user_are_taken_back_to_before_the_first() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([click(START, "u0")])
    told = len(run.outputs)
    run.feed([purchase(START + number, "u0") for number in (1, 2)])
    discard(run, run.outputs[told:])
    run.feed([click(START + 3, "u0")])
    last = run.told(dimension="lifecycle")[-1].body
    assert (last["previous"], last["current"]) == ("visitor", "growing")


def test_taking_back_changes_nothing_that_is_settled() -> None:
    run, held = under_a_wrong_policy()
    before = {user: run.engine.settled(user) for user in USERS}
    step = discard(run, held)
    assert {user: run.engine.settled(user) for user in USERS} == before
    assert list(step.changed) == USERS[::-1]


def test_what_is_taken_back_is_stored() -> None:
    run, held = under_a_wrong_policy()
    discard(run, held)
    run.restart(wrong())
    run.feed([click(START + 9 * DAY_MS + 2, "u0")])
    assert run.told(dimension="lifecycle")[-1].body["previous"] == "new_customer"


def test_nobody_is_taken_back_who_is_not_known() -> None:
    assert not customers().engine.untell([("nobody", "lifecycle", "visitor")]).changed
