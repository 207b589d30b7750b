"""A Kafka record's bytes, decoded and cleaned: for the worker, and for whoever asks what it would say."""

from __future__ import annotations

from typing import Any

from streams.codec import CodecError, decode
from streams.core.cleaning import CleaningPolicy, clean
from streams.core.events import Event, Position
from streams.core.ports import Rejection


def clean_record(
    value: bytes | None, kind: int, position: Position, published_ms: int, policy: CleaningPolicy, *, epoch: int = 0
) -> tuple[Event | Rejection, Any]:
    """What a record becomes, and what was decoded of it (None where nothing was).

    Parameters
    ----------
    value
        The record's bytes.
    kind
        Which input it came in by.
    position
        Where it stands; names it if it has no event_id.
    published_ms
        Its Kafka timestamp, ms.
    policy
        How records are cleaned.
    epoch
        How often its topic was created anew: an offset is given again in each.

    >>> clean_record(b"{", 0, Position("clicks", 0, 7), 0, CleaningPolicy())[0].reason
    'not_json'
    """
    if value is None:
        return Rejection("not_json", "the record has no value", position), None
    if len(value) > policy.max_record_bytes:
        most = policy.max_record_bytes
        return Rejection("oversized", f"{len(value)} bytes, at most {most} are taken", position), None
    try:
        raw = decode(value)
    except CodecError as error:
        return Rejection("not_json", str(error), position), None
    topic, partition, offset = position
    cleaned = clean(
        raw,
        kind,
        position=position,
        record_id=f"{unnamed(topic, partition, epoch)}{offset}",
        published_ms=published_ms,
        policy=policy,
    )
    return cleaned, raw


def unnamed(topic: str, partition: int, epoch: int = 0) -> str:
    """What stands before the offset in the name of a record that has no event_id.

    >>> unnamed("clicks", 3), unnamed("clicks", 3, 1)
    ('clicks-3-', 'clicks-3-1-')
    """
    return f"{topic}-{partition}-" if not epoch else f"{topic}-{partition}-{epoch}-"
