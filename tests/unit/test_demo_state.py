"""The demo's reducer: the newest word on each user, nothing counted twice."""

from __future__ import annotations

import pytest

from models.scorecard import Scorecard
from streams.demo.state import CHANGE_EVERY_S, DemoState
from streams.demo.view import Progress
from tests.support.demo_messages import change, cut, late, letter, portrait, received, risk


def test_users_are_counted_in_the_stage_told_last() -> None:
    state = DemoState()
    state.apply([change("ann", "visitor"), change("ben", "visitor"), change("ann", "new_customer")])
    assert state.stages() == (("visitor", 1), ("new_customer", 1))


def test_the_highest_seq_wins_whatever_comes_last() -> None:
    state = DemoState()
    state.apply([change("ann", "loyal", seq=1_000_002), change("ann", "growing", seq=1_000_001)])
    assert state.stages() == (("loyal", 1),)


def test_another_dimension_does_not_move_the_stage() -> None:
    state = DemoState()
    state.apply([change("ann", "growing"), change("ann", "gold", dimension="value_tier")])
    assert state.stages() == (("growing", 1),)
    assert state.customers["ann"].tier == "gold"


def test_a_repeat_counts_once() -> None:
    state = DemoState()
    again = risk("ann", 0.5)
    state.apply([again, again])
    state.apply([again])
    assert state.outputs["churn-risk"] == 1


def test_a_tombstone_forgets_the_user() -> None:
    state = DemoState()
    state.apply([change("ann", "visitor"), portrait("ann", clicks=3), received("user-profiles", None, key="ann")])
    assert state.stages() == ()
    assert state.totals == {}


def test_the_newest_portrait_holds_the_totals() -> None:
    state = DemoState()
    state.apply([portrait("ann", clicks=3), portrait("ann", clicks=5)])
    assert state.totals == {"ann": {"clicks": 5}}


def test_dead_letters_are_counted_by_reason_and_once_per_place() -> None:
    state = DemoState()
    state.apply([letter("not_json", 1), letter("missing_user", 2), letter("not_json", 3), letter("not_json", 3)])
    assert state.dead_letters == {"not_json": 2, "missing_user": 1}


def test_late_events_are_counted() -> None:
    state = DemoState()
    state.apply([late("ann"), late("ann")])
    assert state.late == 2


def test_the_riskiest_come_first() -> None:
    state = DemoState()
    state.apply([change(user, "loyal") for user in ("ann", "ben", "cat")])
    state.apply([risk("ann", 0.2), risk("ben", 0.9), risk("cat", 0.4)])
    assert [customer.user_id for customer in state.riskiest(2)] == ["ben", "cat"]


@pytest.mark.parametrize("stage", ["churned", "dormant"])
def test_who_is_past_the_limit_is_not_ranked(stage: str) -> None:
    state = DemoState()
    state.apply([change("ann", "loyal"), risk("ann", 0.9), change("ann", stage)])
    assert state.riskiest(5) == ()


def test_who_ordered_once_is_not_ranked() -> None:
    state = DemoState()
    state.apply([change("ann", "new_customer", evidence={"orders": 1}), risk("ann", 0.9)])
    assert state.riskiest(5) == ()


def test_two_orders_in_the_evidence_are_enough_to_be_ranked() -> None:
    state = DemoState()
    state.apply([change("ann", "at_risk", evidence={"orders": 2}), risk("ann", 0.9)])
    assert [customer.user_id for customer in state.riskiest(5)] == ["ann"]


def test_without_a_model_the_most_silent_come_first() -> None:
    state = DemoState()
    state.apply([change(user, "growing") for user in ("ann", "ben")])
    state.apply([risk("ann", None, rank_score=0.5), risk("ben", None, rank_score=2.5)])
    assert [customer.user_id for customer in state.riskiest(5)] == ["ben", "ann"]


def test_a_probability_goes_before_any_silence() -> None:
    state = DemoState()
    state.apply([change(user, "growing") for user in ("ann", "ben")])
    state.apply([risk("ann", 0.01), risk("ben", None, rank_score=9.0)])
    assert [customer.user_id for customer in state.riskiest(5)] == ["ann", "ben"]


def test_the_reasons_are_those_of_the_newest_risk() -> None:
    state = DemoState()
    old, new = [{"text": "old"}], [{"text": "new"}, {"text": "newer"}]
    state.apply([change("ann", "loyal"), risk("ann", 0.5, reasons=old), risk("ann", 0.6, reasons=new)])
    assert state.riskiest(1)[0].reasons == ("new", "newer")


def card() -> Scorecard:
    scorecard = Scorecard()
    for probability, churned in ((0.1, False), (0.4, False), (0.35, True), (0.8, True)):
        scorecard.observe(0, 1, probability, churned, "loyal", "gold")
    return scorecard


def a_cut(version: str, learned: int) -> dict[str, object]:
    return {
        "type": "cut",
        "version": version,
        "heads": {"churn": {"examples": learned, "cold_start": False, "scorecard": card().state()}},
    }


def test_the_model_is_that_of_the_newest_cut() -> None:
    state = DemoState()
    state.apply([cut(a_cut("one", 10)), cut(a_cut("two", 20)), cut({"type": "same", "day": 3, "version": "two"})])
    model = state.model()
    assert (model.version, model.learned, model.scored, model.auc, model.base_rate) == ("two", 20, 4, 0.75, 0.5)


def test_without_a_cut_the_model_is_cold() -> None:
    assert DemoState().model().cold


def test_history_is_kept_only_for_a_verdict() -> None:
    records = [change("ann", "loyal", day=2), risk("ann", 0.5, day=3), risk("ann", None, day=4)]
    keeping, not_keeping = DemoState(keep_history=True), DemoState()
    keeping.apply(records)
    not_keeping.apply(records)
    assert [(told.stage, told.probability) for told in keeping.history] == [("loyal", None), (None, 0.5)]
    assert not_keeping.history == []


def test_the_rate_is_over_the_last_seconds() -> None:
    state = DemoState()
    for second, read in ((0, 0), (1, 0), (2, 0), (3, 3_000), (4, 6_000), (5, 9_000)):
        state.advance(Progress(read=read), float(second))
    assert state.view(5.0).per_second == 3_000


def test_what_is_published_is_not_forgotten_while_the_worker_knows_less() -> None:
    state = DemoState()
    state.advance(Progress(published=500), 0.0)
    state.advance(Progress(published=0, read=0), 1.0)
    assert state.progress.published == 500


def test_a_change_stands_long_enough_to_be_read() -> None:
    state = DemoState()
    state.apply([change("ann", "loyal"), change("ben", "loyal")])
    assert [each.user_id for each in state.view(0.0).changes] == ["ben"]
    state.apply([change("cat", "churned")])
    assert [each.user_id for each in state.view(CHANGE_EVERY_S / 2).changes] == ["ben"]
    assert [each.user_id for each in state.view(CHANGE_EVERY_S).changes] == ["cat", "ben"]


def test_the_last_telling_changes_come_newest_first() -> None:
    state = DemoState()
    state.apply([change("ann", "loyal", day=1), change("ben", "visitor", day=2), change("cat", "churned", day=3)])
    assert [each.user_id for each in state.last_changes(5)] == ["cat", "ann"]


def test_the_cause_is_the_input_of_the_event() -> None:
    state = DemoState()
    cause = {"kind": "event", "event_id": "e", "topic": "purchases", "partition": 0, "offset": 0}
    state.apply([change("ann", "loyal", cause=cause)])
    assert state.last_changes(1)[0].cause == "purchases"
