"""One run: a log, a schedule of faults, workers that are started again, and in the end what is left."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from unittest.mock import patch

from faust.types import TP

from streams.core.events import INPUT_TOPICS
from streams.core.tally import STATES, Counts, Tally
from streams.live import judging, partition_owner
from streams.live.accounts import waiting_in
from streams.live.changelog import Changelog
from streams.live.fence import PARTITION_KEY
from streams.live.partition_record import PartitionRecord
from streams.live.seams import Clock
from streams.live.store import Store
from streams.live.taking import take_partition
from streams.settings import Settings
from streams.topics import CHANGELOG
from tests.simulation.durable import Durable
from tests.simulation.event_log import BEGIN_MS, WALL_RATE, EventLog, topic_of
from tests.simulation.faults import AT_A_TIME, Fault, Schedule
from tests.simulation.group import Coordinator
from tests.simulation.kafka import COMPACTION_LAG_S, Broker, Log, ReadChangelog, SentBatches
from tests.simulation.loop import Process, Stuck, VirtualLoop
from tests.simulation.worker import NORMAL, Disk, DiskStore, Worker, new_engine

WORKERS: Final = 3
HORIZON_DAYS: Final = 7
PATIENCE_S: Final = 120.0
"""After the last fault a run must come to its end within this long."""
REST_S: Final = 6.0
"""All must be at rest for this long: the silence clock takes a step a second, an idle owner appends every 5 s."""


@dataclass(slots=True)
class Settled:
    """What a fresh owner finds of one partition."""

    watermark: int
    newest: int
    profiles: dict[str, bytes | None]
    """Settled bytes by user."""
    stored: dict[bytes, bytes]
    """What stands in its store, but for the partition record."""
    tally: Counts
    """What became of the scheduled scores of each head, by the partition record."""
    waiting: dict[str, int]
    """Scores that wait in the profiles, by head."""


@dataclass(slots=True)
class Outcome:
    """What a run left behind."""

    failures: list[str]
    settled: dict[int, Settled] = field(default_factory=dict)
    from_copies: dict[tuple[int, int], dict[bytes, bytes]] = field(default_factory=dict)
    """What a fresh owner finds that goes on from a machine's local copy, by (machine, partition)."""
    topics: dict[str, list[Log]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    """Those that struck, by kind."""
    ends: Counter[str] = field(default_factory=Counter)
    """How processes ended."""
    zombies: int = 0
    """Changelog records that do not count, because their writer had been fenced off."""
    compacted: int = 0
    rebalances: int = 0
    turns: int = 0
    seconds: float = 0.0
    story: list[str] = field(default_factory=list)


@contextmanager
def _scaled() -> Iterator[None]:
    """An hour of compaction lag and a minute between appends become a minute and 5 s; idle owners look less often."""
    with ExitStack() as patches:
        for name, value in (("LOOK_EVERY_S", 0.5), ("TOUCH_EVERY_S", 5.0)):
            patches.enter_context(patch.object(partition_owner, name, value))
        yield


def simulate(seed: int, log: EventLog, schedule: Schedule) -> Outcome:
    """Run a log under a schedule. The same arguments give the same outcome."""
    logging.getLogger("streams").setLevel(logging.CRITICAL + 1)
    loop = VirtualLoop(Random(f"turns {seed}"))
    try:
        with _scaled():
            world = World(loop, seed, log, schedule)
            with patch.object(judging, "log_end", world.log_end):
                return loop.run_until_complete(world.run())
    finally:
        loop.bury()
        logging.getLogger("streams").setLevel(logging.NOTSET)


class World:
    """See the module."""

    def __init__(self, loop: VirtualLoop, seed: int, log: EventLog, schedule: Schedule) -> None:
        self.loop = loop
        self.seed = seed
        self.log = log
        self.settings = Settings(
            partitions=log.partitions,
            horizon_days=HORIZON_DAYS,
            slice_records=4,
            behind_slice_records=12,
            session_timeout_s=6.0,
            heartbeat_s=1.5,
        )
        self.clock = Clock() if log.live else Clock(by_log=True, until_ms=log.until_ms)
        self.disks: list[dict[int, Disk]] = [{} for _ in range(WORKERS)]
        self._began = loop.time()
        self._dice = Random(f"world {seed}")
        self.broker = Broker(loop, Random(f"broker {seed}"), log.partitions, self.wall_ms)
        self.group = Coordinator(self.broker, Random(f"group {seed}"), self._committed)
        self.durable = [Durable(self.broker, partition) for partition in range(log.partitions)]
        self.workers: list[Worker | None] = [None] * WORKERS
        self.outcome = Outcome([])
        self._lives = [0] * WORKERS
        self._closing = False
        self._published = False
        self._rests_since = 0.0
        self._at_steps: list[list[Fault]] = [[] for _ in range(WORKERS)]
        self._at_times: list[Fault] = []
        for fault in schedule:
            if fault.kind in AT_A_TIME:
                self._at_times.append(fault)
            else:
                self._at_steps[fault.worker].append(fault)
        self._last_fault_s = max((fault.at_s for fault in schedule), default=0.0)

    # -- time --------------------------------------------------------------------------------------------------------

    def elapsed(self) -> float:
        """Simulated seconds since the beginning."""
        return self.loop.time() - self._began

    def wall_ms(self) -> int:
        """The wall clock. It races through a live run, and stands still from its end on."""
        if not self.log.live:
            return self.log.until_ms + round(self.elapsed() * 1000)
        return BEGIN_MS + round(min(self.elapsed(), self.log.end_s) * WALL_RATE)

    async def log_end(self, settings: Settings, tp: TP, *, stall_s: float) -> int:
        """Where a log ends, as :func:`streams.live.log_ends.log_end` finds it by reading."""
        return self.broker.topics[tp.topic][tp.partition].end

    # -- faults ------------------------------------------------------------------------------------------------------

    def due(self, slot: int, step: str) -> Fault | None:
        """The fault that strikes a worker at this step."""
        waiting = self._at_steps[slot]
        if not waiting or self._closing or waiting[0].at_s > self.elapsed():
            return None
        for at, fault in enumerate(waiting):
            if fault.at_s > self.elapsed():
                return None
            if fault.step in (step, "any") or (fault.step == "outputs.send" and step == "outputs.send"):
                del waiting[at]
                self._struck(fault)
                return fault
        return None

    def _struck(self, fault: Fault) -> None:
        self.outcome.faults[fault.kind] += 1
        self.outcome.story.append(f"{self.elapsed():7.3f} s  {fault.kind} {fault.worker if fault.worker >= 0 else ''}")

    async def _strike_in_time(self) -> None:
        for fault in self._at_times:
            await asyncio.sleep(max(0.0, fault.at_s - self.elapsed()))
            if self._strike(fault):
                self._struck(fault)

    def _strike(self, fault: Fault) -> bool:
        broker, now = self.broker, self.loop.time()
        if fault.kind == "compaction":
            return bool(broker.compact())
        if fault.kind == "rebalance":
            self.group.rebalance()
        elif fault.kind in ("lost store", "old store"):
            self._kill_all("its machine was lost")
            for disks in self.disks:
                for disk in disks.values():
                    disk.wipe() if fault.kind == "lost store" else disk.go_back(self._dice)
        elif fault.kind == "lost commits":
            self.group.offsets.clear()
        elif fault.kind == "outage":
            broker.away_until = now + fault.seconds
        elif fault.kind == "slow fetches":
            broker.slow_fetches_until = now + fault.seconds
        elif fault.kind == "recreated topic":
            return self._recreate()
        return True

    def _kill_all(self, why: str) -> None:
        for worker in self.workers:
            if worker is not None:
                worker.kill("some", why)

    def _recreate(self) -> bool:
        """As an operator would who means it: all workers down, and only a topic that was read to its end."""
        if not self.log.named:
            return False
        for kind, name in enumerate(INPUT_TOPICS):
            ends = [log.end for log in self.broker.topics[name]]
            if any(ends) and all(
                durable.position(kind, self.broker.topic_ids[name]) >= end
                for durable, end in zip(self.durable, ends, strict=True)
            ):
                self._kill_all("the operator")
                self.broker.recreate(name)
                for partition in range(self.log.partitions):
                    self.group.offsets.pop(TP(name, partition), None)  # as Kafka does
                return True
        return False

    # -- workers -----------------------------------------------------------------------------------------------------

    def died(self, worker: Worker) -> None:
        """A process ended; its supervisor starts it again."""
        self.outcome.ends[worker.ended.partition(":")[0]] += 1
        self.outcome.story.append(f"{self.elapsed():7.3f} s  {worker.process.name} ended: {worker.ended}")
        self.workers[worker.slot] = None
        if not self._closing:
            self.loop.call_later(
                self._dice.uniform(0.3, 2.5), self._start, worker.slot, context=self.broker.process.context
            )

    def _start(self, slot: int) -> None:
        if self.workers[slot] is None and not self._closing:
            self._lives[slot] += 1
            worker = self.workers[slot] = Worker(self, slot, self._lives[slot])
            worker.start()

    def fail(self, why: str) -> None:
        """A promise was broken."""
        if len(self.outcome.failures) < 5:
            self.outcome.failures.append(f"at {self.elapsed():.2f} s: {why}")

    def _committed(self, tp: TP, offset: int, topic_id: str, member: str) -> None:
        kind = INPUT_TOPICS.index(tp.topic)
        if topic_id != self.broker.topic_ids[tp.topic]:
            return  # of a topic that is gone
        missing = self.durable[tp.partition].missing_below(kind, offset)
        if missing is not None:
            self.fail(f"{member} committed {tp.topic}-{tp.partition} up to {offset}, but {missing}")

    # -- the run -----------------------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """From the first record to what a fresh owner finds."""
        world = Process(self.loop, "world")
        for slot in range(WORKERS):
            self.loop.call_later(self._dice.uniform(0.0, 0.5), self._start, slot, context=self.broker.process.context)
        world.run(self.group.watch(), "coordinator")
        world.run(self._publish(), "shop")
        world.run(self._strike_in_time(), "faults")
        if await self._until(self._finished, max(self.log.end_s, self._last_fault_s) + PATIENCE_S):
            self._closing = True
            for worker in self.workers:
                if worker is not None:
                    worker.stop()
            if await self._until(lambda: not any(self.workers), self.elapsed() + PATIENCE_S):
                await self._look()
            else:
                self.fail("a worker that was asked to stop did not end")
        else:
            self.fail(f"no progress: {self._standing()}")
        self.outcome.failures += self.loop.complaints
        self.outcome.topics = self.broker.topics
        self.outcome.rebalances = self.group.rebalances
        self.outcome.turns = self.loop.turns
        self.outcome.seconds = self.elapsed()
        self.outcome.zombies = sum(durable.refused for durable in self.durable)
        self.outcome.compacted = sum(log.compacted for log in self.broker.topics[CHANGELOG])
        return self.outcome

    async def _publish(self) -> None:
        for arrival in self.log.arrivals:
            if arrival.at_s > self.elapsed():
                await asyncio.sleep(arrival.at_s - self.elapsed())
            self.broker.publish(topic_of(arrival), self.log.partition(arrival.user), arrival.user, arrival.value)
        self._published = True

    async def _until(self, reached: Any, at_most_s: float) -> bool:
        """Wait for something; False when it does not come, or a promise was broken already."""
        while not reached():
            if self.elapsed() > at_most_s or self.outcome.failures:
                return False
            await asyncio.sleep(0.5)
        return True

    def _finished(self) -> bool:
        """All is published, has struck, and is applied; everybody is well, and has had time to let silence pass."""
        if not self._published or self.elapsed() < max(self.log.end_s + 3.0, self._last_fault_s):
            return False
        if any(self._at_steps) and self.elapsed() < self._last_fault_s + 10.0:
            return False
        self._at_steps = [[] for _ in range(WORKERS)]
        calm = self.group.stable and not any(self.broker.wire.values())
        if not (calm and all(self._at_rest(worker) for worker in self.workers)):
            self._rests_since = self.elapsed()
        return self.elapsed() - self._rests_since > REST_S

    def _at_rest(self, worker: Worker | None) -> bool:
        if worker is None or worker.process.frozen or not worker.ownership.ready.is_set() or worker.producer.awaited:
            return False
        if self.group.cut_off.get(worker.process.name, 0.0) > self.loop.time():
            return False
        for partition, owner in worker.ownership.owners.items():
            if self.clock.by_log and not owner.ended.is_set():
                return False
            if not owner.drained or any(
                buffer.next < self.broker.topics[buffer.topic][partition].end for buffer in owner.inputs.buffers
            ):
                return False
        return True

    def _standing(self) -> str:
        shown = []
        for slot, worker in enumerate(self.workers):
            if worker is None:
                shown.append(f"worker {slot} is down")
                continue
            owners = ", ".join(f"{owner.where()}" for owner in worker.ownership.owners.values())
            ready = worker.ownership.ready.is_set()
            shown.append(f"{worker.process.name} {'ready' if ready else 'not ready'}, owns [{owners}]")
        ends = [line for line in self.outcome.story if "ended" in line][-3:]
        return "; ".join(shown) + " | " + " | ".join(ends)

    # -- what is left ------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        await asyncio.sleep(COMPACTION_LAG_S + 1.0)
        self.broker.compact()
        for partition in range(self.log.partitions):
            for slot, disks in enumerate(self.disks):
                if partition in disks and disks[partition].position is not None:
                    store, _ = await self._taken(partition, f"judge of machine {slot}", DiskStore(disks[partition]))
                    self.outcome.from_copies[slot, partition] = self._stored(store)
            store, record = await self._taken(partition, "judge", DiskStore(Disk()))
            engine = new_engine(self, partition, _Profiles(store))
            engine.watermark, engine.newest, engine.clock = record.watermark, record.newest, record.clock
            users = []
            for key, value in store.profiles():
                engine.restore(key.decode(), value)
                users.append(key.decode())
            settled = {user: engine.settled(user) for user in sorted(users)}
            counts = (record.tally or Tally()).body()
            served = {head: sum(waiting_in(key, value)[head] for key, value in store.profiles()) for head in STATES}
            self.outcome.settled[partition] = Settled(
                record.watermark, record.newest, settled, self._stored(store), counts, served
            )

    async def _taken(self, partition: int, name: str, store: DiskStore) -> tuple[Store, PartitionRecord]:
        process, dice = Process(self.loop, f"{name} {partition}"), Random(f"{self.seed} {name}")

        async def unhurt(step: str) -> Any:
            return NORMAL

        reader: Any = ReadChangelog(self.broker, partition, unhurt, dice)
        producer: Any = SentBatches(self.broker, process, unhurt)
        changelog = Changelog(producer, reader, CHANGELOG, partition, dice.getrandbits(62) | 1)

        def emptied(old: Store) -> Store:
            old.disk.wipe()  # type: ignore[attr-defined]
            return DiskStore(old.disk)  # type: ignore[attr-defined]

        taken = await take_partition(lambda: store, emptied, changelog, reader, now_ms=self.wall_ms)
        return taken.store, taken.record

    def _stored(self, store: Store) -> dict[bytes, bytes]:
        return {key: value for key, value in store.profiles() if key != PARTITION_KEY}


class _Profiles:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, user_id: str, /) -> bytes | None:
        return self._store.get(user_id.encode())


__all__ = ["Outcome", "Stuck", "World", "simulate"]
