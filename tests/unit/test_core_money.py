"""Orders, lines and money: prices, quantities, outliers, refunds, order keys."""

from __future__ import annotations

from streams.core.events import DAY_MS, HOUR_MS, MICRO, Event, Line
from streams.core.state import State
from streams.core.windows import last_hours, window
from tests.support.partition_runs import PartitionRun
from tests.support.worlds import START, click, purchase, refund


def after(*events: Event) -> State:
    """The state settled through the last event."""
    run = PartitionRun()
    run.feed(events)
    run.close(events[-1].ts)
    return run.state("u")


def outliers(*events: Event) -> int:
    run = PartitionRun()
    run.feed(events)
    return run.facts["outliers"]


# -- lines -------------------------------------------------------------------------------------------------------------


def test_a_price_of_zero_makes_an_order_without_money() -> None:
    state = after(purchase(START, price=0.0))
    assert (state.orders, state.lines, state.amount) == (1, 1, 0)


def test_an_unknown_price_makes_an_order_without_money() -> None:
    state = after(purchase(START, price=None))
    assert (state.orders, state.amount) == (1, 0)


def test_a_quantity_of_zero_does_nothing() -> None:
    run = PartitionRun()
    run.feed([purchase(START, quantity=0)])
    assert run.store == {}
    assert run.facts["accepted"] == 1


def test_a_quantity_of_zero_does_nothing_to_a_known_user() -> None:
    run = PartitionRun()
    run.feed([click(START)])
    before, outputs = run.engine.encoded("u"), len(run.outputs)
    run.feed([purchase(START + 1, quantity=0)])
    assert run.engine.encoded("u") == before
    assert len(run.outputs) == outputs


def test_prices_of_0_0018_add_up_exactly() -> None:
    state = after(*(purchase(START + number, price=0.0018, quantity=3) for number in range(1_000)))
    assert state.amount == 5_400_000


def test_money_is_price_times_quantity() -> None:
    assert after(purchase(START, price=2.5, quantity=4)).amount == 10 * MICRO


# -- orders ------------------------------------------------------------------------------------------------------------


def test_lines_with_one_order_id_are_one_order() -> None:
    state = after(purchase(START, order="o"), purchase(START + HOUR_MS, order="o"))
    assert (state.orders, state.lines, state.amount) == (1, 2, 20 * MICRO)


def test_several_lines_in_one_record_are_one_order() -> None:
    lines = (Line("a", None, None, MICRO, 1), Line("b", None, None, MICRO, 2))
    state = after(purchase(START, lines=lines))
    assert (state.orders, state.lines, state.amount) == (1, 2, 3 * MICRO)


def test_without_an_order_id_the_session_is_the_order() -> None:
    assert after(purchase(START, session="s"), purchase(START + HOUR_MS, session="s")).orders == 1


def test_without_order_id_and_session_the_instant_is_the_order() -> None:
    assert after(purchase(START), purchase(START), purchase(START + 1)).orders == 2


def test_an_order_id_and_a_session_of_the_same_name_are_two_orders() -> None:
    assert after(purchase(START, order="x"), purchase(START + 1, session="x")).orders == 2


def test_a_later_line_moves_the_last_order_but_opens_no_purchase_day() -> None:
    state = after(purchase(START, order="o"), purchase(START + DAY_MS, order="o"))
    assert state.last_order == START + DAY_MS
    assert state.purchase_days == [START // DAY_MS]


# -- outliers ----------------------------------------------------------------------------------------------------------


def test_a_line_worth_exactly_the_limit_is_money() -> None:
    assert after(purchase(START, price=25_000.0, quantity=2)).amount == 50_000 * MICRO


def test_a_line_over_the_limit_makes_an_order_without_money() -> None:
    state = after(purchase(START, price=50_000.01))
    assert (state.orders, state.amount, state.amount_365d) == (1, 0, 0)


def test_a_line_over_the_limit_by_its_quantity_is_an_outlier() -> None:
    assert outliers(purchase(START, price=1.04, quantity=74_215)) == 1


def test_a_refund_over_the_limit_is_left_out_of_money_too() -> None:
    state = after(purchase(START, price=10.0), refund(START + 1, price=77_183.6))
    assert (state.amount, state.refunded) == (10 * MICRO, 0)


def test_outliers_are_counted_both_ways() -> None:
    assert outliers(purchase(START, price=77_183.6), refund(START + 1, price=77_183.6)) == 2


def test_an_outlier_does_not_silence_the_other_lines_of_its_order() -> None:
    lines = (Line("a", None, None, 60_000 * MICRO, 1), Line("b", None, None, MICRO, 1))
    assert after(purchase(START, lines=lines)).amount == MICRO


# -- refunds -----------------------------------------------------------------------------------------------------------


def test_a_refund_lowers_money() -> None:
    state = after(purchase(START, price=10.0), refund(START + 1, price=4.0))
    assert (state.amount, state.refunded) == (6 * MICRO, 4 * MICRO)


def test_a_refund_is_no_order_and_no_line() -> None:
    state = after(refund(START))
    assert (state.orders, state.lines, state.first_order) == (0, 0, -1)


def test_a_refund_is_no_sign_of_life() -> None:
    state = after(click(START), refund(START + DAY_MS))
    assert (state.active_at, state.active_days, sum(state.hour_counts)) == (START, 1, 1)


def test_a_user_may_begin_with_a_refund() -> None:
    state = after(refund(START), click(START + DAY_MS), purchase(START + 2 * DAY_MS))
    assert (state.first_seen, state.active_days, state.orders, state.first_order) == (START, 2, 1, START + 2 * DAY_MS)


def test_a_record_of_bought_and_returned_lines_is_an_order_and_a_refund() -> None:
    lines = (Line("a", None, None, 10 * MICRO, 1), Line("b", None, None, 4 * MICRO, -1))
    state = after(purchase(START, lines=lines))
    assert (state.orders, state.lines, state.amount, state.refunded) == (1, 1, 6 * MICRO, 4 * MICRO)


def test_a_full_refund_with_refund_of_takes_the_order_back() -> None:
    state = after(purchase(START), purchase(START + DAY_MS, order="o"), refund(START + 2 * DAY_MS, of="o"))
    assert (state.orders, state.last_order, state.purchase_days_total) == (1, START, 1)


def test_a_full_refund_of_the_first_order_moves_the_first_order_on() -> None:
    state = after(purchase(START, order="o"), purchase(START + DAY_MS), refund(START + 2 * DAY_MS, of="o"))
    assert state.first_order == START + DAY_MS


def test_a_full_refund_takes_the_order_out_of_its_windows() -> None:
    at = START + DAY_MS
    state = after(purchase(START, order="o"), purchase(START + HOUR_MS, order="o"), refund(at, of="o", price=20.0))
    assert window(state, at, 7).orders == 0
    assert last_hours(state, START + 2 * HOUR_MS).orders == 0


def test_a_partial_refund_leaves_the_order() -> None:
    state = after(purchase(START, order="o"), refund(START + 1, of="o", price=9.99))
    assert (state.orders, state.amount) == (1, 10_000)


def test_a_full_refund_without_refund_of_leaves_the_order() -> None:
    assert after(purchase(START, order="o"), refund(START + 1)).orders == 1


def test_a_refund_of_an_unknown_order_only_lowers_money() -> None:
    state = after(purchase(START, order="o"), refund(START + 1, of="p"))
    assert (state.orders, state.amount) == (1, 0)


def test_an_order_taken_back_may_be_made_again() -> None:
    state = after(purchase(START, order="o"), refund(START + 1, of="o"), purchase(START + 2, order="o"))
    assert (state.orders, state.first_order) == (1, START + 2)
