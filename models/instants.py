"""Instants between ms since the epoch and RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def instant_text(instant_ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond.

    >>> instant_text(0)
    '1970-01-01T00:00:00.000Z'
    """
    at = _EPOCH + timedelta(milliseconds=instant_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant_of(text: str) -> int:
    """ms since the epoch of an RFC 3339 instant.

    Raises
    ------
    ValueError
        It is none, or has no time zone.

    >>> instant_of("1970-01-01T00:00:01Z")
    1000
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return (at - _EPOCH) // _MILLISECOND
