"""The stage table of DESIGN, row by row, to the millisecond."""

from __future__ import annotations

import pytest

from streams.core.events import DAY_MS, HOUR_MS, MINUTE_MS, Event
from tests.support.partition_runs import PartitionRun
from tests.support.worlds import START, click, purchase, refund, search

DAY = DAY_MS


def stage_of(events: list[Event], at: int) -> str:
    """The stage last told as of an instant."""
    run = PartitionRun()
    run.feed(events)
    run.advance(at)
    return run.stages()[-1]


def weekly(orders: int, days: int = 7) -> list[Event]:
    """Orders a fixed number of days apart: after three of them that is G."""
    return [purchase(START + number * days * DAY) for number in range(orders)]


# -- before the first order --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [click(START), search(START), refund(START), click(START, action="remove")])
def test_any_event_makes_a_visitor(first: Event) -> None:
    assert stage_of([first], START) == "visitor"


@pytest.mark.parametrize("action", ["cart", "favourite", "share", "review"])
def test_an_engaging_action_activates(action: str) -> None:
    assert stage_of([click(START, action=action)], START) == "activated"


@pytest.mark.parametrize("action", ["view", "other", "remove", "search_click"])
def test_looking_alone_does_not_activate(action: str) -> None:
    assert stage_of([click(START, action=action)], START) == "visitor"


def test_a_search_and_a_click_in_one_session_activate() -> None:
    assert stage_of([search(START, session="s"), click(START + 5 * HOUR_MS, session="s")], START + DAY) == "activated"


def test_a_search_and_a_click_in_two_sessions_do_not_activate() -> None:
    assert stage_of([search(START, session="s"), click(START + 1, session="t")], START + DAY) == "visitor"


def test_without_a_session_id_half_an_hour_of_silence_is_still_one_session() -> None:
    assert stage_of([search(START), click(START + 30 * MINUTE_MS)], START + DAY) == "activated"


def test_without_a_session_id_more_than_half_an_hour_of_silence_parts_sessions() -> None:
    assert stage_of([search(START), click(START + 30 * MINUTE_MS + 1)], START + DAY) == "visitor"


def test_a_second_active_day_activates() -> None:
    assert stage_of([click(START), click(START + DAY)], START + DAY) == "activated"


def test_the_last_millisecond_of_the_first_day_does_not_activate() -> None:
    assert stage_of([click(START), click(START + DAY - 1)], START + DAY) == "visitor"


def test_a_refund_is_no_active_day() -> None:
    assert stage_of([refund(START), click(START + DAY)], START + DAY) == "visitor"


def test_a_visitor_is_not_dormant_a_millisecond_before_90_days() -> None:
    assert stage_of([click(START)], START + 90 * DAY - 1) == "visitor"


def test_a_visitor_is_dormant_after_90_days_of_silence() -> None:
    assert stage_of([click(START)], START + 90 * DAY) == "dormant"


def test_a_refund_does_not_break_the_silence_of_a_visitor() -> None:
    assert stage_of([click(START), refund(START + 80 * DAY)], START + 90 * DAY) == "dormant"


def test_a_click_at_the_very_deadline_keeps_a_visitor_awake() -> None:
    assert "dormant" not in [stage_of([click(START), click(START + 90 * DAY)], START + 90 * DAY)]


def test_a_click_wakes_who_is_dormant() -> None:
    assert stage_of([click(START), click(START + 100 * DAY)], START + 100 * DAY) == "activated"


def test_a_customer_is_never_dormant() -> None:
    assert stage_of([purchase(START)], START + 500 * DAY) == "churned"


# -- customers ---------------------------------------------------------------------------------------------------------


def test_the_first_order_makes_a_new_customer() -> None:
    assert stage_of([purchase(START)], START) == "new_customer"


def test_two_orders_make_a_growing_customer() -> None:
    assert stage_of([purchase(START), purchase(START + 1)], START + 1) == "growing"


def test_several_lines_of_one_order_do_not_grow_a_customer() -> None:
    events = [purchase(START, order="o"), purchase(START + 1, order="o"), purchase(START + 2, order="o")]
    assert stage_of(events, START + 2) == "new_customer"


@pytest.mark.parametrize(("days", "floor", "stage"), [(2, 7, "at_risk"), (2, 21, "churned")])
def test_a_quick_customer_slips_at_the_floor_and_not_before(days: int, floor: int, stage: str) -> None:
    events = weekly(3, days)
    limit = events[-1].ts + floor * DAY
    assert stage_of(events, limit - 1) != stage
    assert stage_of(events, limit) == stage


@pytest.mark.parametrize(("gaps", "stage"), [(2, "at_risk"), (4, "churned")])
def test_a_customer_with_a_rhythm_slips_after_so_many_gaps_and_not_before(gaps: int, stage: str) -> None:
    events = weekly(3, 10)
    limit = events[-1].ts + gaps * 10 * DAY
    assert stage_of(events, limit - 1) != stage
    assert stage_of(events, limit) == stage


@pytest.mark.parametrize(("gaps", "stage"), [(2, "at_risk"), (4, "churned")])
def test_below_three_purchase_days_the_gap_of_the_shop_counts(gaps: int, stage: str) -> None:
    events = weekly(2, 3)
    limit = events[-1].ts + gaps * 30 * DAY
    assert stage_of(events, limit - 1) != stage
    assert stage_of(events, limit) == stage


def test_the_gap_is_the_median_of_the_last_twelve() -> None:
    days = [0, 100, 200, *range(210, 210 + 12 * 10, 10)]  # 2 gaps of 100 d, then 12 of 10 d
    events = [purchase(START + day * DAY) for day in days]
    assert stage_of(events, events[-1].ts + 20 * DAY - 1) != "at_risk"
    assert stage_of(events, events[-1].ts + 20 * DAY) == "at_risk"


def test_an_even_number_of_gaps_has_the_mean_of_the_middle_two_as_median() -> None:
    events = [purchase(START + day * DAY) for day in (0, 10, 25)]  # gaps 10 and 15: G is 12.5 d
    assert stage_of(events, events[-1].ts + 25 * DAY - 1) == "growing"
    assert stage_of(events, events[-1].ts + 25 * DAY) == "at_risk"


def test_clicks_do_not_save_a_customer_from_churning() -> None:
    assert stage_of([purchase(START), click(START + 119 * DAY)], START + 120 * DAY) == "churned"


def test_an_order_at_the_very_deadline_counts_before_it() -> None:
    run = PartitionRun()
    run.feed([purchase(START), purchase(START + 60 * DAY)])
    run.advance(START + 60 * DAY)
    assert run.stages() == ["new_customer", "growing"]


def test_another_line_of_the_order_ends_a_silence() -> None:
    events = [purchase(START, order="o"), purchase(START + 61 * DAY, order="o")]
    assert stage_of(events, START + 61 * DAY) == "new_customer"


# -- reactivated -------------------------------------------------------------------------------------------------------


def test_an_order_while_churned_reactivates() -> None:
    assert stage_of([purchase(START), purchase(START + 121 * DAY)], START + 121 * DAY) == "reactivated"


def test_an_order_while_at_risk_does_not_reactivate() -> None:
    assert stage_of([purchase(START), purchase(START + 61 * DAY)], START + 61 * DAY) == "growing"


def test_the_next_order_ends_a_reactivation() -> None:
    events = [purchase(START), purchase(START + 121 * DAY), purchase(START + 122 * DAY)]
    assert stage_of(events, START + 122 * DAY) == "growing"


def test_another_line_of_the_order_does_not_end_a_reactivation() -> None:
    again = START + 121 * DAY
    events = [purchase(START), purchase(again, order="o"), purchase(again + DAY, order="o")]
    assert stage_of(events, again + DAY) == "reactivated"


def test_a_refund_does_not_end_a_reactivation() -> None:
    again = START + 121 * DAY
    assert stage_of([purchase(START), purchase(again), refund(again + DAY, price=1)], again + DAY) == "reactivated"


def test_a_reactivation_lasts_two_gaps() -> None:
    again = START + 121 * DAY
    assert stage_of([purchase(START), purchase(again)], again + 60 * DAY - 1) == "reactivated"
    assert stage_of([purchase(START), purchase(again)], again + 60 * DAY) == "at_risk"


# -- loyal -------------------------------------------------------------------------------------------------------------


def test_four_orders_make_loyal_only_with_six_gaps_of_tenure() -> None:
    events = [*weekly(4, 10), purchase(START + 45 * DAY)]  # gaps 10, 10, 10, 15: G is 10 d
    assert stage_of(events, START + 60 * DAY - 1) == "growing"
    assert stage_of(events, START + 60 * DAY) == "loyal"


def test_three_orders_never_make_loyal() -> None:
    events = weekly(3, 30)
    assert stage_of([*events, click(START + 200 * DAY)], START + 100 * DAY) != "loyal"


# Gaps of 60, 60, 80, 110 and 120 d: G is 70 d, so six make day 420; with the last order 80 d: at risk on day 590.
LONG = [purchase(START + day * DAY) for day in (0, 60, 120, 200, 310, 430)]


def test_tenure_makes_loyal_in_silence_at_the_millisecond() -> None:
    assert stage_of(LONG[:5], START + 420 * DAY - 1) == "growing"
    assert stage_of(LONG[:5], START + 420 * DAY) == "loyal"


def test_who_is_loyal_stays_so_with_three_orders_in_365_days() -> None:
    # The order of day 120 left on day 485; those of days 200, 310 and 430 are inside.
    assert stage_of(LONG, START + (200 + 365) * DAY - 1) == "loyal"


def test_who_is_loyal_leaves_when_the_third_order_leaves_the_365_days() -> None:
    assert stage_of(LONG, START + (200 + 365) * DAY) == "growing"


def test_who_is_not_loyal_does_not_become_so_with_three_orders_in_365_days() -> None:
    # On day 420 only the orders of days 120, 200 and 310 would be inside, were the second one on day 50.
    events = [purchase(START + day * DAY) for day in (0, 50, 120, 200, 310)]
    assert stage_of(events, START + 449 * DAY) == "growing"


def test_churning_forgets_that_one_was_loyal() -> None:
    events = weekly(7, 10)
    run = PartitionRun()
    run.feed(events)
    assert run.stages()[-1] == "loyal"
    run.feed([purchase(START + 101 * DAY)])
    assert run.stages()[-2:] == ["churned", "reactivated"]


# -- orders taken back -------------------------------------------------------------------------------------------------


def test_who_only_ever_refunds_is_never_a_customer() -> None:
    assert stage_of([refund(START), refund(START + 5 * DAY)], START + 5 * DAY) == "visitor"


def test_a_full_refund_that_names_the_only_order_takes_the_customer_back() -> None:
    assert stage_of([purchase(START, order="o"), refund(START + 1, of="o")], START + 1) == "activated"


def test_a_partial_refund_takes_nothing_back() -> None:
    assert stage_of([purchase(START, order="o"), refund(START + 1, of="o", price=9.99)], START + 1) == "new_customer"


def test_two_partial_refunds_that_make_up_the_whole_take_the_order_back() -> None:
    halves = [refund(START + at, of="o", price=5.0) for at in (1, 2)]
    assert stage_of([purchase(START, order="o"), *halves], START + 2) == "activated"


def test_a_full_refund_that_names_no_order_takes_nothing_back() -> None:
    assert stage_of([purchase(START, order="o"), refund(START + 1)], START + 1) == "new_customer"


def test_a_refund_that_comes_before_its_order_by_event_time_takes_nothing_back() -> None:
    assert stage_of([refund(START, of="o"), purchase(START + 1, order="o")], START + 1) == "new_customer"
