"""Dead letters: a rejected record as it was, with headers that say why and where (KIP-1034, like Kafka Streams).

A record that is sent again (``ebbtide dead-letters redrive``) carries which attempt it is. If it is rejected again its
letter keeps the count; at :data:`PARKED_AFTER` the letter is parked, and no longer offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from streams.core.letter_limit import LetterLimit
from streams.core.ports import Rejection
from streams.settings import Settings

PREFIX: Final = "__streams.errors."
REASON_HEADER: Final = f"{PREFIX}exception"
MOST_VALUE_BYTES: Final = 900_000
"""An original beyond it is cut, and says so: a broker with default limits would refuse it with the headers added."""
CUT_HEADER: Final = "ebbtide.cut_from_bytes"
MOST_KEY_BYTES: Final = 65_536
CUT_KEY_HEADER: Final = "ebbtide.cut_key_from_bytes"
MOST_HEADERS_BYTES: Final = 65_536
"""Headers of the record's own beyond it are left out, and the letter says so: limits count them too."""
DROPPED_HEADERS: Final = "ebbtide.dropped_headers"
MOST_MESSAGE_CHARS: Final = 1_000
PUBLISHED_HEADER: Final = "ebbtide.published_ms"
"""Kafka timestamp of the rejected record; the letter's own is when it was rejected."""
ATTEMPT_HEADER: Final = "ebbtide-redrive-attempt"
ORIGIN_HEADER: Final = "ebbtide-redrive-origin"
"""Of a record sent again: the id of the letter it was, ``topic-partition-offset-hash`` of what was rejected."""
PARKED_HEADER: Final = "ebbtide-redrive-parked"
PARKED_AFTER: Final = 3
"""How many times a letter is sent again before its next rejection parks it."""

Headers = Sequence[tuple[str, bytes]]


def dead_letter(
    value: bytes | None,
    headers: Headers,
    rejection: Rejection,
    published_ms: int | None = None,
    *,
    key: bytes | None = None,
) -> tuple[bytes | None, Headers]:
    """Value and headers of the dead letter for a record.

    Parameters
    ----------
    value, headers
        The record's own; its headers are kept in front.
    rejection
        Why, and where it stood.
    published_ms
        The record's Kafka timestamp, ms; None where it is not known.
    key
        The record's key: the letter has :data:`MOST_KEY_BYTES` of it at most, and says so.

    >>> from streams.core.events import Position
    >>> why = Rejection("not_json", "not JSON: ...", Position("clicks", 3, 17))
    >>> value, headers = dead_letter(b"{", [], why)
    >>> value, dict(headers)["__streams.errors.offset"]
    (b'{', b'17')
    """
    where = rejection.position
    added = [
        (REASON_HEADER, rejection.reason.encode()),
        (f"{PREFIX}message", rejection.message[:MOST_MESSAGE_CHARS].encode(errors="replace")),
        (f"{PREFIX}topic", where.topic.encode()),
        (f"{PREFIX}partition", b"%d" % where.partition),
        (f"{PREFIX}offset", b"%d" % where.offset),
    ]
    if published_ms is not None:
        added.append((PUBLISHED_HEADER, b"%d" % published_ms))
    if attempts(headers) >= PARKED_AFTER:
        added.append((PARKED_HEADER, b"true"))
    if value is not None and len(value) > MOST_VALUE_BYTES:
        added.append((CUT_HEADER, b"%d" % len(value)))
        value = value[:MOST_VALUE_BYTES]
    if key is not None and len(key) > MOST_KEY_BYTES:
        added.append((CUT_KEY_HEADER, b"%d" % len(key)))
    if not headers:
        return value, added
    kept = _kept(headers)
    if len(kept) < len(headers):
        added.append((DROPPED_HEADERS, b"%d" % (len(headers) - len(kept))))
    return value, [*kept, *added]


def _kept(headers: Headers) -> Headers:
    """The headers that fit, those of a redrive first: they say when to park."""
    ours = (ATTEMPT_HEADER, ORIGIN_HEADER)
    if sum(_size(header) for header in headers) <= MOST_HEADERS_BYTES:
        return headers
    room = MOST_HEADERS_BYTES
    fitting: set[int] = set()
    for at in sorted(range(len(headers)), key=lambda at: headers[at][0] not in ours):
        size = _size(headers[at])
        if size <= room:
            room -= size
            fitting.add(at)
    return [header for at, header in enumerate(headers) if at in fitting]


def _size(header: tuple[str, bytes | None]) -> int:
    return len(header[0].encode(errors="replace")) + len(header[1] or b"") + 10  # and two lengths


def attempts(headers: Headers) -> int:
    """How many times a record was sent again; 0 where it never was, or where the header makes no sense.

    >>> attempts([("ebbtide-redrive-attempt", b"2")])
    2
    """
    if not headers:
        return 0
    found = dict(headers).get(ATTEMPT_HEADER) or b""
    return int(found) if found.isdigit() and len(found) < 4 else 0


def without_ours(headers: Headers) -> list[tuple[str, bytes]]:
    """A letter's headers as the producer of the record had written them."""
    ours = (CUT_HEADER, CUT_KEY_HEADER, DROPPED_HEADERS, PUBLISHED_HEADER, ATTEMPT_HEADER, ORIGIN_HEADER, PARKED_HEADER)
    return [(name, value) for name, value in headers if not name.startswith(PREFIX) and name not in ours]


def letter_limit(settings: Settings) -> LetterLimit:
    """The limit past which a worker stops, as it is set."""
    return LetterLimit(settings.dead_letter_limit_share, settings.dead_letter_limit_per_minute)
