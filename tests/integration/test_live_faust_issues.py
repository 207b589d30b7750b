"""Issues of faust-streaming/faust about recovery, on Apache Kafka: a hole, an emptied log, a log cut meanwhile."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaProducer
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.live.changelog import Changelog, ChangelogReader
from streams.live.fence import ChangelogRecord
from streams.live.outbox import Message, Producer
from streams.live.store import MemoryStore
from streams.live.taking import Taken, take_partition
from streams.provisioning import ensure_topics
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name
from tests.support.brokers import RunningBroker

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

STALL_S = 60.0
"""A restore that hangs ends the test as a stall."""


@pytest.fixture
def settings(apache_kafka: RunningBroker) -> Settings:
    settings = apache_kafka.settings(partitions=1)
    ensure_topics(settings)
    return settings


def topic(settings: Settings) -> str:
    return topic_name(CHANGELOG, settings)


def cut_off_before(settings: Settings, offset: int) -> None:
    """Delete the oldest records of the changelog, as a retention policy set by mistake does."""
    admin = KafkaAdminClient(bootstrap_servers=settings.brokers)
    try:
        for policy in ("compact,delete", "compact"):
            configs = {"cleanup.policy": policy}
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic(settings), configs)])
            if policy != "compact":
                admin.delete_records({TopicPartition(topic(settings), 0): offset})
    finally:
        admin.close()


async def append(settings: Settings, records: int, *, bytes_each: int = 10) -> None:
    producer = Producer(settings)
    await producer.start()
    try:
        await producer.send(
            topic(settings), 0, [Message(b"user-%d" % number, b"v" * bytes_each) for number in range(records)]
        )
    finally:
        await producer.stop()


async def take(settings: Settings) -> Taken:
    producer = Producer(settings)
    await producer.start()
    try:
        reader = ChangelogReader(settings, topic(settings), 0, stall_s=STALL_S)
        return await take_partition(
            MemoryStore,
            lambda store: MemoryStore(),
            Changelog(producer, reader, topic(settings), 0, writer=7),
            reader,
            now_ms=lambda: time.time_ns() // 1_000_000,
        )
    finally:
        await producer.stop()


def test_faust_597_a_changelog_whose_records_are_all_deleted_is_taken_and_not_waited_for(settings: Settings) -> None:
    """Faust waits for offset ``high watermark - 1``, which an emptied partition does not have."""

    async def steps() -> Taken:
        await append(settings, 20)
        await asyncio.to_thread(cut_off_before, settings, 20)
        return await take(settings)

    taken = asyncio.run(steps())
    assert taken.changelog_oldest == 20  # so what is missing is known, and judged before anything is read
    assert taken.changelog.last == 20
    assert not taken.has_profiles


def test_faust_651_a_changelog_that_is_cut_while_it_is_restored_does_not_hang_the_restore(settings: Settings) -> None:
    """Faust waits for ever at the offset that is gone meanwhile."""

    async def steps() -> list[ChangelogRecord]:
        await append(settings, 60, bytes_each=200_000)  # 12 MB: more than is fetched at once
        reader = ChangelogReader(settings, topic(settings), 0, stall_s=STALL_S)
        read: list[ChangelogRecord] = []
        async for portion in reader.read(0, 59):
            if not read:
                await asyncio.to_thread(cut_off_before, settings, 55)
            read += portion
        return read

    read = asyncio.run(steps())
    assert [record.offset for record in read[-5:]] == [55, 56, 57, 58, 59]


def test_faust_176_a_changelog_that_ends_in_an_offset_without_a_record_is_restored_to_its_end(
    settings: Settings,
) -> None:
    """Compaction takes the last record of a segment away, a transaction leaves a marker: no record ever has the last
    offset, for which Faust waits."""

    async def steps() -> list[ChangelogRecord]:
        producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, transactional_id=settings.group_id)
        await producer.start()
        try:
            async with producer.transaction():
                await producer.send_and_wait(topic(settings), b"v", b"ann", partition=0)
        finally:
            await producer.stop()
        reader = ChangelogReader(settings, topic(settings), 0, stall_s=STALL_S)
        return [record async for portion in reader.read(0, 1) for record in portion]

    assert [record.offset for record in asyncio.run(steps())] == [0]
