"""Several logs as one, in one order that depends on nothing but the logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge

from streams.replay.records import EventLog, RawRecord, RowOrder


def merge_logs(logs: Sequence[EventLog]) -> Iterator[tuple[int, RawRecord]]:
    """Every record of every log with the index of its log, by (time; clicks, searches, purchases; log, row).

    Streams: one record per log is held. A row without a readable time comes right after the row before it.
    """
    if len(logs) == 1:
        return ((0, record) for record in logs[0].records())
    return ((index, record) for _, index, _, record in merge(*(_keyed(i, log) for i, log in enumerate(logs))))


def _keyed(index: int, log: EventLog) -> Iterator[tuple[int, int, int, RawRecord]]:
    order = RowOrder()
    for place, record in enumerate(log.records()):
        yield order.key(record.ts_ms, record.kind), index, place, record
