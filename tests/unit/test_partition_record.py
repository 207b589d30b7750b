"""Where reading goes on after a restart, and when it must not."""

from __future__ import annotations

import pytest

from streams.core.errors import StateError, TopicError
from streams.live.partition_record import (
    InputPosition,
    PartitionRecord,
    decode_record,
    encode_record,
    renewed,
    start_offset,
)

WHERE = "clicks, partition 0"


def known(next_offset: int, epoch: int = 0) -> InputPosition:
    return InputPosition(topic_id="a", epoch=epoch, next=next_offset)


def test_a_record_survives_storing() -> None:
    record = PartitionRecord(watermark=5, newest=7, inputs=(known(3),))
    assert decode_record(encode_record(record)) == record


def test_a_damaged_record_is_explained() -> None:
    with pytest.raises(StateError):
        decode_record(b"{")


def test_a_first_start_begins_at_the_oldest_record() -> None:
    assert start_offset(WHERE, InputPosition(topic_id="a"), None, 40) == 40


def test_reading_goes_on_where_the_changelog_says_although_commits_trail() -> None:
    assert start_offset(WHERE, known(70), 65, 0) == 70


def test_below_the_brokers_oldest_we_stop_and_explain() -> None:
    with pytest.raises(TopicError, match="retention"):
        start_offset(WHERE, known(70), 65, 71)


def test_a_commit_ahead_of_the_state_means_that_state_was_lost() -> None:
    with pytest.raises(StateError, match="changelog"):
        start_offset(WHERE, known(70), 71, 0)


def test_commits_without_any_state_mean_that_state_was_lost() -> None:
    with pytest.raises(StateError, match="lost"):
        start_offset(WHERE, InputPosition(topic_id="a"), 71, 0)


def test_commits_of_a_topic_that_was_created_anew_say_nothing() -> None:
    assert start_offset(WHERE, InputPosition(topic_id="a", epoch=1), 71, 0) == 0


def test_a_topic_that_was_created_anew_starts_over_in_a_new_epoch() -> None:
    record = PartitionRecord(inputs=(known(70), InputPosition(topic_id="b", next=9)))
    fresh, same = renewed(record, ("other", "b"))
    assert (fresh, same.next) == (InputPosition(topic_id="other", epoch=1), 9)
