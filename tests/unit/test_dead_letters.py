"""Dead letters keep the original, and say why and where."""

from __future__ import annotations

from streams.core.events import Position
from streams.core.ports import Rejection
from streams.dead_letters import CUT_HEADER, MOST_VALUE_BYTES, dead_letter

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
