"""The fence on real brokers: two owners of one partition, the older one appending behind the newer one's fence."""

from __future__ import annotations

import asyncio
import time

import pytest

from streams.live.changelog import Changelog, ChangelogReader, FencedError
from streams.live.outbox import Producer
from streams.live.store import MemoryStore
from streams.live.taking import Taken, take_partition
from streams.provisioning import ensure_topics
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name
from tests.support.brokers import RunningBroker


class Owner:
    """One worker's hold on partition 0."""

    def __init__(self, settings: Settings, writer: int) -> None:
        self.producer = Producer(settings, ack_timeout_s=20.0)
        topic = topic_name(CHANGELOG, settings)
        self.reader = ChangelogReader(settings, topic, 0, stall_s=20.0)
        self.changelog = Changelog(self.producer, self.reader, topic, 0, writer)

    async def take(self) -> Taken:
        await self.producer.start()
        return await take_partition(
            MemoryStore,
            lambda store: MemoryStore(),
            self.changelog,
            self.reader,
            now_ms=lambda: time.time_ns() // 1_000_000,
        )


def test_a_zombie_that_appends_behind_its_successors_fence_changes_nothing(broker: RunningBroker) -> None:
    settings = broker.settings(partitions=1)
    ensure_topics(settings)

    async def steps() -> None:
        zombie, successor, third = Owner(settings, 11), Owner(settings, 22), Owner(settings, 33)
        try:
            old = await zombie.take()
            await old.changelog.append([(b"ann", b"1"), (b"bob", b"1")])
            new = await successor.take()
            assert dict(new.store.profiles()) == {b"ann": b"1", b"bob": b"1"}
            with pytest.raises(FencedError):
                await old.changelog.append([(b"ann", b"zombie"), (b"bob", None)])
            await new.changelog.append([(b"cat", b"2")])
            assert new.changelog.foreign == 2
            taken = await third.take()
            assert dict(taken.store.profiles()) == {b"ann": b"1", b"bob": b"1", b"cat": b"2"}
        finally:
            for owner in (zombie, successor, third):
                await owner.producer.stop()

    asyncio.run(steps())


def test_what_a_zombie_left_while_nobody_owned_the_partition_is_mended_by_the_next_owner(broker: RunningBroker) -> None:
    settings = broker.settings(partitions=1)
    ensure_topics(settings)

    async def steps() -> None:
        zombie, successor, third = Owner(settings, 11), Owner(settings, 22), Owner(settings, 33)
        try:
            old = await zombie.take()
            await old.changelog.append([(b"ann", b"1")])
            await successor.take()
            with pytest.raises(FencedError):
                await old.changelog.append([(b"ann", None)])
            taken = await third.take()
            assert dict(taken.store.profiles()) == {b"ann": b"1"}
            last = [record async for portion in third.reader.read(0, third.changelog.last) for record in portion][-1]
            assert last[1:4] == (b"ann", b"1", 33)
        finally:
            for owner in (zombie, successor, third):
                await owner.producer.stop()

    asyncio.run(steps())
