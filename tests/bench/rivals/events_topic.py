"""The log as rivals read it, and what they wrote.

All of it lies in one topic, in order of event time within a partition, with the ``event_type`` in each record. Clicks
are ten times as many as purchases: whoever takes three topics in turns has them so far apart in event time that nine
records in ten of w1 are late. Ebbtide aligns its inputs, and so does Quix where topics are concatenated; Faust and
Bytewax do not. So rivals are spared that work, and all do the same arithmetic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2

from streams.codec import decode
from tests.neighbours.load import BATCH_BYTES, now_ms

_SILENT: Final = 5
"""Fetches in a row that bring nothing: the end."""


def partition_of(user_id: str, partitions: int) -> int:
    """Where Java's producers put a user.

    >>> partition_of("u7", 8) == partition_of("u7", 8)
    True
    """
    return int((murmur2(user_id.encode()) & 0x7FFFFFFF) % partitions)


def fill(brokers: str, topic: str, partitions: int, lines: Iterable[bytes]) -> None:
    """Create the topic and put JSON lines into it by user, in whole batches."""
    asyncio.run(_fill(brokers, topic, partitions, lines))


def create(brokers: str, topics: Iterable[str], partitions: int) -> None:
    """Create topics of an application."""
    asyncio.run(_create(brokers, topics, partitions))


def read(brokers: str, topics: Iterable[str]) -> Iterator[Any]:
    """Every record of some topics, by partition in order."""
    return iter(asyncio.run(_read(brokers, list(topics))))


async def _create(brokers: str, topics: Iterable[str], partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    finally:
        await admin.close()


async def _fill(brokers: str, topic: str, partitions: int, lines: Iterable[bytes]) -> None:
    await _create(brokers, [topic], partitions)
    producer = AIOKafkaProducer(bootstrap_servers=brokers, max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        batches = [producer.create_batch() for _ in range(partitions)]
        for line in lines:
            user_id = decode(line)["user_id"]
            partition = partition_of(user_id, partitions)
            given = {"key": user_id.encode(), "value": line.rstrip(), "timestamp": now_ms()}
            if batches[partition].append(**given) is None:
                await _sent(producer, batches[partition], topic, partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(**given)
        for partition, batch in enumerate(batches):
            if batch.record_count():
                await _sent(producer, batch, topic, partition)
    finally:
        await producer.stop()


async def _sent(producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> None:
    batch.close()
    await (await producer.send_batch(batch, topic, partition=partition))


async def _read(brokers: str, topics: list[str]) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    await consumer.start()
    try:
        for topic in topics:
            await consumer._client.add_topic(topic)
        tps = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        records: list[Any] = []
        silent = 0
        while silent < _SILENT and any([await consumer.position(tp) < ends[tp] for tp in tps]):
            fetched = await consumer.getmany(timeout_ms=500)
            silent = 0 if fetched else silent + 1
            records += [record for portion in fetched.values() for record in portion]
        return records
    finally:
        await consumer.stop()
