"""Dead letters keep the original, and say why and where."""

from __future__ import annotations

import pytest

from streams.core.events import Position
from streams.core.ports import Rejection
from streams.dead_letters import (
    ATTEMPT_HEADER,
    CUT_HEADER,
    MOST_VALUE_BYTES,
    PARKED_HEADER,
    PUBLISHED_HEADER,
    attempts,
    dead_letter,
    without_ours,
)

WHY = Rejection("not_json", "not JSON: unexpected end", Position("clicks", 3, 17))


def test_the_original_bytes_are_kept() -> None:
    assert dead_letter(b"{\xff", [], WHY)[0] == b"{\xff"


def test_the_headers_are_those_of_kip_1034() -> None:
    headers = dict(dead_letter(b"{", [], WHY)[1])
    assert headers == {
        "__streams.errors.exception": b"not_json",
        "__streams.errors.message": b"not JSON: unexpected end",
        "__streams.errors.topic": b"clicks",
        "__streams.errors.partition": b"3",
        "__streams.errors.offset": b"17",
    }


def test_the_records_own_headers_stay_in_front() -> None:
    assert dead_letter(b"{", [("trace", b"1")], WHY)[1][0] == ("trace", b"1")


def test_a_record_without_a_value_stays_one() -> None:
    assert dead_letter(None, [], WHY)[0] is None


def test_a_record_as_large_as_the_broker_takes_is_cut_and_says_so() -> None:
    """Else the dead letter, larger by its headers, would be refused and stop the worker for ever."""
    value, headers = dead_letter(b"x" * 1_000_000, [], WHY)
    assert (len(value or b""), dict(headers)[CUT_HEADER]) == (MOST_VALUE_BYTES, b"1000000")


def test_the_instant_of_publishing_is_kept() -> None:
    assert dict(dead_letter(b"{", [], WHY, 1_700_000_000_000)[1])[PUBLISHED_HEADER] == b"1700000000000"


@pytest.mark.parametrize(("given", "attempt"), [(b"2", 2), (b"", 0), (b"-1", 0), (b"many", 0), (b"1" * 50, 0)])
def test_an_attempt_that_makes_no_sense_counts_as_none(given: bytes, attempt: int) -> None:
    assert attempts([(ATTEMPT_HEADER, given)]) == attempt


def test_a_record_rejected_again_carries_its_attempts_on() -> None:
    assert attempts(dead_letter(b"{", [(ATTEMPT_HEADER, b"2")], WHY)[1]) == 2


@pytest.mark.parametrize(("attempt", "parked"), [(b"1", False), (b"2", False), (b"3", True), (b"4", True)])
def test_the_third_failure_parks(attempt: bytes, parked: bool) -> None:
    assert (PARKED_HEADER in dict(dead_letter(b"{", [(ATTEMPT_HEADER, attempt)], WHY)[1])) == parked


def test_without_ours_the_producers_headers_are_left() -> None:
    _, headers = dead_letter(b"x" * 1_000_000, [("trace", b"1"), (ATTEMPT_HEADER, b"3")], WHY, 5)
    assert without_ours(headers) == [("trace", b"1")]
