"""The limit of dead letters: by input, by minute of publishing, over all partitions of a worker, across restarts."""

from __future__ import annotations

import pytest

from streams.core.errors import FeedError, StateError
from streams.core.events import INPUT_TOPICS, Position
from streams.core.letter_limit import LetterLimit, Refused
from streams.core.ports import Rejection

MINUTE = 60_000
CLICKS, PURCHASES = 0, 2


def take(
    limit: LetterLimit,
    good: int,
    bad: int,
    *,
    kind: int = CLICKS,
    partition: int = 0,
    at_ms: int = 0,
    reason: str = "missing_user",
) -> None:
    """A slice of so many good and bad records, all published at one instant."""
    where = Position(INPUT_TOPICS[kind], partition, 17)
    refused = [Refused(kind, at_ms, Rejection(reason, "user_id is absent or null", where))] * bad
    limit.take(partition, {(kind, at_ms // MINUTE): good + bad}, refused)


def test_a_share_beyond_the_limit_is_let_pass_while_the_count_is_not_exceeded() -> None:
    take(LetterLimit(0.5, 10), good=0, bad=10)


def test_a_count_beyond_the_limit_is_let_pass_while_the_share_is_not_exceeded() -> None:
    take(LetterLimit(0.5, 10), good=100, bad=100)


def test_both_together_stop() -> None:
    with pytest.raises(FeedError):
        take(LetterLimit(0.5, 10), good=10, bad=11)


def test_slices_of_one_minute_add_up() -> None:
    limit = LetterLimit(0.5, 10)
    take(limit, good=0, bad=10, at_ms=MINUTE)
    with pytest.raises(FeedError):
        take(limit, good=0, bad=1, at_ms=2 * MINUTE - 1)


def test_another_minute_begins_anew() -> None:
    limit = LetterLimit(0.5, 10)
    for minute in range(10):
        take(limit, good=0, bad=10, at_ms=minute * MINUTE)


def test_the_other_inputs_do_not_hide_one_that_is_broken() -> None:
    limit = LetterLimit(0.5, 10)
    take(limit, good=10_000, bad=0, kind=CLICKS)
    with pytest.raises(FeedError, match="of purchases published"):
        take(limit, good=0, bad=11, kind=PURCHASES)


def test_partitions_of_one_worker_add_up() -> None:
    limit = LetterLimit(0.5, 10)
    take(limit, good=0, bad=6, partition=0)
    with pytest.raises(FeedError, match="12 of 12"):
        take(limit, good=0, bad=6, partition=1)


def test_a_partition_that_went_to_another_worker_counts_there() -> None:
    limit = LetterLimit(0.5, 10)
    take(limit, good=0, bad=6, partition=0)
    limit.forget(0)
    take(limit, good=0, bad=6, partition=1)


def test_a_restarted_worker_goes_on_counting_so_it_stops_again_at_the_same_record() -> None:
    limit = LetterLimit(0.5, 10)
    take(limit, good=3, bad=9)
    stored = limit.encoded(0)
    for _ in range(5):
        again = LetterLimit(0.5, 10)
        again.restore(0, stored)
        with pytest.raises(FeedError, match="11 of 14"):
            take(again, good=0, bad=2)


def test_with_the_limit_raised_the_same_slice_passes() -> None:
    limit = LetterLimit(0.5, 10)
    take(limit, good=3, bad=9)
    raised = LetterLimit(1.0, 10)
    raised.restore(0, limit.encoded(0))
    take(raised, good=0, bad=2)


def test_a_share_of_one_never_stops() -> None:
    take(LetterLimit(1.0, 0), good=0, bad=1_000)


def test_nothing_is_stored_while_nothing_was_rejected() -> None:
    limit = LetterLimit(0.5, 10)
    take(limit, good=1_000, bad=0)
    assert limit.encoded(0) is None


def test_what_is_stored_stays_small() -> None:
    limit = LetterLimit(0.5, 10)
    for minute in range(1_000):
        take(limit, good=5, bad=5, at_ms=minute * MINUTE)
    assert len(limit.encoded(0) or b"") < 200


def test_the_message_says_how_many_why_where_and_how_to_go_on() -> None:
    limit = LetterLimit(0.5, 1_000)
    take(limit, good=100, bad=900)
    with pytest.raises(FeedError) as caught:
        take(limit, good=0, bad=101, reason="bad_price")
    told = str(caught.value)
    assert told.startswith(
        "1,001 of 1,101 records of clicks published in the minute from 1970-01-01T00:00:00.000Z cannot be accepted "
        "(91%): missing_user 900, bad_price 101. The limit is 1,000 a minute and 50%. From clicks, partition 0, "
        "offset 17 on nothing was acknowledged"
    )
    assert "EBBTIDE_DEAD_LETTER_LIMIT_SHARE=1" in told
    assert "ebbtide dead-letters redrive" in told


def test_stored_counts_that_are_damaged_are_refused() -> None:
    with pytest.raises(StateError, match="partition 3"):
        LetterLimit(0.5, 10).restore(3, b"\xc1")
