"""The output circuit breaker: one fact each; what is taken back when outputs are discarded."""

from __future__ import annotations

from streams.core.breaker import Breaker, HighestShare
from streams.core.ports import Seen

MINUTE = 60_000
MOVED = ("visitor", "new_customer")


def moved(minute: int, count: int, *, still: int = 0) -> list[Seen]:
    at = minute * MINUTE
    users = [Seen(at, f"u{number}", MOVED) for number in range(count)]
    return users + [Seen(at, f"still{number}", None) for number in range(still)]


def test_it_trips_when_more_than_the_share_of_a_minutes_users_change() -> None:
    trip = Breaker(0.5, 4).saw(moved(3, 5, still=4))
    assert trip is not None
    assert (trip.minute_ms, trip.users, trip.changed, trip.share) == (3 * MINUTE, 4, 4, 1.0)
    assert trip.transitions == (("visitor", "new_customer", 4),)


def test_behind_a_trip_the_rest_of_its_minute_is_counted_and_nothing_more() -> None:
    breaker = Breaker(0.5, 4)
    assert breaker.saw([*moved(3, 9), *moved(4, 90)]) is not None
    breaker.saw(moved(3, 9, still=1))
    breaker.saw(moved(5, 90))
    assert (breaker.figures().users, breaker.figures().changed) == (10, 9)


def test_exactly_the_share_is_not_more() -> None:
    still_first = sorted(moved(3, 4, still=4), key=lambda seen: seen.change is not None)
    assert Breaker(0.5, 4).saw(still_first) is None


def test_too_few_users_say_nothing() -> None:
    assert Breaker(0.5, 4).saw(moved(3, 3)) is None


def test_users_of_different_minutes_do_not_add_up() -> None:
    assert Breaker(0.5, 4).saw([*moved(3, 3), *moved(4, 3)]) is None


def test_one_user_counts_once_however_often_it_changes() -> None:
    back_and_forth = [Seen(0, "u", MOVED), Seen(1, "u", ("new_customer", "growing"))] * 9
    assert Breaker(0.5, 2).saw(back_and_forth) is None


def test_who_comes_back_to_the_stage_of_before_has_not_changed() -> None:
    there = [Seen(0, "u", MOVED), Seen(1, "u", ("new_customer", "visitor"))]
    assert Breaker(0.5, 2).saw([*there, Seen(2, "v", None)]) is None


def test_what_was_released_is_trusted_while_it_lasts() -> None:
    breaker = Breaker(0.5, 4)
    assert breaker.saw(moved(3, 4)) is not None
    breaker.trust()
    assert [breaker.saw(moved(minute, 4)) for minute in (3, 4, 5)] == [None] * 3


def test_trust_ends_with_a_minute_that_would_not_have_tripped() -> None:
    breaker = Breaker(0.5, 4, trusted=True)
    assert breaker.saw(moved(3, 4)) is None
    assert breaker.saw(moved(4, 0, still=4)) is None
    assert breaker.saw(moved(5, 4)) is not None


def test_what_was_discarded_trips_again_if_it_goes_on() -> None:
    breaker = Breaker(0.5, 4)
    assert breaker.saw(moved(3, 4)) is not None
    breaker.reset()
    assert breaker.saw(moved(3, 4)) is not None


def test_the_highest_share_is_that_of_the_worst_moment_of_any_minute() -> None:
    log = HighestShare(4)
    log.saw(moved(3, 2, still=3))
    log.saw(moved(4, 3, still=2))
    log.saw(moved(5, 1, still=9))
    assert log.highest is not None
    assert (log.highest.minute_ms, log.highest.users, log.highest.changed) == (4 * MINUTE, 4, 3)


def test_a_log_without_users_enough_has_no_highest_share() -> None:
    log = HighestShare(4)
    log.saw(moved(3, 3))
    assert log.highest is None
