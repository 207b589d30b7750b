"""W, lateness, deadlines and the ends of a profile."""

from __future__ import annotations

import pytest

from streams.core.engine import GRACE_MS
from streams.core.events import DAY_MS, HOUR_MS, MINUTE_MS, Event
from streams.core.profile import MAX_OPEN
from tests.support.oracle import hash_of
from tests.support.partition_runs import PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.worlds import START, click, purchase, refund, search


def fed(*events: Event) -> PartitionRun:
    run = PartitionRun()
    run.feed(events)
    return run


def slots(user: str, since: int, through: int) -> list[int]:
    """The user's scheduled instants."""
    hours = range(-(-since // HOUR_MS), through // HOUR_MS + 1)
    return [hour * HOUR_MS for hour in hours if hour % 168 == hash_of(user) % 168]


def scored(run: PartitionRun) -> list[int]:
    return [output.as_of_ms for output in run.told("churn-risk") if output.body["scheduled"]]


# -- W -----------------------------------------------------------------------------------------------------------------


def test_w_is_unknown_before_the_first_event() -> None:
    assert PartitionRun().engine.watermark == -1


def test_w_stays_the_grace_behind_the_newest_event() -> None:
    assert fed(click(START)).engine.watermark == START - GRACE_MS


def test_w_never_goes_back() -> None:
    assert fed(click(START), click(START - HOUR_MS)).engine.watermark == START - GRACE_MS


def test_w_stays_the_grace_behind_what_waits_in_an_undrained_input() -> None:
    run = PartitionRun()
    run.take(run.engine.process([click(START)], run.scorer, head_bound=START - HOUR_MS))
    assert run.engine.watermark == START - HOUR_MS - GRACE_MS


def test_what_waits_behind_the_newest_event_does_not_push_w() -> None:
    run = PartitionRun()
    run.take(run.engine.process([click(START)], run.scorer, head_bound=START + HOUR_MS))
    assert run.engine.watermark == START - GRACE_MS


def test_an_event_at_w_is_not_late() -> None:
    run = fed(click(START))
    run.feed([click(run.engine.watermark)])
    assert run.facts["late"] == 0


def test_an_event_a_millisecond_before_w_is_late() -> None:
    run = fed(click(START))
    run.feed([click(run.engine.watermark - 1)])
    assert run.facts["late"] == 1


def test_the_first_event_of_a_user_may_be_late() -> None:
    run = fed(click(START, "other"), purchase(START - DAY_MS))
    assert run.stages() == ["visitor", "new_customer"]
    assert run.facts["late"] == 1


def test_an_event_365_days_behind_w_still_counts() -> None:
    run = fed(click(START))
    run.feed([click(run.engine.watermark - 365 * DAY_MS)])
    assert (run.facts["late"], run.rejected) == (1, [])


def test_an_event_more_than_365_days_behind_w_is_too_late() -> None:
    run = fed(click(START))
    step = run.feed([click(run.engine.watermark - 365 * DAY_MS - 1)])
    assert [rejection.reason for _, rejection in step.rejected] == ["too_late"]


def test_a_user_known_only_by_a_rejected_event_is_no_user() -> None:
    run = fed(click(START, "other"), click(START - 400 * DAY_MS))
    assert list(run.store) == ["other"]


def test_a_late_event_lowers_first_seen() -> None:
    run = fed(click(START), click(START - DAY_MS))
    run.close(START)
    assert run.state("u").first_seen == START - DAY_MS


def test_a_late_purchase_makes_a_customer() -> None:
    assert fed(click(START), purchase(START - DAY_MS)).stages() == ["visitor", "new_customer"]


def test_a_late_purchase_that_contradicts_a_label_is_counted_and_rewrites_nothing() -> None:
    run = fed(purchase(START))
    run.close(START + 60 * DAY_MS)
    decided = list(run.examples)
    assert all(example.churned for example in decided)
    run.feed([purchase(decided[-1].label_ms - HOUR_MS)])
    assert run.facts["contradictions"] == 1
    assert run.examples == decided


def test_a_late_purchase_before_its_label_is_decided_counts_as_a_return() -> None:
    run = fed(purchase(START))
    run.close(START + 29 * DAY_MS)
    first = slots("u", START, START + 7 * DAY_MS)[0]
    run.feed([purchase(START + 28 * DAY_MS)])
    run.close(START + 60 * DAY_MS)
    assert {example.as_of_ms: example.churned for example in run.examples}[first] is False


# -- deadlines ---------------------------------------------------------------------------------------------------------


def test_silence_is_told_without_any_event_of_the_user() -> None:
    run = fed(purchase(START), click(START + 61 * DAY_MS, "other"))
    assert run.stages() == ["new_customer", "at_risk", "visitor"]


def test_a_deadline_at_the_instant_of_another_users_event_waits_for_the_next_instant() -> None:
    run = fed(purchase(START), click(START + 60 * DAY_MS, "other"))
    assert "at_risk" not in run.stages()
    run.feed([click(START + 60 * DAY_MS + 1, "other")])
    assert run.stages()[-1] == "at_risk"


def test_scores_are_taken_weekly_at_the_hour_of_the_users_hash() -> None:
    run = fed(purchase(START))
    run.advance(START + 50 * DAY_MS)
    assert scored(run) == slots("u", START, START + 50 * DAY_MS)


def test_a_score_due_at_the_instant_of_a_purchase_sees_the_purchase() -> None:
    slot = slots("u", START + 7 * DAY_MS, START + 15 * DAY_MS)[0]
    run = fed(purchase(START), purchase(slot, order="o"))
    run.close(slot)
    observation = next(one for one in run.state("u").pending if one.as_of == slot)
    assert observation.stage == 3  # growing


def test_a_purchase_at_the_instant_of_a_score_is_no_return() -> None:
    slot = slots("u", START + 7 * DAY_MS, START + 15 * DAY_MS)[0]
    run = fed(purchase(START), purchase(slot))
    run.close(slot + 30 * DAY_MS)
    assert {example.as_of_ms: example.churned for example in run.examples}[slot] is True


@pytest.mark.parametrize(("after", "churned"), [(1, False), (30 * DAY_MS, False), (30 * DAY_MS + 1, True)])
def test_a_label_looks_at_the_horizon_to_the_millisecond(after: int, churned: bool) -> None:
    slot = slots("u", START, START + 7 * DAY_MS)[0]
    run = fed(purchase(START), purchase(slot + after))
    run.close(slot + 40 * DAY_MS)
    assert {example.as_of_ms: example.churned for example in run.examples}[slot] is churned


def test_a_label_is_told_when_w_passes_it_and_not_before() -> None:
    slot = slots("u", START, START + 7 * DAY_MS)[0]
    run = fed(purchase(START))
    run.advance(slot + 30 * DAY_MS, watermark=slot + 30 * DAY_MS)
    assert run.examples == []
    run.advance(slot + 30 * DAY_MS, watermark=slot + 30 * DAY_MS + 1)
    assert [example.as_of_ms for example in run.examples] == [slot]


def test_a_purchase_whose_whole_order_is_refunded_is_still_a_return() -> None:
    slot = slots("u", START, START + 7 * DAY_MS)[0]
    run = fed(purchase(START), purchase(slot + DAY_MS, order="o"), refund(slot + 2 * DAY_MS, of="o"))
    run.close(slot + 30 * DAY_MS)
    assert {example.as_of_ms: example.churned for example in run.examples}[slot] is False


def test_who_never_bought_is_never_scored() -> None:
    run = fed(click(START, action="cart"))
    run.close(START + 100 * DAY_MS)
    assert run.told("churn-risk") == []


def test_scores_stop_after_540_silent_days() -> None:
    run = fed(purchase(START))
    run.advance(START + 700 * DAY_MS)
    assert scored(run) == slots("u", START, START + 540 * DAY_MS)


def test_a_click_keeps_the_scores_going() -> None:
    run = fed(purchase(START), click(START + 500 * DAY_MS))
    run.advance(START + 1_100 * DAY_MS)
    assert scored(run) == slots("u", START, START + 1_040 * DAY_MS)


def test_a_click_does_not_resume_scores_that_stopped() -> None:
    run = fed(purchase(START), click(START + 600 * DAY_MS))
    run.advance(START + 700 * DAY_MS)
    assert scored(run)[-1] <= START + 540 * DAY_MS


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_purchase_resumes_scores_that_stopped(order: str) -> None:
    run = fed(purchase(START, order="first"), purchase(START + 600 * DAY_MS, order=order))
    run.advance(START + 610 * DAY_MS)
    assert scored(run)[-1] == slots("u", START + 600 * DAY_MS, START + 610 * DAY_MS)[-1]


# -- the end of a profile ----------------------------------------------------------------------------------------------


def test_a_profile_is_kept_a_millisecond_short_of_730_days() -> None:
    run = fed(click(START))
    run.close(START + 730 * DAY_MS - 1)
    assert "u" in run.store


def test_a_profile_is_forgotten_after_730_days_without_a_record() -> None:
    run = fed(click(START))
    run.close(START + 730 * DAY_MS)
    assert run.store == {}
    assert run.engine.stages.total() == 0


def test_the_end_of_a_profile_is_told_as_a_tombstone() -> None:
    run = fed(click(START))
    step = run.advance(START + 730 * DAY_MS)
    assert "u" in step.portraits
    assert run.engine.portrait("u") is None


def test_a_restored_profile_is_forgotten_too() -> None:
    run = fed(click(START))
    run.close(START + 200 * DAY_MS)
    run.restart()
    run.close(START + 730 * DAY_MS)
    assert run.store == {}


def test_a_refund_keeps_a_profile() -> None:
    run = fed(purchase(START), refund(START + 100 * DAY_MS))
    run.close(START + 730 * DAY_MS)
    assert "u" in run.store


def test_who_comes_back_after_being_forgotten_is_somebody_new() -> None:
    run = fed(purchase(START), click(START + 731 * DAY_MS))
    run.close(START + 731 * DAY_MS)
    assert run.state("u").first_seen == START + 731 * DAY_MS
    assert run.stages()[-1] == "visitor"


def test_who_comes_back_minutes_after_being_forgotten_is_somebody_new() -> None:
    run = fed(purchase(START), click(START + 730 * DAY_MS + MINUTE_MS))
    run.close(START + 730 * DAY_MS + MINUTE_MS)
    assert run.state("u").orders == 0


def test_who_comes_at_the_very_instant_of_being_forgotten_is_known() -> None:
    run = fed(purchase(START), click(START + 730 * DAY_MS))
    run.close(START + 730 * DAY_MS)
    assert run.state("u").orders == 1


def test_an_empty_record_right_after_an_erasure_does_not_keep_the_profile() -> None:
    run = fed(click(START))
    run.feed([purchase(START + 800 * DAY_MS, quantity=0)])
    assert run.store == {}


# -- order and number --------------------------------------------------------------------------------------------------


def test_events_of_one_instant_are_folded_by_kind_and_id_however_they_come() -> None:
    events = [click(START, event_id="b"), click(START, event_id="a"), search(START, event_id="c"), purchase(START)]
    one, other = fed(*events), fed(*reversed(events))
    one.close(START)
    other.close(START)
    assert one.engine.settled("u") == other.engine.settled("u")


def test_more_than_128_open_events_settle_the_oldest_early_and_are_counted() -> None:
    run = fed(*(click(START + number) for number in range(3 * MAX_OPEN)))
    assert run.facts["settled_early"] > 0
    assert run.state("u").clicks > 0


def test_settling_early_changes_nothing_for_events_in_order() -> None:
    run = fed(*(click(START + number, session="s") for number in range(3 * MAX_OPEN)))
    run.close(START + DAY_MS)
    assert run.state("u").clicks == 3 * MAX_OPEN


def test_an_event_before_what_settled_early_is_late() -> None:
    run = fed(*(click(START + 10 + number) for number in range(3 * MAX_OPEN)))
    run.feed([click(START)])
    assert run.facts["late"] == 1
    run.close(START + DAY_MS)
    assert run.state("u").clicks == 3 * MAX_OPEN + 1


def test_the_lines_of_one_order_do_not_settle_early() -> None:
    run = fed(*(purchase(START, order="o") for _ in range(4 * MAX_OPEN)))
    assert run.facts["settled_early"] == 0


def test_a_score_later_than_its_model_says_that_it_is_stale() -> None:
    run = PartitionRun(FixedScorer(0.5, stale=True))
    run.feed([purchase(START)])
    assert run.told("churn-risk")[0].body["stale_model"] is True


# -- duplicates --------------------------------------------------------------------------------------------------------


def test_a_repeat_of_an_open_event_id_is_dropped() -> None:
    run = fed(click(START, event_id="x"), click(START, event_id="x"))
    assert run.facts["duplicates"] == 1
    run.close(START)
    assert run.state("u").clicks == 1


def test_a_repeat_of_an_event_id_is_dropped_however_many_are_open() -> None:
    run = fed(*(click(START + number, event_id=f"x{number}") for number in range(100)))
    run.feed([click(START, event_id="x0")])
    assert run.facts["duplicates"] == 1


def test_a_repeat_of_an_event_id_within_a_day_is_dropped_among_the_last_32() -> None:
    run = fed(*(click(START + number * MINUTE_MS, event_id=f"x{number}") for number in range(32)))
    run.feed([click(START + 23 * HOUR_MS, "other"), click(START, event_id="x0")])
    assert run.facts["duplicates"] == 1


def test_a_repeat_of_an_event_id_beyond_the_last_32_counts_again() -> None:
    run = fed(*(click(START + number * MINUTE_MS, event_id=f"x{number}") for number in range(33)))
    run.feed([click(START, event_id="x0")])
    assert (run.facts["duplicates"], run.facts["late"]) == (0, 1)


def test_a_repeat_of_a_late_event_is_dropped() -> None:
    late = click(START - HOUR_MS, event_id="x")
    assert fed(click(START), late, late).facts["duplicates"] == 1


def test_the_same_event_id_of_another_input_is_another_event() -> None:
    run = fed(click(START, event_id="1"), purchase(START + 1, event_id="1"))
    assert (run.facts["duplicates"], run.facts["accepted"]) == (0, 2)


def test_records_without_an_event_id_are_never_repeats() -> None:
    run = fed(click(START, event_id="p", named=False), click(START, event_id="p", named=False))
    assert run.facts["duplicates"] == 0


def test_a_record_at_or_below_the_applied_offset_is_skipped() -> None:
    run = fed(click(START, offset=4, named=False), click(START + 1, offset=3, named=False))
    assert (run.facts["skipped"], run.facts["accepted"]) == (1, 1)


def test_offsets_of_another_epoch_of_a_topic_say_nothing() -> None:
    run = fed(click(START, offset=4, named=False))
    run.engine.epochs[0] = 1
    run.feed([click(START + 1, offset=0, named=False)])
    assert run.facts["skipped"] == 0


def test_offsets_of_another_input_say_nothing() -> None:
    assert fed(click(START, offset=4), search(START + 1, offset=0)).facts["skipped"] == 0
