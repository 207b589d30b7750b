"""The reader of the changelog takes whole batches; beside it stands a consumer that goes record by record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from streams.live.bounds import LogBounds
from streams.live.changelog import ChangelogReader
from streams.live.connections import new_consumer
from streams.live.fence import ChangelogRecord, tally_of, writer_header, writer_of
from streams.live.outbox import Message, Producer
from streams.provisioning import ensure_topics
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name
from tests.support.brokers import RunningBroker

RECORDS = 300


@pytest.fixture(scope="module")
def written(broker: RunningBroker) -> Settings:
    """A changelog of two writers, with tallies, tombstones, records of nobody, in batches of many sizes."""
    settings = broker.settings(partitions=1)
    ensure_topics(settings, [CHANGELOG])
    dice = Random(1)

    def message(number: int) -> Message:
        headers = writer_header(dice.choice([7, 7, 7, 9])) if dice.random() < 0.9 else []
        if headers and dice.random() < 0.2:
            headers = [*headers, ("tally", b"%d" % number)]
        return Message(b"u%d" % dice.randrange(40), None if dice.random() < 0.2 else b"v%d" % number, headers)

    async def write() -> None:
        producer = Producer(settings)
        await producer.start()
        sent = 0
        while sent < RECORDS:
            count = min(dice.choice([1, 3, 50]), RECORDS - sent)
            await producer.send(topic_name(CHANGELOG, settings), 0, [message(sent + n) for n in range(count)])
            sent += count
        await producer.stop()

    asyncio.run(write())
    return settings


def by_batch(settings: Settings, first: int, last: int) -> list[ChangelogRecord]:
    async def read() -> list[ChangelogRecord]:
        reader = ChangelogReader(settings, topic_name(CHANGELOG, settings), 0, stall_s=30.0)
        return [record async for portion in reader.read(first, last) for record in portion]

    return asyncio.run(read())


def by_record(settings: Settings, first: int, last: int) -> list[ChangelogRecord]:
    async def read() -> list[ChangelogRecord]:
        consumer, tp = new_consumer(settings), TopicPartition(topic_name(CHANGELOG, settings), 0)
        await consumer.start()
        consumer.assign([tp])
        consumer.seek(tp, first)
        found: list[ChangelogRecord] = []
        while not found or found[-1].offset < last:
            for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, ()):
                headers: Sequence[tuple[str, bytes]] = record.headers
                found.append(
                    ChangelogRecord(record.offset, record.key, record.value, writer_of(headers), tally_of(headers))
                )
        await consumer.stop()
        return [record for record in found if record.offset <= last]

    return asyncio.run(read())


def test_whole_batches_hold_what_is_read_record_by_record(written: Settings) -> None:
    found = by_batch(written, 0, RECORDS - 1)
    assert len(found) == RECORDS
    assert found == by_record(written, 0, RECORDS - 1)


@pytest.mark.parametrize(("first", "last"), [(1, 1), (5, 200), (137, 138), (RECORDS - 1, RECORDS - 1)])
def test_a_span_that_begins_and_ends_within_batches_is_read_exactly(written: Settings, first: int, last: int) -> None:
    found = by_batch(written, first, last)
    assert [record.offset for record in found] == list(range(first, last + 1))
    assert found == by_record(written, first, last)


def test_the_reader_knows_the_oldest_offset(written: Settings) -> None:
    reader = ChangelogReader(written, topic_name(CHANGELOG, written), 0, stall_s=30.0)
    assert asyncio.run(reader.oldest()) == 0


def test_bounds_can_be_asked_again_after_they_were_closed(written: Settings) -> None:
    tp = TP(topic_name(CHANGELOG, written), 0)

    async def ask() -> list[dict[TP, int]]:
        bounds = LogBounds(written)
        try:
            found = [await bounds.oldest([tp]), await bounds.ends([tp])]
            await bounds.close()
            return [*found, await bounds.oldest([tp])]
        finally:
            await bounds.close()

    oldest, ends, again = asyncio.run(ask())
    assert (oldest, again) == ({tp: 0}, {tp: 0})
    assert ends[tp] <= RECORDS  # the embedded broker tells the base of its last batch
