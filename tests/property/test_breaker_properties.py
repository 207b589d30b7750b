"""The output circuit breaker, held against a count by hand; and the same whatever the slices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.core.breaker import Breaker, Trip
from streams.core.events import Event, Kind, Line
from streams.core.ports import Seen
from tests.support.partition_runs import PartitionRun

STAGES = ("visitor", "activated", "new_customer")
SHARE, LEAST = 0.5, 3


@st.composite
def seen_logs(draw: st.DrawFn) -> list[Seen]:
    told: dict[str, str] = {}
    log: list[Seen] = []
    at = 0
    for _ in range(draw(st.integers(0, 60))):
        at += draw(st.sampled_from((0, 5_000, 30_000, 90_000)))
        user = draw(st.sampled_from("abcdefg"))
        stage = draw(st.sampled_from(STAGES))
        before = told.get(user)
        told[user] = stage
        log.append(Seen(at, user, (before, stage) if before is not None and before != stage else None))
    return log


def naive(log: list[Seen]) -> tuple[int, int, int] | None:
    """(minute, users, changed) at the first event at which more than the share of its minute's users differ."""
    for at in range(len(log)):
        minute = log[at].at_ms // 60_000
        of_minute = [seen for seen in log[: at + 1] if seen.at_ms // 60_000 == minute]
        users = {seen.user_id for seen in of_minute}
        moved = set()
        for user in users:
            changes = [seen.change for seen in of_minute if seen.user_id == user and seen.change is not None]
            if changes and changes[0][0] != changes[-1][1]:
                moved.add(user)
        if len(users) >= LEAST and len(moved) / len(users) > SHARE:
            return minute * 60_000, len(users), len(moved)
    return None


def first_trip(log: list[Seen], sizes: list[int]) -> Trip | None:
    breaker = Breaker(SHARE, LEAST)
    at = 0
    for size in [*sizes, len(log)]:
        if (trip := breaker.saw(log[at : at + size])) is not None:
            return trip
        at += size
    return None


@given(seen_logs(), st.lists(st.integers(0, 9), max_size=20))
def test_it_trips_where_a_count_by_hand_says_whatever_the_slices(log: list[Seen], sizes: list[int]) -> None:
    trip = first_trip(log, sizes)
    assert (None if trip is None else (trip.minute_ms, trip.users, trip.changed)) == naive(log)


@given(seen_logs())
def test_a_share_of_one_never_trips(log: list[Seen]) -> None:
    assert Breaker(1.0, 1).saw(log) is None


def purchase(at: int, user: str, number: int) -> Event:
    line = Line("i", None, None, 5_000_000, 1)
    return Event(at, Kind.PURCHASE, f"p{number}", user, 0, number, True, order_key=f"o{number}", lines=(line,))


def click(at: int, user: str, number: int) -> Event:
    return Event(at, Kind.CLICK, f"c{number}", user, 0, number, True, action=1)


@given(st.lists(st.integers(1, 7), max_size=30))
def test_the_engine_says_who_was_seen_alike_for_any_slices(sizes: list[int]) -> None:
    users = [f"u{number}" for number in range(12)]
    day = [click(1_000_000 + number, user, number) for number, user in enumerate(users)]
    bad = [purchase(90_000_000 + number, user, number) for number, user in enumerate(users)]
    seen: list[Seen] = []
    run = PartitionRun()
    at = 0
    events = day + bad
    for size in [*sizes, len(events)]:
        seen += run.take(run.engine.process(events[at : at + size], run.scorer)).seen
        at += size
    assert [one.user_id for one in seen] == users * 2
    assert [one.change for one in seen] == [None] * 12 + [("visitor", "new_customer")] * 12
