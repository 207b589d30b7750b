"""Fetches handed over batch by batch: for who reads a whole partition, and needs no object with twelve fields a record.

aiokafka unpacks what it fetches in a class that cannot be set, record by record. A consumer that was made with
:data:`WHOLE` gets the batches themselves, each with the offset that was asked for; all other consumers are untouched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException


def WHOLE(key: Any) -> Any:  # noqa: N802 (a mark that aiokafka takes for the deserializer of keys)
    """Given as ``key_deserializer``: this consumer's ``getmany`` gives (first offset wanted, batch of records)."""
    raise NotImplementedError("a mark, never called")


class WholeBatches(PartitionRecords):  # type: ignore[misc]
    """What one fetch brought of a partition: its batches, in order."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[tuple[int, Any]]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            wanted, self.next_fetch_offset = self.next_fetch_offset, batch.next_offset
            if not batch.is_control_batch:
                yield wanted, batch


_BY_RECORD: Final = PartitionRecords


def _records(tp: Any, records: Any, aborted: Any, offset: int, key_deserializer: Any, *more: Any) -> PartitionRecords:
    kind = WholeBatches if key_deserializer is WHOLE else _BY_RECORD
    return kind(tp, records, aborted, offset, key_deserializer, *more)


def hand_over_whole_batches() -> None:
    """Have aiokafka's consumers of this process look for the mark."""
    fetcher.PartitionRecords = _records
