"""Instants: what is read, to which millisecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.instants import LAST_INSTANT, format_instant, parse_instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2011-08-11T03:59:04.270Z", 1313035144270),
        ("2011-08-11T03:59:04Z", 1313035144000),
        ("2011-08-11 03:59:04Z", 1313035144000),
        ("2011-08-11t03:59:04z", 1313035144000),
        ("2011-08-11T03:59:04", 1313035144000),
        ("2011-08-11T05:59:04+02:00", 1313035144000),
        ("2011-08-11T05:59:04+0200", 1313035144000),
        ("2011-08-10T23:29:04.2709-04:30", 1313035144270),
        ("2011-08-11T03:59Z", 1313035140000),
        ("2011-08-11", 1313020800000),
        ("2016-12-31T23:59:60Z", 1483228800000),
        (" 2011-08-11T03:59:04Z ", 1313035144000),
        ("1313035144270", 1313035144270),
    ],
)
def test_text_is_read_to_the_millisecond(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "x",
        True,
        [],
        {},
        "2011-02-30T00:00:00Z",
        "2011-08-11T24:00:00Z",
        "2011-08-11T03:60:00Z",
        "2011-08-11T03:59:61Z",
        "2011-08-11T+3:59:04Z",
        "2011-08-11T03:59:04+24:00",
        "٢٠١١-08-11T03:59:04Z",
        "0000-01-01",
        "1969-12-31T23:59:59Z",
        -1,
        LAST_INSTANT + 1,
        float("nan"),
        float("inf"),
        "20110811",
        "11/08/2011",
        b"2011-08-11",
    ],
)
def test_what_is_no_instant_is_none(value: object) -> None:
    assert parse_instant(value) is None


def test_a_whole_float_is_epoch_milliseconds() -> None:
    assert parse_instant(1313035144270.0) == 1313035144270


@given(st.integers(0, LAST_INSTANT))
def test_formatting_and_reading_are_inverse(instant: int) -> None:
    assert parse_instant(format_instant(instant)) == instant


@given(
    st.datetimes(datetime.fromisoformat("1970-01-03"), datetime.fromisoformat("9999-12-29")),
    st.integers(-23 * 60, 23 * 60),
)
def test_reading_agrees_with_the_standard_library(local: datetime, offset_minutes: int) -> None:
    stamp = local.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    expected = (stamp - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert parse_instant(stamp.isoformat()) == expected
