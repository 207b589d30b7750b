"""A worker process of the simulation: real ownership, owners, engine, effects and changelog over an unreal Kafka."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from faust.types import TP

from streams.core.cleaning import cleaning_policy
from streams.core.engine import PartitionEngine
from streams.core.errors import BrokerError, EbbtideError
from streams.core.ports import ChurnScorer
from streams.live.exits import Exits
from streams.live.judging import Judging
from streams.live.observer import Observer
from streams.live.ownership import Ownership
from streams.live.partition_record import PartitionRecord
from streams.live.seams import PendingProfiles
from streams.live.standing import Cause, Surroundings, accepted, judged, misfits
from streams.live.store import CopyPosition, MemoryStore, Store, StoreFolder, Write
from tests.simulation.group import COMMIT_EVERY_S, HEARTBEAT_S, SESSION_S, Event, GroupConsumer
from tests.simulation.kafka import OnTheWire, ReadChangelog, SentBatches
from tests.simulation.loop import Killed, Process
from tests.support.partition_runs import POLICY
from tests.support.scorers import DailyCuts

if TYPE_CHECKING:
    from tests.simulation.world import World

CLEANING: Final = cleaning_policy(POLICY)
NORMAL: Final = OnTheWire()


class Disk:
    """The local copy of one partition on one machine: what survives a process."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.position: CopyPosition | None = None
        self._earlier: list[tuple[dict[bytes, bytes], CopyPosition | None]] = []

    def wipe(self) -> None:
        """Lost."""
        self.values, self.position = {}, None
        self._earlier.clear()

    def keep(self) -> None:
        """Remember the present state: a machine that loses power may come back with it."""
        self._earlier = [*self._earlier[-3:], (dict(self.values), self.position)]

    def go_back(self, dice: Random) -> None:
        """Come back with an earlier write."""
        if self._earlier:
            values, self.position = dice.choice(self._earlier)
            self.values = dict(values)
            self._earlier.clear()


class DiskStore(MemoryStore):
    """A process's hold on a disk."""

    def __init__(
        self, disk: Disk, process: Process | None = None, pass_step: Callable[[str], object] | None = None
    ) -> None:
        super().__init__()
        self.disk = disk
        self._values = disk.values
        self.position = disk.position
        self._process = process
        self._pass = pass_step

    def write(self, writes: Any, position: CopyPosition | None = None) -> None:
        kept: list[Write] = list(writes)
        if self._process is not None and self._process.dead:
            raise Killed
        if self._pass is not None:
            self._pass("store.before")
        self.disk.keep()
        super().write(kept, position)
        self.disk.position = self.position
        if self._pass is not None:
            self._pass("store.after")


class Disks:
    """The state folder of one machine, in place of :class:`streams.live.store.StoreFolder`."""

    def __init__(self, disks: dict[int, Disk], process: Process, pass_step: Callable[[str], object]) -> None:
        self._disks = disks
        self._process = process
        self._pass = pass_step

    def open(self, partition: int) -> Store:
        disk = self._disks.setdefault(partition, Disk())
        if disk.position is None:
            disk.wipe()  # nothing, or a restore that was not finished
        return DiskStore(disk, self._process, self._pass)

    def outlived(self, partition: int) -> list[Path]:
        return []

    def discard_outlived(self, partition: int) -> None:
        return None

    def empty(self, store: Store) -> Store:
        assert isinstance(store, DiskStore)
        store.disk.wipe()
        return DiskStore(store.disk, self._process, self._pass)


def as_an_operator(record: PartitionRecord, now: Surroundings, has_profiles: bool) -> PartitionRecord:
    """An input that was created anew is accepted, as by ``ebbtide state accept``; nothing else is."""
    found = misfits(record, now, has_profiles=has_profiles)
    if found and all(misfit.cause is Cause.RECREATED for misfit in found):
        return accepted(record, now)
    return judged(record, now, has_profiles)


class EveryCut:
    """A model for every day, there before anybody asks; drained partitions may follow to the end of the run."""

    scorer: ChurnScorer = DailyCuts()

    def __init__(self, until_ms: int | None) -> None:
        self.frontier_ms = until_ms

    def has(self, day_ms: int) -> bool:
        return True

    async def wait_for(self, day_ms: int) -> None:
        return None


class NotedExits(Exits):
    """Notes why a process ended, and ends it."""

    def __init__(self, noted: Callable[[BaseException, str], None]) -> None:
        super().__init__(lambda code: None)
        self._noted = noted

    def end(self, error: BaseException, where: str) -> None:
        self._noted(error, where)
        raise Killed


class Worker:
    """One life of a worker on one machine."""

    def __init__(self, world: World, slot: int, life: int) -> None:
        self.world = world
        self.slot = slot
        self.process = Process(world.loop, f"worker-{slot}.{life}")
        self.ended = ""
        """Why it ended, in words."""
        self._dice = Random(f"{world.seed} {self.process.name}")
        self._group = world.group
        self._generation = -1
        self._thrown_out = False
        self._revoke = asyncio.Event()
        self._stopping = asyncio.Event()
        self._fetching: asyncio.Task[None] | None = None
        self._committed: dict[TP, int] = {}
        self.consumer = GroupConsumer(world.broker, world.group, self._dice, self.pass_step)
        self.producer = SentBatches(world.broker, self.process, self.pass_step)
        disks: StoreFolder = Disks(world.disks[slot], self.process, self.hit)  # type: ignore[assignment]
        self.ownership = Ownership(
            world.settings,
            world.clock,
            CLEANING,
            self._engine,
            self.producer,  # type: ignore[arg-type]
            disks,
            EveryCut(world.clock.until_ms),
            world.broker.input_ids,
            Observer(),
            NotedExits(self._noted),
            now_ms=world.wall_ms,
            reader_for=lambda partition: ReadChangelog(world.broker, partition, self.pass_step, self._dice),  # type: ignore[arg-type, return-value]
            fresh_writer=lambda: self._dice.getrandbits(62) | 1,
            judging=Judging(world.settings, disks, judge=as_an_operator),
        )
        self.ownership.consumer = self.consumer  # type: ignore[assignment]

    def start(self) -> None:
        """Begin to live."""
        for coroutine, name in (
            (self._live(), "life"),
            (self._beat(), "beat"),
            (self._heartbeats(), "heartbeats"),
            (self._commits(), "commits"),
        ):
            self.process.run(coroutine, f"{self.process.name} {name}")

    def stop(self) -> None:
        """SIGTERM."""
        self._stopping.set()

    def kill(self, wire: str, why: str) -> None:
        """The process ends here."""
        if self.process.dead:
            return
        self.ended = why
        self.process.kill()
        self.world.broker.died(self.process, wire, self._dice)
        self._group.gone(self.process.name)
        self.world.died(self)

    # -- being hit ---------------------------------------------------------------------------------------------------

    def hit(self, step: str) -> OnTheWire:
        """A step that a fault may be waiting for."""
        if self.process.dead:
            raise Killed
        fault = self.world.due(self.slot, step)
        if fault is None:
            return NORMAL
        if fault.kind == "crash":
            self.kill(fault.wire, "killed")
            raise Killed
        if fault.kind == "freeze":
            self.process.freeze()
            self.world.loop.call_later(fault.seconds, self.process.thaw, context=self.world.broker.process.context)
        elif fault.kind == "stop":
            self.stop()
        elif fault.kind == "cut off":
            self._group.cut_off[self.process.name] = self.world.loop.time() + SESSION_S + fault.seconds
        return OnTheWire(
            refused=fault.kind == "refused send",
            ack_lost=fault.kind == "lost ack",
            slow_ack_s=fault.seconds if fault.kind == "slow ack" else 0.0,
            slow_send_s=fault.seconds if fault.kind == "slow send" else 0.0,
            echo=fault.kind == "echo",
        )

    async def pass_step(self, step: str) -> OnTheWire:
        """The same where the process may stop for a while."""
        how = self.hit(step)
        if self.process.frozen:
            await asyncio.sleep(0)
        return how

    def _noted(self, error: BaseException, where: str) -> None:
        if isinstance(error, EbbtideError):
            why = f"{type(error).__name__}: {error} ({where})"
        else:
            why = f"a fault of ours {where}: " + "".join(traceback.format_exception(error))
            self.world.fail(f"{self.process.name}: {why}")
        self.kill("all", why)

    # -- living ------------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        try:
            while True:
                generation, partitions = await self._group.join(self.process.name)
                self._generation = generation
                self.consumer.app = self.consumer.app._replace(consumer_generation_id=generation)
                self._revoke.clear()
                taking = asyncio.ensure_future(self._take(partitions, generation))
                await self._until_revoked()
                await self.pass_step("release")
                self.consumer.stop_flow()
                await self.ownership.release()
                await taking
                await self._commit()
                if self._stopping.is_set():
                    await self._group.leave(self.process.name)
                    self.ownership.close()
                    self.kill("all", "stopped in order")
                    return
        except Exception as error:  # noqa: BLE001 (ends the process)
            self._noted(error, "while living")

    async def _until_revoked(self) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._revoke, self._stopping)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _take(self, partitions: frozenset[int], generation: int) -> None:
        try:
            await self.pass_step("take")
            if self._thrown_out:
                raise BrokerError("The group had put this worker out.", "Start it again.")
            positions = await self.ownership.take(partitions, generation)
            if positions is None or generation != self._generation or self._revoke.is_set():
                return
            self._committed.clear()
            self.consumer.start_from(positions)
            self._fetching = asyncio.ensure_future(self._fetch())
        except Exception as error:  # noqa: BLE001 (ends the process)
            self._noted(error, "while taking partitions")

    async def _fetch(self) -> None:
        try:
            await self.consumer.fetch(self._deliver, self._ack)
        except Exception as error:  # noqa: BLE001 (ends the process)
            self._noted(error, "while handing over")

    def _deliver(self, event: Event) -> None:
        self.ownership.deliver(event)  # type: ignore[arg-type]

    def _ack(self, tp: TP, last: int) -> None:
        self.hit("ack")
        self.consumer.acked[tp] = max(last, self.consumer.acked.get(tp, -1))

    async def _commits(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        offsets: Mapping[TP, int] = {
            tp: last + 1 for tp, last in self.consumer.acked.items() if self._committed.get(tp) != last + 1
        }
        if offsets:
            await self.pass_step("commit")
            if await self._group.commit(self.process.name, self._generation, offsets, self.consumer.topic_ids):
                self._committed.update(offsets)

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if self._generation < 0:
                continue
            answer = await self._group.heartbeat(self.process.name)
            if answer == "unknown" and not self._revoke.is_set():
                self._thrown_out = bool(self.ownership.owners) or self._thrown_out
            if answer in ("unknown", "rebalance"):
                self._revoke.set()

    async def _beat(self) -> None:
        """As the worker's own: notice having been frozen."""
        loop = self.world.loop
        while True:
            beat = loop.time()
            await asyncio.sleep(0.5)
            if loop.time() - beat > SESSION_S and self.ownership.owners:
                self._noted(BrokerError("The worker stood still for longer than the session timeout."), "frozen")

    def _engine(self, partition: int, profiles: PendingProfiles) -> Any:
        return new_engine(self.world, partition, profiles)


def new_engine(world: World, partition: int, profiles: Any) -> PartitionEngine:
    """The engine of a partition, with a cache so small that it is missed."""
    return PartitionEngine(
        POLICY,
        profiles,
        horizon_days=world.settings.horizon_days,
        propensity_days=world.settings.propensity_horizon_days,
        mode="replay" if world.clock.by_log else "live",
        partition=partition,
        cache_profiles=2,
    )
