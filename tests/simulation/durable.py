"""What is safe in Kafka at any moment: the changelog by the fence rule, recounted record by record as it is appended.

Written apart from :mod:`streams.live.fence`, so that breaking that one does not break its judge.
"""

from __future__ import annotations

from typing import Final

import msgspec

from streams.core.events import INPUT_TOPICS
from streams.core.stored_profile import HEADER_BYTES, Stored
from streams.live.partition_record import PartitionRecord
from streams.topics import CHANGELOG, DEAD_LETTERS
from tests.simulation.kafka import Broker, Record

_stored: Final = msgspec.msgpack.Decoder(Stored)
_record: Final = msgspec.json.Decoder(PartitionRecord)


class Durable:
    """One partition's state as a restore of the whole, never compacted changelog would find it."""

    def __init__(self, broker: Broker, partition: int) -> None:
        self.refused = 0
        """Records of writers that had been fenced off."""
        self._broker = broker
        self._partition = partition
        self._writer = b""
        self._state: dict[bytes, bytes | None] = {}
        self._letters: set[tuple[str, int]] = set()
        self._checked: dict[tuple[str, int], int] = {}
        broker.topics[CHANGELOG][partition].on_append.append(self._appended)
        broker.topics[DEAD_LETTERS][partition].on_append.append(self._letter)

    def position(self, kind: int, topic_id: str) -> int:
        """The offset up to which an input is applied, -1 where nothing of this topic is."""
        record = self._recorded()
        if record is None or record.inputs[kind].topic_id != topic_id:
            return -1
        return record.inputs[kind].next

    def missing_below(self, kind: int, offset: int) -> str | None:
        """What is not safe of the records below an offset of an input, in words; None where all is."""
        name = INPUT_TOPICS[kind]
        topic_id = self._broker.topic_ids[name]
        recorded = self.position(kind, topic_id)
        if recorded < offset:
            return f"the partition record says {recorded}"
        record = self._recorded()
        assert record is not None
        epoch = record.inputs[kind].epoch
        first = self._checked.get((topic_id, kind), 0)
        self._checked[topic_id, kind] = max(first, offset)
        for one in self._broker.topics[name][self._partition].read(first, offset - first):
            if one.offset < offset and not self._safe(one, kind, epoch, topic_id):
                return f"offset {one.offset} of {one.key!r} left no trace"
        return None

    def _safe(self, record: Record, kind: int, epoch: int, topic_id: str) -> bool:
        if (topic_id, record.offset) in self._letters:
            return True
        value = self._state.get(record.key or b"")
        if value is None:
            return False
        applied = _stored.decode(value[HEADER_BYTES:]).applied[kind]
        return applied[0] == epoch and applied[1] >= record.offset

    def _recorded(self) -> PartitionRecord | None:
        raw = self._state.get(b"\x00partition")
        return None if raw is None else _record.decode(raw)

    def _appended(self, record: Record) -> None:
        writer = dict(record.headers).get("writer", b"")
        key = record.key or b""
        if key.startswith(b"\x00fence/"):
            self._writer = writer
        elif writer == self._writer:
            self._state[key] = record.value
        else:
            self.refused += 1

    def _letter(self, record: Record) -> None:
        headers = dict(record.headers)
        topic = headers["__streams.errors.topic"].decode()
        self._letters.add((self._broker.topic_ids[topic], int(headers["__streams.errors.offset"])))
