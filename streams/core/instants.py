"""Instants: RFC 3339 or epoch milliseconds in, milliseconds since the epoch (UTC) out, and back.

Every reader and the cleaner use this one parser, so that a row means the same instant in a file and on Kafka.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from streams.core.events import DAY_MS, MINUTE_MS, SECOND_MS

LAST_INSTANT: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: beyond it nothing can be written as RFC 3339."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.date().toordinal()
_ONE_MS: Final = timedelta(milliseconds=1)

# The fixed layout YYYY-MM-DDTHH:MM:SS(.fff)Z is read by looking its parts up: strict, and without converting a digit.
_MINUTES: Final = {f"T{m // 60:02d}:{m % 60:02d}:": m * MINUTE_MS for m in range(1440)}
_SECONDS: Final = {f"{s:02d}": s * SECOND_MS for s in range(60)}
_MILLIS: Final = {f"{ms:03d}": ms for ms in range(1000)}
_DAYS_KEPT: Final = 8_192
_days: dict[str, int] = {}

# And it is written the same way: an instant nobody has asked for yet costs no division of digits.
_MINUTE_TEXTS: Final = tuple(_MINUTES)
_SECOND_TEXTS: Final = tuple(_SECONDS)
_MILLI_TEXTS: Final = tuple(_MILLIS)
_INSTANTS_KEPT: Final = 4_096

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_STAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:[.,]([0-9]{1,9}))?"
    r"\s?([Zz]|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_DIGITS: Final = re.compile(r"[0-9]{12,15}", re.ASCII)


def parse_instant(value: object) -> int | None:
    """Read an instant; None where it cannot be one.

    Parameters
    ----------
    value
        RFC 3339 text (a space for ``T``, a missing zone = UTC and a bare date are understood too), or epoch
        milliseconds as a number or as text of 12 to 15 digits. Fractions of a millisecond are cut off.

    >>> parse_instant("2011-08-11T03:59:04.270Z")
    1313035144270
    >>> parse_instant(1313035144270)
    1313035144270
    >>> parse_instant("yesterday") is None
    True
    """
    if type(value) is str:
        try:
            n = len(value)
            if n == 24 and value[19] == "." and value[23] == "Z":
                return _days[value[:10]] + _MINUTES[value[10:17]] + _SECONDS[value[17:19]] + _MILLIS[value[20:23]]
            if n == 20 and value[19] == "Z":
                return _days[value[:10]] + _MINUTES[value[10:17]] + _SECONDS[value[17:19]]
        except KeyError:
            return _parse_text(value)  # a day not seen yet, or another layout
        return _parse_text(value)
    if type(value) is int:
        return value if 0 <= value <= LAST_INSTANT else None
    if type(value) is float:
        return int(value) if 0.0 <= value <= LAST_INSTANT else None  # NaN compares false
    return None


@lru_cache(maxsize=_INSTANTS_KEPT)
def format_instant(instant_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds.

    Cached: a message says the same instant twice, and scheduled scores of many users share their whole hours.

    >>> format_instant(1313035144270)
    '2011-08-11T03:59:04.270Z'
    """
    days, rest = divmod(instant_ms, DAY_MS)
    minute, rest = divmod(rest, MINUTE_MS)
    second, ms = divmod(rest, SECOND_MS)
    return f"{_day_text(days)}{_MINUTE_TEXTS[minute]}{_SECOND_TEXTS[second]}.{_MILLI_TEXTS[ms]}Z"


@lru_cache(maxsize=_DAYS_KEPT)
def _day_text(days: int) -> str:
    return date.fromordinal(_EPOCH_DAY + days).isoformat()


def _parse_text(value: str) -> int | None:
    text = value.strip()
    if _DIGITS.fullmatch(text):
        return parse_instant(int(text))
    if _DATE.fullmatch(text):
        return _day_ms(text)
    stamp = _STAMP.fullmatch(text)
    if stamp is None:
        return None
    day, minute, second, fraction, zone = stamp.groups()
    day_ms = _day_ms(day)
    minute_ms = _MINUTES.get(f"T{minute}:")
    second = (second or ":00")[1:]
    second_ms = 60 * SECOND_MS if second == "60" else _SECONDS.get(second)  # a leap second is the next second
    if day_ms is None or minute_ms is None or second_ms is None:
        return None
    instant = day_ms + minute_ms + second_ms + int((fraction or "0").ljust(3, "0")[:3])
    if zone and zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if hours > 23 or minutes > 59:
            return None
        offset = (hours * 60 + minutes) * MINUTE_MS
        instant += offset if zone[0] == "-" else -offset
    return instant if 0 <= instant <= LAST_INSTANT else None


def _day_ms(day: str) -> int | None:
    known = _days.get(day)
    if known is not None:
        return known
    try:
        ordinal = date.fromisoformat(day).toordinal()
    except ValueError:
        return None
    start = (ordinal - _EPOCH_DAY) * DAY_MS
    if start < 0:
        return None
    if len(_days) >= _DAYS_KEPT:
        _days.clear()
    _days[day] = start
    return start
