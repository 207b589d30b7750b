"""Live workers as processes of their own, what is published to them, and what they must have left behind."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2

from streams.child_process import end_with_parent
from streams.core.events import INPUT_TOPICS
from streams.live.fence import RESERVED, ChangelogRecord, Restore, writer_of
from streams.settings import Settings
from streams.topics import CHANGELOG, SEGMENT_CHANGES, USER_PROFILES, topic_name
from tests.support.variables import variables

ROOT = Path(__file__).parents[2]
BEGIN_MS = 1_700_000_000_000


class LiveWorker:
    """A worker process; ``counting`` puts in the engine that only counts."""

    def __init__(
        self, settings: Settings, log: Path, *, counting: bool = True, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.live_worker"],
                cwd=ROOT,
                env={
                    **os.environ,
                    **variables(settings),
                    **({"COUNTING": "1"} if counting else {}),
                    **(environment or {}),
                },
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGKILL),  # it waits for a broker that is gone, for ever
            )

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it keeps its memory, its sockets and what the kernel has buffered."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM, in order; the exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def wait(self, seconds: float) -> int:
        """The exit code of a worker that ends by itself."""
        return self.process.wait(seconds)

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in the topics of a run."""

    wanted: dict[str, int]
    """Events published, per user."""
    published: set[str]
    """Their ids."""
    state: dict[str, int]
    """Counts in the changelog, read by the fence rule."""
    outputs: list[str]
    """ce_id of every output."""
    portraits: dict[str, int]
    """Newest count in ``user-profiles``."""
    refused: int
    """Changelog records that do not count."""
    shadowed: int
    """Keys whose last record does not count."""


def publish(settings: Settings, first: int, count: int, *, users: int = 500, rate: float = 0.0) -> None:
    """Publish events ``e<first>`` to ``e<first+count-1>``, one millisecond apart in event time, over the inputs."""
    asyncio.run(_publish(settings, first, count, users, rate))


async def _publish(settings: Settings, first: int, count: int, users: int, rate: float) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, max_batch_size=65_536, linger_ms=5)
    await producer.start()
    started = time.monotonic()
    try:
        waiting = []
        for number in range(first, first + count):
            topic, body = event(number, users)
            key = body["user_id"].encode()
            partition = (murmur2(key) & 0x7FFFFFFF) % settings.partitions
            waiting.append(
                await producer.send(topic_name(topic, settings), json.dumps(body).encode(), key, partition=partition)
            )
            if len(waiting) >= 200:
                await asyncio.gather(*waiting)
                waiting.clear()
                if rate:
                    await asyncio.sleep(max(0.0, (number - first) / rate - (time.monotonic() - started)))
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


def event(number: int, users: int) -> tuple[str, dict[str, Any]]:
    """The event of a number: always the same."""
    dice = random.Random(number)
    topic = dice.choice(("clicks", "clicks", "searches", "purchases"))
    body: dict[str, Any] = {
        "event_id": f"e{number}",
        "user_id": f"u{dice.randrange(users):05d}",
        "ts": BEGIN_MS + number,
    }
    fields: dict[str, dict[str, Any]] = {
        "clicks": {"action": "view", "item_id": "i"},
        "searches": {"query": "q"},
        "purchases": {"item_id": "i", "price": 1.5, "quantity": 1, "order_id": f"o{number}"},
    }
    return topic, body | fields[topic]


def read_topic(settings: Settings, name: str) -> list[Any]:
    """Everything in a topic, by partition and offset."""
    return asyncio.run(_read(settings.brokers, topic_name(name, settings)))


async def _read(brokers: str, topic: str) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    await consumer.start()
    try:
        await consumer._client.add_topic(topic)
        tps = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        records: list[Any] = []
        silent = 0
        while silent < 3:
            fetched = await consumer.getmany(timeout_ms=300)
            silent = 0 if fetched else silent + 1
            records += [record for portion in fetched.values() for record in portion]
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


def restored(settings: Settings) -> tuple[dict[str, int], int, int]:
    """Counts in the changelog by the fence rule, records that do not count, and keys whose last one does not."""
    state: dict[str, int] = {}
    refused = shadowed = 0
    changelog = read_topic(settings, CHANGELOG)
    for partition in {record.partition for record in changelog}:
        restore = Restore()
        entries = [
            ChangelogRecord(record.offset, record.key, record.value, writer_of(record.headers))
            for record in changelog
            if record.partition == partition
        ]
        for key, value in restore.counted(entries):
            if value is not None and not key.startswith(RESERVED):
                state[key.decode()] = json.loads(value)["count"]
        refused += restore.refused
        shadowed += len(restore.shadowed)
    return state, refused, shadowed


def found(settings: Settings) -> Found:
    """Read the topics of a run, the changelog by the fence rule."""
    inputs = [json.loads(record.value) for name in INPUT_TOPICS for record in read_topic(settings, name)]
    state, refused, shadowed = restored(settings)
    return Found(
        wanted=dict(Counter(body["user_id"] for body in inputs)),
        published={body["event_id"] for body in inputs},
        state=state,
        outputs=[dict(record.headers)["ce_id"].decode() for record in read_topic(settings, SEGMENT_CHANGES)],
        portraits={
            record.key.decode(): json.loads(record.value)["count"] for record in read_topic(settings, USER_PROFILES)
        },
        refused=refused,
        shadowed=shadowed,
    )


def counted(settings: Settings) -> int:
    """Events in the state so far, by the fence rule."""
    return sum(restored(settings)[0].values())


def wait_until(reached: Callable[[], bool], what: str, logs: Sequence[Path], seconds: float = 60.0) -> None:
    """Wait for something that is to become true, or fail with the workers' last words."""
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > until:
            words = "\n".join(f"--- {log}\n{log.read_text()[-3000:]}" for log in logs)
            raise AssertionError(f"not within {seconds:g} s: {what}\n{words}")
        time.sleep(0.5)
