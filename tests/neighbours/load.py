"""What is sent to a worker, fast and at a steady rate, and what is seen of it: memory, progress, time to an output."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition

from streams.core.events import INPUT_TOPICS
from streams.settings import Settings
from streams.topics import SEGMENT_CHANGES, topic_name

BATCH_BYTES: Final = 900_000
TICK_S: Final = 0.02


class Sent(NamedTuple):
    """One record to publish; ``timestamp`` None leaves it to the clock."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int | None = None


def now_ms() -> int:
    """Wall time."""
    return time.time_ns() // 1_000_000


def event(topic: str, user: str, ts: int, **fields: Any) -> Sent:
    """A record as a producer sends it."""
    body = {"user_id": user, "ts": ts, **fields}
    return Sent(topic, user.encode(), json.dumps(body, separators=(",", ":")).encode())


def partition_of(key: bytes | None, settings: Settings) -> int:
    """Where Java's producers put a key too."""
    return 0 if key is None else (murmur2(key) & 0x7FFFFFFF) % settings.partitions


def publish(settings: Settings, records: Iterable[Sent]) -> int:
    """Append records in whole batches, in order within topic and partition; how many there were."""
    return asyncio.run(_publish(settings, records))


async def _publish(settings: Settings, records: Iterable[Sent]) -> int:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.brokers, max_batch_size=BATCH_BYTES, request_timeout_ms=90_000
    )
    await producer.start()
    open_batches: dict[tuple[str, int], Any] = {}
    waiting: list[asyncio.Future[Any]] = []
    count = 0

    async def close(place: tuple[str, int], batch: Any) -> None:
        batch.close()
        waiting.append(await producer.send_batch(batch, place[0], partition=place[1]))
        if len(waiting) > 20:
            await asyncio.gather(*waiting)
            waiting.clear()

    try:
        for sent in records:
            count += 1
            place = (topic_name(sent.topic, settings), partition_of(sent.key, settings))
            batch = open_batches.get(place) or producer.create_batch()
            given = {"key": sent.key, "value": sent.value, "headers": list(sent.headers)}
            timestamp = sent.timestamp or now_ms()
            if batch.append(timestamp=timestamp, **given) is None:
                await close(place, batch)
                batch = producer.create_batch()
                batch.append(timestamp=timestamp, **given)
            open_batches[place] = batch
        for place, batch in open_batches.items():
            await close(place, batch)
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
    return count


class Lag:
    """How many records the workers of a group have not applied yet."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        names = [topic_name(name, settings) for name in INPUT_TOPICS]
        self._tps = [KafkaPartition(name, partition) for name in names for partition in range(settings.partitions)]

    def now(self) -> int:
        """Ends of the inputs less what the group has committed."""
        consumer = KafkaConsumer(
            bootstrap_servers=self._settings.brokers, group_id=self._settings.group_id, enable_auto_commit=False
        )
        try:
            ends = consumer.end_offsets(self._tps)
            return sum(ends[tp] - (consumer.committed(tp) or 0) for tp in self._tps)
        finally:
            consumer.close()


def memory_mb(pid: int) -> tuple[float, float]:
    """Memory of a process now and at its highest, in MiB."""
    words = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Vm")
    )
    return int(words["VmRSS"].split()[0]) / 1024, int(words["VmHWM"].split()[0]) / 1024


def wait_applied(
    lag: Lag, alive: Callable[[], bool], within_s: float, each: Callable[[], None] = lambda: None
) -> float:
    """Wait until nothing is left to apply; the seconds it took."""
    began = time.monotonic()
    while (left := lag.now()) > 0:
        each()
        if not alive():
            raise AssertionError(f"the worker ended with {left} records to go")
        if time.monotonic() - began > within_s:
            raise AssertionError(f"{left} records are not applied after {within_s:g} s")
        time.sleep(0.5)
    return time.monotonic() - began


@dataclass
class Latencies:
    """From the send of a record to the arrival of the output it made, in ms."""

    ms: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """A quantile; 0 of none."""
        ordered = sorted(self.ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Probing:
    """A steady load, half of it *probes*: new users, whose first click has one output each, which is waited for.

    Parameters
    ----------
    settings
        Where.
    rate
        Records a second in all.
    """

    def __init__(self, settings: Settings, rate: int) -> None:
        self._settings = settings
        self._rate = rate
        self._sent_at: dict[str, float] = {}
        self._number = 0
        self.seen: dict[str, Latencies] = defaultdict(Latencies)

    def run(self, phases: Sequence[tuple[str, Callable[[int], Sent]]], seconds: float) -> None:
        """Drive the phases one after the other; of each the other half of the load is what it makes."""
        asyncio.run(self._run(phases, seconds))

    async def _run(self, phases: Sequence[tuple[str, Callable[[int], Sent]]], seconds: float) -> None:
        settings = self._settings
        producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, linger_ms=2)
        name = topic_name(SEGMENT_CHANGES, settings)
        consumer = AIOKafkaConsumer(bootstrap_servers=settings.brokers, fetch_max_wait_ms=20)
        await producer.start()
        await consumer.start()
        tps = [TopicPartition(name, partition) for partition in range(settings.partitions)]
        consumer.assign(tps)
        await consumer.seek_to_end(*tps)
        for tp in tps:
            await consumer.position(tp)
        watching = asyncio.create_task(self._watch(consumer))
        try:
            for label, other in phases:
                await self._phase(producer, label, other, seconds)
                await self._all_seen()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await consumer.stop()
            await producer.stop()

    async def _phase(
        self, producer: AIOKafkaProducer, label: str, other: Callable[[int], Sent], seconds: float
    ) -> None:
        began, done = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            for _ in range(int(passed * self._rate) - done):
                self._number += 1
                done += 1
                if self._number % 2:
                    sent = other(self._number)
                else:
                    user = f"{label}|{self._number}"
                    sent = event("clicks", user, now_ms(), action="view", item_id="i")
                    self._sent_at[user] = time.monotonic()
                await producer.send(
                    topic_name(sent.topic, self._settings),
                    sent.value,
                    sent.key,
                    partition=partition_of(sent.key, self._settings),
                )
            await asyncio.sleep(TICK_S)
        await producer.flush()

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            user = (record.key or b"").decode()
            sent_at = self._sent_at.pop(user, None)
            if sent_at is not None:
                self.seen[user.partition("|")[0]].ms.append((time.monotonic() - sent_at) * 1000.0)

    async def _all_seen(self) -> None:
        until = time.monotonic() + 60.0
        while self._sent_at and time.monotonic() < until:
            await asyncio.sleep(0.05)
        if self._sent_at:
            raise AssertionError(f"{len(self._sent_at)} probes have no output")
