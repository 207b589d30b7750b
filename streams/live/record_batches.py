"""One object per fetched record batch, instead of one per record: what makes Faust cheap enough.

The consumer's fetch hands over :class:`Fetched` lists, which remember between which positions they were read; the
``ConsumerScheduler`` below turns each into one :class:`RecordBatch`; the topic's schema passes it through undecoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import faust
from faust.types import TP, AppT, EventT, Message
from faust.types.transports import SchedulingStrategyT


class Record(Protocol):
    """What we use of aiokafka's ``ConsumerRecord``."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Span(NamedTuple):
    """The consumer's position before and after a fetch: the batches of a partition must form one unbroken chain."""

    before: int
    after: int


class Fetched(list[Any]):
    """The records of one partition from one fetch."""

    def __init__(self, records: Sequence[Any], span: Span) -> None:
        super().__init__(records)
        self.span = span


class RecordBatch:
    """What Faust sees as one message: its offset is the last record's, its value the records.

    >>> batch = RecordBatch(TP("clicks", 0), Fetched([], Span(4, 4)))
    >>> batch.offset
    3
    """

    __slots__ = ("offset", "partition", "timestamp", "topic", "value")

    timestamp_type = 0
    headers: Sequence[tuple[str, bytes]] = ()
    key = None
    checksum = None
    serialized_key_size = 0
    serialized_value_size = 0

    def __init__(self, tp: TP, records: Fetched) -> None:
        self.topic = tp.topic
        self.partition = tp.partition
        self.offset = records.span.after - 1
        self.timestamp = records[-1].timestamp if records else 0
        self.value = records


class BatchScheduler(SchedulingStrategyT):
    """Faust's ``ConsumerScheduler``: yields each partition's fetch as one batch."""

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, RecordBatch]]:
        for tp, fetched in records.items():
            if not isinstance(fetched, Fetched):
                raise TypeError("BatchScheduler needs the consumer of streams.live.consumer")
            yield tp, RecordBatch(tp, fetched)


class BatchSchema(faust.Schema):  # type: ignore[type-arg]
    """Hands a record batch to the stream as it is: decoding belongs to the partition owner."""

    def compile(self, app: AppT, **_: Any) -> Any:
        async def decode(message: Message, *, propagate: bool = False) -> EventT[Any]:
            return app.create_event(None, message.value, message.headers, message)

        return decode
