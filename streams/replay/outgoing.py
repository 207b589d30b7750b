"""What a row of a log becomes on Kafka: topic, key, value."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple
from zlib import crc32

from kafka.partitioner.default import murmur2

from streams import codec
from streams.core.cleaning import user_of
from streams.core.events import INPUT_TOPICS, Kind
from streams.replay.records import RawRecord, record_id

NOBODY: Final = b""
"""Key of records without a user. They are spread by their bytes: publishing again repeats itself, and no partition has
all of what is broken."""

MAX_MESSAGE_BYTES: Final = 900_000
"""Beyond it a message does not fit into Kafka's default of 1 MiB with its framing."""

_SENT_AS_IT_IS: Final = frozenset({"not_json", "not_an_object"})


class Outgoing(NamedTuple):
    """One message: ``topic`` without prefix."""

    topic: str
    key: bytes
    value: bytes


def outgoing(record: RawRecord, digest: str) -> Outgoing | None:
    """The message for a row, or None where no topic can be told or the message would be too large.

    A row without an event_id of its own is given its :func:`~streams.replay.records.record_id`: the same on every
    publishing, and the one that backfill gives it. Bytes that are no JSON object go to ``clicks`` as they are, so that
    the worker makes dead letters of them.

    >>> outgoing(RawRecord(3, 0, 5, {"event_type": "click", "user_id": "u", "ts": 5}, None), "0123456789abcdef")
    Outgoing(topic='clicks', key=b'u', value=b'{"user_id":"u","ts":5,"event_id":"0123456789ab-000000003"}')
    """
    raw = record.raw
    if isinstance(raw, bytes):
        if record.fault is None or record.fault.reason not in _SENT_AS_IT_IS:
            return None
        return Outgoing(INPUT_TOPICS[Kind.CLICK], NOBODY, raw)
    if record.kind is None:
        return None
    body: dict[str, Any] = {name: value for name, value in raw.items() if name != "event_type"}
    event_id = body.get("event_id")
    if event_id is None or (isinstance(event_id, str) and not event_id.strip()):
        body["event_id"] = record_id(digest, record.row)
    user = user_of(raw.get("user_id"))
    value = codec.encode(body)
    if len(value) > MAX_MESSAGE_BYTES:
        return None
    return Outgoing(INPUT_TOPICS[record.kind], NOBODY if user is None else user.encode(), value)


def place_of(message: Outgoing, partitions: int) -> int:
    """The partition of a message: by its key; by its bytes where it has no user.

    >>> place_of(Outgoing("clicks", b"21", b"{}"), 8)
    4
    """
    return partition_of(message.key, partitions) if message.key else crc32(message.value) % partitions


@lru_cache(maxsize=100_000)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key as Kafka's default partitioner in Java chooses it (murmur2).

    >>> partition_of(b"21", 8)
    4
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
