"""What the engine tells: bodies, ids, seq, causes, and the net differences of a new policy."""

from __future__ import annotations

import msgspec
import pytest

from streams.core.events import DAY_MS, HOUR_MS
from streams.core.features import NAMES
from streams.core.hashing import output_id
from streams.core.messages import BODIES, example_body
from streams.core.policy import Policy
from streams.core.ports import Output
from tests.support.oracle import hash_of
from tests.support.partition_runs import POLICY, PartitionRun
from tests.support.scorers import DailyCuts, FixedScorer
from tests.support.worlds import START, click, purchase, refund, search


def busy_run() -> PartitionRun:
    """A shop with everything in it: cold start, scores, silence, disorder, late events, somebody forgotten."""
    run = PartitionRun(DailyCuts(warm_from=START + 20 * DAY_MS))
    run.feed(
        [
            click(START, "old", action="cart", category="tea"),
            purchase(START + 1, "ada", order="o", category="tea"),
            search(START + DAY_MS, "ada", category="茶"),
            purchase(START + 30 * DAY_MS, "ada", price=700.0),
            purchase(START + 30 * DAY_MS - 1, "ada"),
            refund(START + 31 * DAY_MS, "ada", of="o"),
            click(START + 2 * DAY_MS, "ada"),
            purchase(START + 32 * DAY_MS, "bob", price=None),
        ]
    )
    run.advance(START + 200 * DAY_MS, watermark=START + 200 * DAY_MS)
    return run


@pytest.fixture(scope="module")
def busy() -> PartitionRun:
    return busy_run()


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["segment-changes", "churn-risk", "late-events"])
def test_every_body_is_what_its_type_says(busy: PartitionRun, topic: str) -> None:
    told = busy.told(topic)
    assert told
    for output in told:
        msgspec.convert(output.body, BODIES[topic])


def test_every_portrait_is_what_its_type_says(busy: PartitionRun) -> None:
    for user in busy.store:
        portrait = busy.engine.portrait(user)
        assert portrait is not None
        msgspec.convert(portrait.body, BODIES["user-profiles"])


def test_every_example_is_what_its_type_says(busy: PartitionRun) -> None:
    assert busy.examples
    for example in busy.examples:
        msgspec.convert(example_body(example, 0, "schema"), BODIES["training-examples"])


def test_every_dimension_was_told(busy: PartitionRun) -> None:
    assert {output.body["dimension"] for output in busy.told()} == {"lifecycle", "value_tier", "risk_band"}


def test_previous_is_what_was_told_before(busy: PartitionRun) -> None:
    last: dict[tuple[str, str], object] = {}
    for output in busy.told():
        key = output.user_id, output.body["dimension"]
        assert output.body["previous"] == last.get(key)
        last[key] = output.body["current"]


def test_seq_counts_up_per_user(busy: PartitionRun) -> None:
    for user in busy.store:
        numbers = [output.body["seq"] for output in busy.outputs if output.user_id == user]
        assert numbers == sorted(set(numbers))


def test_the_portrait_of_a_step_has_a_seq_of_its_own(busy: PartitionRun) -> None:
    portrait = busy.engine.portrait("bob")
    assert portrait is not None
    assert portrait.body["seq"] >= max(output.body["seq"] for output in busy.outputs if output.user_id == "bob")


def test_ids_are_told_once(busy: PartitionRun) -> None:
    ids = [output.id for output in busy.outputs]
    assert len(set(ids)) == len(ids)


def test_the_id_is_in_the_body(busy: PartitionRun) -> None:
    assert all(output.body["id"] == output.id for output in busy.outputs)


def test_the_same_log_repeats_the_same_ids() -> None:
    def told(output: Output) -> tuple[str, str]:
        return output.topic, output.id

    run, again = PartitionRun(), PartitionRun()
    events = [purchase(START, event_id="a"), purchase(START + 40 * DAY_MS, event_id="b")]
    for one in (run, again):
        one.feed(events)
        one.close(START + 300 * DAY_MS)
    assert [told(output) for output in run.outputs] == [told(output) for output in again.outputs]


def test_the_id_of_a_change_is_a_function_of_user_dimension_cause_and_both_values() -> None:
    run = PartitionRun()
    run.feed([click(START, event_id="e1")])
    assert run.outputs[0].id == output_id("u", "lifecycle", "e1", "None", "visitor", "")


def test_an_event_is_named_as_the_cause() -> None:
    run = PartitionRun()
    run.feed([purchase(START, event_id="e1", offset=17)])
    assert run.told(dimension="lifecycle")[0].body["cause"] == {
        "kind": "event",
        "event_id": "e1",
        "topic": "purchases",
        "partition": 0,
        "offset": 17,
    }


def test_a_deadline_is_named_as_the_cause() -> None:
    run = PartitionRun()
    run.feed([purchase(START)])
    run.advance(START + 60 * DAY_MS)
    change = run.told(dimension="lifecycle")[-1].body
    assert change["cause"] == {"kind": "silence", "deadline": change["as_of"]}


def test_evidence_holds_the_figures_the_rule_looked_at() -> None:
    run = PartitionRun()
    run.feed([purchase(START)])
    run.advance(START + 60 * DAY_MS)
    evidence = run.told(dimension="lifecycle")[-1].body["evidence"]
    assert evidence["days_since_last_order"] == 60.0
    assert evidence["usual_gap_days"] == 30.0


def test_the_portrait_shows_the_windows_of_its_instant() -> None:
    run = PartitionRun()
    run.feed([click(START), purchase(START + 8 * DAY_MS, price=2.5, quantity=2)])
    portrait = run.engine.portrait("u")
    assert portrait is not None
    windows = portrait.body["windows"]
    assert windows["7d"] == {"clicks": 0, "searches": 0, "orders": 1, "amount": 5.0}
    assert windows["30d"] == {"clicks": 1, "searches": 0, "orders": 1, "amount": 5.0}


# -- scores ------------------------------------------------------------------------------------------------------------


def test_the_first_purchase_is_scored_at_once() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START)])
    body = run.told("churn-risk")[0].body
    assert (body["probability"], body["scheduled"], body["band"]) == (0.4, False, "medium")


def test_a_purchase_that_moves_the_probability_by_a_twentieth_is_told() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START)])
    run.scorer = FixedScorer(0.35)
    run.feed([purchase(START + 1)])
    assert len(run.told("churn-risk")) == 2


def test_a_purchase_that_hardly_moves_the_probability_is_not_told() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START)])
    run.scorer = FixedScorer(0.36)
    run.feed([purchase(START + 1)])
    assert len(run.told("churn-risk")) == 1


def test_a_cold_start_ranks_without_probability_or_band() -> None:
    run = PartitionRun(FixedScorer(None))
    run.feed([purchase(START)])
    run.advance(START + 8 * DAY_MS)
    for output in run.told("churn-risk"):
        assert (output.body["probability"], output.body["band"], output.body["cold_start"]) == (None, None, True)
        assert output.body["rank_score"] >= 0


def test_the_rank_of_a_cold_start_is_silence_against_the_usual_gap() -> None:
    run = PartitionRun(FixedScorer(None))
    run.feed([purchase(START)])
    run.advance(START + 8 * DAY_MS)
    scheduled = run.told("churn-risk")[-1]
    assert scheduled.body["rank_score"] == pytest.approx((scheduled.as_of_ms - START) / DAY_MS / 31, abs=1e-6)


def test_a_rank_after_disorder_does_not_look_past_its_instant() -> None:
    slot = next(hour for hour in range(START // HOUR_MS, 10**9) if hour % 168 == hash_of("u") % 168) * HOUR_MS
    run = PartitionRun(FixedScorer(None))
    run.feed([purchase(slot + 60_000), purchase(slot - 60_000)])
    scheduled = next(output for output in run.told("churn-risk") if output.body["scheduled"])
    assert scheduled.as_of_ms == slot
    assert scheduled.body["rank_score"] >= 0


def test_one_scheduled_score_in_four_keeps_its_features() -> None:
    run = PartitionRun()
    run.feed([purchase(START, f"u{number}") for number in range(200)])
    run.close(START + 60 * DAY_MS)
    kept = sum(example.features is not None for example in run.examples)
    assert 0.2 < kept / len(run.examples) < 0.3


def test_kept_features_are_one_float_each() -> None:
    run = PartitionRun()
    run.feed([purchase(START)])
    run.close(START + 100 * DAY_MS)
    assert {len(example.features) for example in run.examples if example.features} == {4 * len(NAMES)}


def test_a_label_says_what_was_served() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START)])
    run.close(START + 10 * DAY_MS)
    run.scorer = FixedScorer(0.9, version="later")
    run.close(START + 38 * DAY_MS)
    assert {(example.probability, example.model_version) for example in run.examples} == {(0.4, "fixed")}


def test_asking_for_a_score_leaves_no_trace() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START)])
    before = run.engine.encoded("u")
    assert len(run.engine.score_now("u", START + DAY_MS, FixedScorer(0.9))) == 1
    assert run.engine.encoded("u") == before


def test_who_never_bought_cannot_be_asked_for() -> None:
    run = PartitionRun()
    run.feed([click(START)])
    assert run.engine.score_now("u", START, FixedScorer(0.9)) == []


# -- a new policy ------------------------------------------------------------------------------------------------------


def stricter() -> Policy:
    """At risk after 1 gap, gold from 7 points, high from 0.35."""
    return msgspec.structs.replace(
        POLICY,
        version="strict",
        stages=msgspec.structs.replace(POLICY.stages, at_risk_gaps=1.0),
        value_tiers=msgspec.structs.replace(POLICY.value_tiers, silver=5, gold=6),
        risk_bands=msgspec.structs.replace(POLICY.risk_bands, high=0.35),
    )


def changed_run(days: int) -> tuple[PartitionRun, list[Output]]:
    """A customer silent for some days, then a restart under the stricter policy; and what that told."""
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START)])
    run.advance(START + days * DAY_MS)
    told = len(run.outputs)
    run.restart(stricter())
    run.advance(START + days * DAY_MS + 1)
    return run, run.outputs[told:]


def test_a_new_policy_tells_only_what_is_different_now() -> None:
    _, told = changed_run(40)
    changes = [(o.body["dimension"], o.body["previous"], o.body["current"]) for o in told]
    assert changes == [
        ("lifecycle", "new_customer", "at_risk"),
        ("value_tier", "bronze", "gold"),
        ("risk_band", "medium", "high"),
    ]


def test_what_a_new_policy_tells_is_marked() -> None:
    _, told = changed_run(40)
    assert {(o.body["cause"]["kind"], o.body["policy_version"]) for o in told} == {("policy", "strict")}


def test_a_new_policy_that_changes_nothing_tells_nothing() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START)])
    told = len(run.outputs)
    run.restart(msgspec.structs.replace(POLICY, version="same"))
    run.advance(START + 1)
    assert len(run.outputs) == told


def test_a_new_policy_is_told_once() -> None:
    run, _ = changed_run(40)
    told = len(run.outputs)
    run.restart()
    run.advance(START + 40 * DAY_MS + 2)
    assert len(run.outputs) == told


def test_a_new_policy_is_told_before_the_next_event_of_the_user() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed([purchase(START)])
    run.advance(START + 40 * DAY_MS)
    run.restart(stricter())
    run.feed([purchase(START + 39 * DAY_MS)])
    told = [output.body for output in run.told(dimension="lifecycle")][1:]
    assert [(body["current"], body["cause"]["kind"]) for body in told] == [("at_risk", "policy"), ("growing", "event")]


def test_a_new_policy_keeps_the_users_per_stage_right() -> None:
    run, _ = changed_run(40)
    assert +run.engine.stages == {"at_risk": 1}
