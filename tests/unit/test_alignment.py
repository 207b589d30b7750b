"""In which order records go, and where the log clock stops."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.core.alignment import UNKNOWN, Head, boundaries, cut_day, head_bound, next_by_log, next_by_wall
from streams.core.events import DAY_MS, HOUR_MS

GRACE = 600_000


def test_equal_instants_go_in_the_order_of_the_inputs() -> None:
    assert next_by_log([Head(5, False), Head(5, False), Head(5, False)]) == 0


def test_a_drained_input_does_not_hold_up_the_log() -> None:
    assert next_by_log([Head(None, True), Head(9, False), Head(None, True)]) == 1


def test_a_silent_input_that_is_not_drained_holds_up_the_log() -> None:
    assert next_by_log([Head(None, False), Head(9, False), Head(None, True)]) is None


def test_nothing_waits_nothing_goes() -> None:
    assert next_by_log([Head(None, True)] * 3) is None


def test_under_the_wall_nothing_goes_before_every_input_was_heard_of() -> None:
    assert next_by_wall([Head(9, False), Head(None, False, UNKNOWN)], GRACE) is None


def test_purchases_do_not_race_ahead_of_clicks_that_are_still_being_fetched() -> None:
    assert next_by_wall([Head(None, False, 0), Head(None, True), Head(GRACE // 2 + 1, False)], GRACE // 2) is None


def test_half_the_grace_ahead_is_allowed() -> None:
    assert next_by_wall([Head(None, False, 0), Head(None, True), Head(GRACE // 2, False)], GRACE // 2) == 2


def test_w_is_held_by_the_oldest_record_that_waits() -> None:
    assert head_bound([Head(30, False), Head(20, True), Head(None, True)]) == 20


def test_w_is_not_held_when_everything_is_drained() -> None:
    assert head_bound([Head(None, True, 5)] * 3) is None


def test_before_an_input_was_heard_of_w_does_not_move() -> None:
    assert head_bound([Head(30, False), Head(None, False, UNKNOWN)]) == UNKNOWN


def test_a_score_within_an_hour_of_midnight_uses_yesterdays_cut() -> None:
    assert cut_day(3 * DAY_MS + HOUR_MS - 1) == 2 * DAY_MS


@given(st.integers(0, 10 * DAY_MS), st.integers(0, 10 * DAY_MS))
def test_the_boundaries_are_all_those_whose_watermark_was_not_reached(watermark: int, through: int) -> None:
    naive = [
        boundary
        for boundary in range(HOUR_MS - DAY_MS, 12 * DAY_MS, DAY_MS)
        if boundary <= through and boundary - 1 - GRACE > watermark
    ]
    assert list(boundaries(watermark, through, GRACE)) == naive


@given(st.integers(0, 10 * DAY_MS))
def test_stopping_at_a_boundary_puts_it_behind(through: int) -> None:
    for boundary in boundaries(0, through, GRACE):
        assert boundary not in list(boundaries(boundary - 1 - GRACE, through, GRACE))
