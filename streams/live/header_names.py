"""Header names that are no UTF-8: read with replacement characters, where aiokafka would fail at them for ever.

Kafka takes any bytes for the name of a header, and some clients send any. aiokafka decodes names strictly while it
unpacks a fetch, so one such record would end the worker, and end it again after every start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, SupportsIndex

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


def read_any_header_name() -> None:
    """Have every aiokafka consumer of this process unpack fetches by :class:`ForgivingRecords`."""
    fetcher.MemoryRecords = ForgivingRecords


class ForgivingRecords(_MemoryRecordsPy):  # type: ignore[misc]
    """Record batches of one fetch, as aiokafka cuts them."""

    def next_batch(self, *given: Any) -> Any:
        """The next batch, or None."""
        raw = self._next_slice
        batch = super().next_batch(*given)
        return batch if batch is None or not hasattr(batch, "next_offset") else _Batch(batch, raw)


class _Batch:
    """A batch that is read by a slower, forgiving reader where the fast one fails. It is read whole, once."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(iter(self._batch))

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(_ForgivingBatch(bytearray(self._raw)))


class _ForgivingBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Text(self._buffer)


class _Text(bytearray):
    """Bytes whose parts are decoded whatever they hold."""

    def __getitem__(self, part: SupportsIndex | slice) -> Any:
        found = super().__getitem__(part)
        return _Text(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)
