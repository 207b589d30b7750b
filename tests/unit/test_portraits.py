"""At most one portrait per user and minute, and none forgotten."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.live.portraits import PortraitThrottle


def test_the_first_change_is_published_at_once() -> None:
    throttle = PortraitThrottle()
    throttle.changed(["ann"], 10.0, 0)
    assert throttle.due(10.0) == ["ann"]


def test_changes_within_the_minute_are_published_once_at_its_end() -> None:
    throttle = PortraitThrottle()
    throttle.changed(["ann"], 0.0, 0)
    throttle.due(0.0)
    throttle.changed(["ann"], 1.0, 1)
    throttle.changed(["ann"], 2.0, 2)
    assert (throttle.due(59.9), throttle.due(60.0), throttle.due(200.0)) == ([], ["ann"], [])


def test_a_stop_publishes_everyone_who_waits() -> None:
    throttle = PortraitThrottle()
    throttle.changed(["ann", "bob"], 0.0, 0)
    throttle.due(0.0)
    throttle.changed(["bob", "ann"], 1.0, 1)
    assert throttle.flush(2.0) == ["bob", "ann"]


def test_the_oldest_unpublished_change_says_where_a_restart_must_look() -> None:
    throttle = PortraitThrottle()
    throttle.changed(["ann"], 0.0, 7)
    throttle.changed(["bob"], 0.0, 9)
    throttle.changed(["ann"], 0.0, 11)
    assert throttle.oldest_offset == 7


def test_nothing_pending_has_no_offset() -> None:
    assert PortraitThrottle().oldest_offset is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 300)), max_size=40))
def test_nobody_is_published_twice_in_a_minute_and_nobody_is_forgotten(changes: list[tuple[str, int]]) -> None:
    throttle = PortraitThrottle()
    published: list[tuple[str, int]] = []
    by_time = sorted(changes, key=lambda change: change[1])
    for now in range(400):
        throttle.changed([user for user, at in by_time if at == now], float(now), now)
        published.extend((user, now) for user in throttle.due(float(now)))
    for user in "abc":
        times = [at for who, at in published if who == user]
        assert all(later - earlier >= 60 for earlier, later in pairwise(times))
        last_change = max((at for who, at in changes if who == user), default=None)
        assert last_change is None or times[-1] >= last_change
