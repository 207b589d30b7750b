"""Dead letters: a rejected record as it was, with headers that say why and where (KIP-1034, like Kafka Streams)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from streams.core.ports import Rejection

PREFIX: Final = "__streams.errors."
REASON_HEADER: Final = f"{PREFIX}exception"
MOST_VALUE_BYTES: Final = 900_000
"""An original beyond it is cut, and says so: a broker with default limits would refuse it with the headers added."""
CUT_HEADER: Final = "ebbtide.cut_from_bytes"

Headers = Sequence[tuple[str, bytes]]


def dead_letter(value: bytes | None, headers: Headers, rejection: Rejection) -> tuple[bytes | None, Headers]:
    """Value and headers of the dead letter for a record.

    Parameters
    ----------
    value, headers
        The record's own; its headers are kept in front.
    rejection
        Why, and where it stood.

    >>> from streams.core.events import Position
    >>> why = Rejection("not_json", "not JSON: ...", Position("clicks", 3, 17))
    >>> value, headers = dead_letter(b"{", [], why)
    >>> value, dict(headers)["__streams.errors.offset"]
    (b'{', b'17')
    """
    where = rejection.position
    added = [
        (REASON_HEADER, rejection.reason.encode()),
        (f"{PREFIX}message", rejection.message.encode()),
        (f"{PREFIX}topic", where.topic.encode()),
        (f"{PREFIX}partition", b"%d" % where.partition),
        (f"{PREFIX}offset", b"%d" % where.offset),
    ]
    if value is not None and len(value) > MOST_VALUE_BYTES:
        added.append((CUT_HEADER, b"%d" % len(value)))
        value = value[:MOST_VALUE_BYTES]
    return value, [*headers, *added]
