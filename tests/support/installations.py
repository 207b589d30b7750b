"""An installation whose state was written by hand: what a worker left behind, and what then happens to its topics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from streams import provisioning
from streams.core.events import INPUT_TOPICS
from streams.live.changelog import Changelog, ChangelogReader
from streams.live.fence import PARTITION_KEY
from streams.live.outbox import Producer
from streams.live.partition_record import InputPosition, PartitionRecord, encode_record
from streams.live.survey import Standing, survey
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name


class Installation:
    """Inputs with records in them, a changelog and a group."""

    def __init__(self, settings: Settings, events: int = 10) -> None:
        self.settings = settings
        provisioning.ensure_topics(settings, (*INPUT_TOPICS, CHANGELOG))
        for name in INPUT_TOPICS:
            self.fill(name, events)

    @classmethod
    def known(cls, settings: Settings) -> Installation:
        """One that somebody else has made."""
        return cls(settings, events=0)

    def fill(self, name: str, events: int) -> None:
        """Publish records that nobody will read; every partition gets as many."""
        producer = KafkaProducer(bootstrap_servers=self.settings.brokers, enable_idempotence=False)
        for partition in range(self.settings.partitions):
            for _ in range(events):
                producer.send(topic_name(name, self.settings), b"{}", partition=partition)
        producer.flush(30)
        producer.close()

    def applied(self, upto: int, *, committed: int | None = None, **changes: Any) -> None:
        """What an owner of each partition leaves that has applied its inputs up to an offset; ``committed`` trails."""
        asyncio.run(self._applied(upto, changes))
        if committed is not None:
            self.commit(committed)

    async def _applied(self, upto: int, changes: dict[str, Any]) -> None:
        settings = self.settings
        ids = provisioning.topic_ids(settings, INPUT_TOPICS)
        fields = {"cluster_id": provisioning.cluster_id(settings), "partitions": settings.partitions, **changes}
        record = PartitionRecord(
            watermark=1, inputs=tuple(InputPosition(topic_id=ids[name], next=upto) for name in INPUT_TOPICS), **fields
        )
        producer = Producer(settings)
        await producer.start()
        try:
            for partition in range(settings.partitions):
                topic = topic_name(CHANGELOG, settings)
                reader = ChangelogReader(settings, topic, partition, stall_s=30.0)
                owner = Changelog(producer, reader, topic, partition, 77)
                await owner.fence()
                await owner.append([(b"ann", b"profile"), (PARTITION_KEY, encode_record(record))])
        finally:
            await producer.stop()

    def commit(self, offset: int) -> None:
        """The group's offsets, of every partition of every input."""
        asyncio.run(self._commit(offset))

    async def _commit(self, offset: int) -> None:
        settings = self.settings
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.brokers, group_id=settings.group_id, enable_auto_commit=False
        )
        await consumer.start()
        tps = [TopicPartition(topic_name(n, settings), p) for n in INPUT_TOPICS for p in range(settings.partitions)]
        consumer.assign(tps)
        await consumer.commit(dict.fromkeys(tps, offset))
        await consumer.stop()

    # -- what happens to topics --------------------------------------------------------------------------------------

    def recreate(self, name: str, events: int = 0) -> None:
        """Delete a topic and create it anew, with some records."""
        with self._admin() as admin:
            admin.delete_topics([topic_name(name, self.settings)])
        _until(lambda: not provisioning.describe(self.settings, [name])[0].exists, f"{name} is gone")
        provisioning.ensure_topics(self.settings, [name])
        self.fill(name, events)

    def delete_below(self, names: Iterable[str], offset: int) -> None:
        """What retention does."""
        with self._admin() as admin:
            admin.delete_records(
                {
                    _admin_tp(topic_name(name, self.settings), partition): offset
                    for name in names
                    for partition in range(self.settings.partitions)
                }
            )

    def set_cleanup(self, name: str, policy: str) -> None:
        """Change a topic's cleanup policy."""
        from kafka.admin import ConfigResource, ConfigResourceType

        resource = ConfigResource(
            ConfigResourceType.TOPIC, topic_name(name, self.settings), configs={"cleanup.policy": policy}
        )
        with self._admin() as admin:
            admin.alter_configs([resource])

    def more_partitions(self, count: int) -> None:
        """What ``kafka-topics --alter --partitions`` does, to all topics."""
        with self._admin() as admin:
            admin.create_partitions({topic_name(name, self.settings): count for name in (*INPUT_TOPICS, CHANGELOG)})

    # -- what is found -----------------------------------------------------------------------------------------------

    def surveyed(self, settings: Settings | None = None) -> list[Standing]:
        """All partitions, with what does not fit."""
        return asyncio.run(survey(settings or self.settings))

    def causes(self, settings: Settings | None = None) -> list[list[str]]:
        """Causes by partition."""
        return [[misfit.cause.value for misfit in one.misfits] for one in self.surveyed(settings)]

    @contextmanager
    def _admin(self) -> Any:
        admin = KafkaAdminClient(bootstrap_servers=self.settings.brokers)
        try:
            yield admin
        finally:
            admin.close()


def _admin_tp(topic: str, partition: int) -> Any:
    from kafka import TopicPartition as AdminTopicPartition

    return AdminTopicPartition(topic, partition)


def _until(reached: Any, what: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)
