"""The changelog of one partition: where its state is safe, and how a zombie finds out that it is one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.core.errors import BrokerError, StalledError
from streams.kafka_access import refusal
from streams.live.connections import new_consumer
from streams.live.fence import (
    NO_WRITER,
    TALLY_HEADER,
    ChangelogRecord,
    fence_key,
    judge_gap,
    rewrites,
    tally_of,
    writer_header,
    writer_of,
)
from streams.live.outbox import Message, Producer
from streams.live.reach import Reach
from streams.settings import Settings

log = logging.getLogger(__name__)

Write = tuple[bytes, bytes | None]


class FencedError(BrokerError):
    """Another worker has taken the partition from us: we are the zombie."""


class ChangelogReader:
    """Reads one partition of the changelog between two offsets, without a consumer group.

    Parameters
    ----------
    settings, topic, partition
        Where.
    stall_s
        Seconds without a record before the read gives up (FAUST.md 8: stock recovery may wait for ever). Outages do not
        count.
    reach
        Knows of outages.
    """

    def __init__(
        self, settings: Settings, topic: str, partition: int, *, stall_s: float, reach: Reach | None = None
    ) -> None:
        self._reach = reach or Reach(settings.brokers)
        self._settings = settings
        self._tp = TopicPartition(topic, partition)
        self._stall_s = stall_s

    async def oldest(self) -> int:
        """The oldest offset that is left."""
        return await self._reach.through(self._oldest, self._stall_s)

    async def _oldest(self) -> int:
        async with self._consumer() as consumer:
            consumer.pause(self._tp)  # the question would wait behind a fetch
            found = await consumer.beginning_offsets([self._tp])
            return int(found[self._tp])

    async def read(self, first: int, last: int) -> AsyncIterator[list[ChangelogRecord]]:
        """Records with ``first`` <= offset <= ``last``, in order, in the portions they were fetched in.

        Raises
        ------
        StalledError
            Nothing came for ``stall_s`` seconds before ``last`` was passed, though Kafka can be reached.
        """
        if first > last:
            return
        async with self._consumer() as consumer:
            consumer.seek(self._tp, first)
            progressed = self._reach.now()
            reached = first
            while reached <= last:
                fetched = await consumer.getmany(self._tp, timeout_ms=500)
                records = _unpacked(fetched.get(self._tp, ()), last)
                position = await consumer.position(self._tp)
                if position > reached:
                    reached, progressed = position, self._reach.now()
                elif self._reach.waited_s(progressed) > self._stall_s:
                    raise StalledError(
                        f"Reading {self._tp.topic}, partition {self._tp.partition} stalled at offset {reached} of "
                        f"{last} for {self._stall_s:g} s.",
                        "Look at the broker's log; the restore starts over when the worker is started again.",
                    )
                if records:
                    yield records

    def _consumer(self) -> _Reading:
        return _Reading(self._settings, self._tp, self._reach, self._stall_s)


def _unpacked(batches: Iterable[tuple[int, Any]], last: int) -> list[ChangelogRecord]:
    """Records up to an offset. Those of one writer carry the same headers, but for a tally here and there."""
    unpacked: list[ChangelogRecord] = []
    headers, writer, tally = None, NO_WRITER, None
    for first, batch in batches:
        for record in batch:
            if first <= record.offset <= last:
                if record.headers != headers:
                    headers = record.headers
                    writer, tally = writer_of(headers), tally_of(headers)
                unpacked.append(ChangelogRecord(record.offset, record.key or b"", record.value, writer, tally))
    return unpacked


class _Reading:
    """A consumer for the length of one read."""

    def __init__(self, settings: Settings, tp: TopicPartition, reach: Reach, within_s: float) -> None:
        self._settings = settings
        self._tp = tp
        self._reach = reach
        self._within_s = within_s
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> AIOKafkaConsumer:
        return await self._reach.through(self._connect, self._within_s)

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = new_consumer(self._settings, whole_batches=True)
        try:
            await consumer.start()
        except KafkaError as error:
            await consumer.stop()
            raise self._unreadable(error) from error
        consumer.assign([self._tp])
        self._consumer = consumer
        return consumer

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
        if isinstance(error, KafkaError):
            raise self._unreadable(error) from error

    def _unreadable(self, error: KafkaError) -> BrokerError:
        refused = refusal(error, self._settings, "Read", f"topic {self._tp.topic}")
        return refused or BrokerError(f"The changelog cannot be read: {error!r}.")


class Changelog:
    """Appends to one partition of the changelog as one writer, and notices when others did.

    Parameters
    ----------
    producer
        Sends; it awaits acks.
    reader
        Reads the gaps.
    topic, partition
        Where.
    writer
        Our fresh writer id, named by the fence.
    """

    stored: Callable[[bytes], bytes | None] = staticmethod(lambda key: None)
    """The value last stored for a key: what a foreign record must be followed by. Set with the store."""

    def __init__(
        self,
        producer: Producer,
        reader: ChangelogReader,
        topic: str,
        partition: int,
        writer: int,
    ) -> None:
        self._producer = producer
        self._reader = reader
        self._topic = topic
        self._partition = partition
        self.where = f"{topic}, partition {partition}"
        self.writer = writer
        self._headers = writer_header(writer)
        self.last = -1
        """Offset of our last record; nobody has appended before it since our fence without our knowing."""
        self.foreign = 0
        """How many keys of others we had to write again."""

    async def fence(self) -> int:
        """Append the fence that names us; its offset."""
        key = fence_key(self.writer)
        batches = await self._producer.send(self._topic, self._partition, [Message(key, b"{}", self._headers)])
        self.last = batches[-1][0]
        return self.last

    async def append(self, writes: Iterable[Write], tallies: Mapping[bytes, bytes] | None = None) -> int:
        """Append writes, in order, and make sure that nobody else did meanwhile; the offset of the last.

        Parameters
        ----------
        writes
            Keys and values.
        tallies
            By key: the partition's tally up to and with this write.

        Raises
        ------
        FencedError
            A newer fence lies between our last record and this one. Nothing of ours counts behind it: exit, and touch
            neither the store nor the input offsets.
        """
        pending = list(writes)
        fresh = dict(pending)

        def current(key: bytes) -> bytes | None:
            return fresh[key] if key in fresh else self.stored(key)

        while pending:
            messages = [Message(key, value, self._tallied(key, tallies)) for key, value in pending]
            batches = await self._producer.send(self._topic, self._partition, messages)
            tallies = None  # what is written again changes nothing
            foreign: dict[bytes, None] = {}
            for base, count in batches:
                if base != self.last + 1:
                    for key in await self._judge(self.last + 1, base - 1):
                        foreign[key] = None
                self.last = base + count - 1
            pending = rewrites(foreign, current)
            self.foreign += len(pending)
        return self.last

    def _tallied(self, key: bytes, tallies: Mapping[bytes, bytes] | None) -> list[tuple[str, bytes]]:
        tally = tallies.get(key) if tallies else None
        return self._headers if tally is None else [*self._headers, (TALLY_HEADER, tally)]

    async def _judge(self, first: int, last: int) -> tuple[bytes, ...]:
        if first > last:
            raise BrokerError(
                f"{self._topic}, partition {self._partition} gave offset {last + 1} after {first - 1}: it was created "
                "anew or lost records.",
                "Start the worker again; it compares the topic ids.",
            )
        records: list[ChangelogRecord] = []
        async for portion in self._reader.read(first, last):
            records.extend(portion)
        gap = judge_gap(records, self.writer)
        if gap.newer_fence != NO_WRITER:
            raise FencedError(
                f"Another worker has taken {self._topic}, partition {self._partition} (offsets {first} to {last}); "
                "this one was silent for too long.",
                "It leaves now; start it again.",
            )
        log.warning(
            "%d foreign records in %s, partition %d, offsets %d to %d; writing %d keys again.",
            len(records),
            self._topic,
            self._partition,
            first,
            last,
            len(gap.foreign),
        )
        return gap.foreign


async def breathe() -> None:
    """Let others run, between portions of long work."""
    await asyncio.sleep(0)
