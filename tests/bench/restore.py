"""Taking partitions over: from the start of a worker until it serves, cold from the changelog and warm from RocksDB.

The changelog is one as workers leave it between two compactions: fences, profiles of a real engine (p50 0.4 KB, mean
0.7 KB, p99 2.5 KB), a quarter of them there twice, and the partition record behind them. What a start takes without any
profile is measured beside it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.partitioner import murmur2

from streams.core.events import INPUT_TOPICS
from streams.core.tally import Tally
from streams.live.changelog import Changelog, ChangelogReader
from streams.live.fence import PARTITION_KEY
from streams.live.outbox import Producer
from streams.live.ownership import random_writer
from streams.live.partition_record import InputPosition, PartitionRecord, encode_record
from streams.provisioning import cluster_id, ensure_topics, topic_ids
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name
from tests.bench.benchmark import Asked, Skipped
from tests.bench.live_processes import Watched, confined, running_broker
from tests.bench.measuring import Result, Run, cores, interleaved
from tests.bench.stored_profiles import Sample, sample, user_name
from tests.support.brokers import kafka_is_missing

ABOUT: Final = "a worker's start until it serves: cold from the changelog, warm from RocksDB"
SIZES: Final = (50_000,)
FULL_SIZES: Final = (200_000, 1_000_000)
SHORT: Final = 10_000
REWRITTEN: Final = 4
"""One in so many profiles stands in the changelog twice."""
PORTION: Final = 2_000


@dataclass(frozen=True, slots=True)
class State:
    """A changelog that holds the profiles of so many users."""

    settings: Settings
    users: int


def written(brokers: str, folder: Path, users: int, profiles: Sample) -> State:
    """Topics of their own, with the state of so many users in the changelog."""
    name = f"restore-{users}"
    settings = Settings(brokers=brokers, topic_prefix=f"{name}.", group_id=name, state_dir=folder / name)
    ensure_topics(settings)
    if users:
        asyncio.run(_write(settings, users, profiles))
    return State(settings, users)


async def _write(settings: Settings, users: int, profiles: Sample) -> None:
    producer = Producer(settings)
    await producer.start()
    try:
        names = [user_name(number) for number in range(users)]
        numbers: list[list[int]] = [[] for _ in range(settings.partitions)]
        for number, name in enumerate(names):
            numbers[(murmur2(name.encode()) & 0x7FFFFFFF) % settings.partitions].append(number)
        ids = topic_ids(settings, INPUT_TOPICS)
        inputs = tuple(InputPosition(topic_id=ids[name], next=0) for name in INPUT_TOPICS)
        for partition, theirs in enumerate(numbers):
            topic = topic_name(CHANGELOG, settings)
            reader = ChangelogReader(settings, topic, partition, stall_s=60.0)
            changelog = Changelog(producer, reader, topic, partition, random_writer())
            await changelog.fence()
            for order in (theirs, theirs[::REWRITTEN]):
                for at in range(0, len(order), PORTION):
                    await changelog.append(
                        (names[number].encode(), profiles.value(number, names[number], changelog.writer))
                        for number in order[at : at + PORTION]
                    )
            record = PartitionRecord(
                cluster_id=cluster_id(settings),
                partitions=settings.partitions,
                watermark=profiles.watermark,
                newest=profiles.newest,
                clock=profiles.clock,
                published=time.time_ns() // 1_000_000,
                portraits_from=changelog.last + 2,
                inputs=inputs,
                tally=Tally(),
            )
            await changelog.append([(PARTITION_KEY, encode_record(record))])
    finally:
        await producer.stop()


def started(state: State, log: Path, *, ends_by: signal.Signals = signal.SIGTERM) -> Run:
    """A worker from its start until ``/readyz`` says that it serves."""
    began = time.perf_counter()
    with Watched(["worker"], state.settings, {cores()[0]}, log) as worker:
        worker.wait_ready()
        seconds, cpu_s = time.perf_counter() - began, worker.cpu_s()
        resident = _resident_mb(worker.running.pid)
        figures = {"ready_s": seconds, "cpu_s": cpu_s, "resident_mb": resident}
        run = Run(max(1, state.users), seconds, cpu_s, worker.peak_mb(), figures)
        os.kill(worker.running.pid, ends_by)
        worker.running.wait(60)
    return run


def _resident_mb(pid: int) -> float:
    words = Path(f"/proc/{pid}/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def measure(asked: Asked) -> Iterator[Result]:
    """Without profiles, then for each size cold and warm; a copy is left in order, and by kill -9."""
    if missing := kafka_is_missing():
        raise Skipped(missing)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # fresh topics have no leader yet; it tries again
    profiles = sample()
    sizes = (*SIZES, *FULL_SIZES) if asked.full else (asked.events_of(usual=SIZES[0], short=SHORT),)
    with running_broker("kafka", asked.scratch, cores()[1]) as brokers, confined({cores()[1]}):
        for users in (0, *sizes):
            asked.heard(f"restore: writing {users:,} profiles")
            state = written(brokers, asked.scratch, users, profiles)
            repeats = 1 if users > SIZES[0] else asked.repeats_of(usual=3, short=1)
            yield from interleaved(
                "restore", f"{users} profiles", _candidates(state, asked.scratch), repeats, asked.heard, compared=""
            )


def _candidates(state: State, scratch: Path) -> dict[str, Callable[[], Run]]:
    log = scratch / "worker.log"

    def cold() -> Run:
        shutil.rmtree(state.settings.state_dir, ignore_errors=True)
        return started(state, log)

    if not state.users:
        return {"nothing to restore": cold}
    return {
        "cold": cold,
        "warm": lambda: started(state, log, ends_by=signal.SIGKILL),
        "warm, killed before": lambda: started(state, log),
    }
