"""All partitions of one worker: taken, kept over a rebalance, released."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import msgspec
from faust.types import TP, EventT

from streams.core.cleaning import CleaningPolicy
from streams.core.events import INPUT_TOPICS, Kind
from streams.core.tally import Tally, waiting
from streams.dead_letters import letter_limit
from streams.live.accounts import waiting_in
from streams.live.changelog import Changelog, ChangelogReader, breathe
from streams.live.consumer import Consumer
from streams.live.effects import EffectsInOrder
from streams.live.exits import Exits
from streams.live.fence import HOLD_KEY, LETTERS_KEY, PARTITION_KEY
from streams.live.inputs import InputBuffer, PartitionInputs
from streams.live.judging import Judging
from streams.live.observer import Observer
from streams.live.outbox import Producer
from streams.live.output_gates import OutputGates
from streams.live.partition_owner import PartitionOwner
from streams.live.partition_record import PartitionRecord, encode_record
from streams.live.reach import Reach
from streams.live.seams import Clock, Engine, Models, PendingProfiles, steady_s
from streams.live.store import CopyPosition, StoreFolder
from streams.live.taking import Taken, take_partition
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Partitions restored at the same time."""
LARGE_AT_ONCE: Final = 2
"""Partitions that hold a large slice in memory: one computes while the other waits for its acks."""
RESTORE_CHUNK: Final = 2_000
LAG_EVERY_S: Final = 1.0


def random_writer() -> int:
    """A writer id that nobody had before; never 0."""
    return int.from_bytes(os.urandom(8), "big") or 1


class RestorableEngine(Engine, Protocol):
    """An engine that can take over stored profiles."""

    epochs: list[int]
    applied_until: int

    def restore_all(self, profiles: Iterable[tuple[bytes, bytes]]) -> None: ...


EngineFor = Callable[[int, PendingProfiles], RestorableEngine]


@dataclass(slots=True)
class _Held:
    """A partition that is ours, whether it is worked on or waits for the end of a rebalance."""

    taken: Taken
    record: PartitionRecord
    """Where to go on."""
    starts: dict[TP, int]
    engine: RestorableEngine
    profiles: PendingProfiles
    generation: int
    owner: PartitionOwner | None = None
    task: asyncio.Task[None] | None = None


class Ownership:
    """Takes, keeps and releases the partitions that the group assigns.

    Parameters
    ----------
    settings, clock
        How to work.
    policy
        How records are cleaned.
    engine_for
        Makes the engine of a partition over its profiles.
    producer
        Sends everything of this worker.
    stores
        Opens local copies.
    models
        Where cuts come from.
    topic_ids
        Kafka's ids of the inputs by catalogue name; asked at each taking.
    reader_for, fresh_writer
        Read a partition's changelog, name a writer of it; the simulation puts its own.
    judging
        Judges whether a partition's state fits what the broker has.
    gates
        Hold outputs that should be looked at first; without them everything goes out.
    reach
        Knows of outages.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        policy: CleaningPolicy,
        engine_for: EngineFor,
        producer: Producer,
        stores: StoreFolder,
        models: Models,
        topic_ids: Callable[[], Mapping[str, str]],
        observer: Observer,
        exits: Exits,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        reader_for: Callable[[int], ChangelogReader] | None = None,
        fresh_writer: Callable[[], int] = random_writer,
        judging: Judging | None = None,
        gates: OutputGates | None = None,
        reach: Reach | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._policy = policy
        self._engine_for = engine_for
        self._producer = producer
        self._stores = stores
        self._models = models
        self._topic_ids = topic_ids
        self._observer = observer
        self._exits = exits
        self._now_ms = now_ms
        self._reader_for = reader_for or self._reader
        self._fresh_writer = fresh_writer
        self._reach = reach or Reach(settings.brokers)
        self._judging = judging or Judging(settings, stores)
        self._gates = gates
        self._held: dict[int, _Held] = {}
        self._taking: asyncio.Task[dict[TP, int]] | None = None
        self._names = tuple(topic_name(name, settings) for name in INPUT_TOPICS)
        self._kinds = {name: kind for kind, name in enumerate(self._names)}
        self._most_waiting = max(settings.behind_slice_records, settings.slice_records)
        self._limit = letter_limit(settings)
        self._lag_told = 0.0
        self._releasing = asyncio.Lock()
        self._large_slices = asyncio.Semaphore(LARGE_AT_ONCE)
        self.consumer: Consumer | None = None
        """Set once the app has one."""
        self.ready = asyncio.Event()
        """Everything assigned is restored."""
        self.progressed_at = self._reach.now()
        """The last step of taking or releasing partitions."""
        self.doing = "joining the group"
        """What of that goes on."""

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def owners(self) -> dict[int, PartitionOwner]:
        """The owners at work."""
        return {partition: held.owner for partition, held in self._held.items() if held.owner is not None}

    @property
    def ended(self) -> bool:
        """Every partition of ours is at the end of the run (``--until``)."""
        return self.ready.is_set() and all(owner.ended.is_set() for owner in self.owners.values())

    def in_touch(self, within_s: float = 15.0) -> bool:
        """Whether the broker has answered a fetch of every input lately; True where nothing is assigned."""
        oldest = self._now_ms() - within_s * 1000.0
        for partition in self.owners:
            for name in self._names:
                state = None if self.consumer is None else self.consumer.thread.fetch_state(TP(name, partition))
                if state is None:
                    return False
                full = TP(name, partition) in self.consumer._buffered_partitions if self.consumer else False
                if state.answered_ms < oldest and not full:
                    return False
        return True

    # -- rebalance ---------------------------------------------------------------------------------------------------

    async def take(self, partitions: frozenset[int], generation: int) -> Mapping[TP, int] | None:
        """Take exactly these partitions; see :class:`streams.live.rebalance.Owners`."""
        self._taking = asyncio.ensure_future(self._take(partitions, generation))
        try:
            positions = await self._taking
        except asyncio.CancelledError:
            if self._taking.cancelled():
                return None
            raise
        finally:
            self._taking = None
        self.ready.set()
        return positions

    async def release(self) -> None:
        """Finish the slices, ack what is applied, let go of the rest. State is kept until the new assignment."""
        async with self._releasing:  # a rebalance and a stop may ask at the same time
            await self._release()

    async def _release(self) -> None:
        self.ready.clear()
        self._step("finishing slices")
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait([self._taking])
        working = [held for held in self._held.values() if held.owner is not None]
        for held in working:
            assert held.owner is not None
            held.owner.release()
        for held in working:
            assert held.owner is not None
            assert held.task is not None
            await held.task
            self._step("finishing slices")
            await held.owner.flush_portraits()
            held.record = held.owner.reached()
            held.owner = held.task = None
        self._step("joining the group")

    async def abandon(self) -> None:
        """Drop everything held as a crash would, because the group has forgotten us.

        Safe at every step, as a crash is: nothing is acked or stored from here on, and what is still on its way goes
        out through the same producer, in order, before the next fence of ours (docs/live.md).
        """
        async with self._releasing:
            self._step("dropping what was held")
            self.ready.clear()
            tasks: list[asyncio.Task[Any]] = [held.task for held in self._held.values() if held.task is not None]
            tasks += [] if self._taking is None else [self._taking]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close()

    def close(self) -> None:
        """Close every local copy: the worker stops."""
        for partition in list(self._held):
            self._drop(partition)

    def deliver(self, event: EventT[Any]) -> None:
        """Hand a fetched batch to the owner of its partition."""
        message = event.message
        assert self.consumer is not None
        if message.generation_id != self.consumer.app.consumer_generation_id:
            return  # fetched before a rebalance: whoever owns the partition now reads it again
        held = self._held.get(message.partition)
        if held is None or held.owner is None:
            return  # being released: neither acked nor kept
        buffer = held.owner.inputs.buffers[self._kinds[message.topic]]
        buffer.add(message.value, event.ack)  # type: ignore[arg-type]
        if buffer.waiting >= self._most_waiting or buffer.waiting_bytes >= self._settings.fetch_bytes:
            self.consumer.on_buffer_full(message.tp)
        held.owner.wake()

    # -- taking ------------------------------------------------------------------------------------------------------

    async def _take(self, partitions: frozenset[int], generation: int) -> dict[TP, int]:
        for partition, held in list(self._held.items()):
            # Kept from one generation to the next, a partition was nobody else's. After a missed one it may have been.
            if partition not in partitions or generation != held.generation + 1:
                self._drop(partition)
        self._step("asking for the ids of the inputs")
        ids = await self._reach.through(lambda: asyncio.to_thread(self._topic_ids), self._settings.ack_timeout_s)
        topic_ids = tuple(ids[name] for name in INPUT_TOPICS)
        turns = asyncio.Semaphore(AT_ONCE)

        consumer = self.consumer
        assert consumer is not None

        async def one(partition: int) -> dict[TP, int]:
            async with turns:
                if (held := self._held.get(partition)) is None:
                    held = self._held[partition] = await self._restore(partition, topic_ids, consumer)
                else:
                    held.record, held.starts = await self._judged(
                        held.taken, held.record, partition, topic_ids, consumer
                    )
                held.generation = generation
                self._start(partition, held)
                return held.starts

        starts = await asyncio.gather(*(one(partition) for partition in sorted(partitions)))
        return {tp: offset for start in starts for tp, offset in start.items()}

    def _step(self, doing: str) -> None:
        self.doing, self.progressed_at = doing, self._reach.now()

    def _restored(self, partition: int, remaining: int, read: int) -> None:
        self._step(f"restoring partition {partition}, {remaining} changelog records to go")
        self._observer.restore(partition, remaining, read)

    async def _judged(
        self, taken: Taken, record: PartitionRecord, partition: int, topic_ids: tuple[str, ...], consumer: Consumer
    ) -> tuple[PartitionRecord, dict[TP, int]]:
        self._step(f"finding where partition {partition} goes on")
        return await self._reach.through(
            lambda: self._judging.judged(taken, record, partition, topic_ids, consumer), self._settings.ack_timeout_s
        )

    async def _restore(self, partition: int, topic_ids: tuple[str, ...], consumer: Consumer) -> _Held:
        self._step(f"fencing partition {partition}")
        reader = self._reader_for(partition)
        topic = topic_name(CHANGELOG, self._settings)
        changelog = Changelog(self._producer, reader, topic, partition, self._fresh_writer())
        taken = await take_partition(
            lambda: self._stores.open(partition),
            self._stores.empty,
            changelog,
            reader,
            now_ms=self._now_ms,
            progress=lambda remaining, read: self._restored(partition, remaining, read),
        )
        try:
            record, starts = await self._judged(taken, taken.record, partition, topic_ids, consumer)
            if record.tally is None:
                record = msgspec.structs.replace(record, tally=await self._tallied(taken, record, partition))
            if record != taken.record:
                await self._begin(taken, record)
            profiles = PendingProfiles(taken.store)
            engine = self._engine_for(partition, profiles)
            engine.watermark, engine.newest, engine.clock = record.watermark, record.newest, record.clock
            engine.applied_until = record.applied_until
            count, profiles_of_all = 0, taken.store.profiles()
            while portion := list(islice(profiles_of_all, RESTORE_CHUNK)):
                engine.restore_all(portion)
                count += len(portion)
                self._step(f"loading the profiles of partition {partition}, {count} so far")
                await breathe()
        except BaseException:
            taken.store.close()
            raise
        self._limit.restore(partition, taken.store.get(LETTERS_KEY))
        self._observer.partition(partition, engine.watermark, engine.newest, 0, engine.stages, self._now_ms())
        return _Held(taken, record, starts, engine, profiles, generation=-1)

    async def _tallied(self, taken: Taken, record: PartitionRecord, partition: int) -> Tally:
        """The tally of a partition that never had one; once, after an upgrade, as it decodes every profile."""
        served = []
        for count, (key, value) in enumerate(taken.store.profiles(), start=1):
            served.append(waiting_in(key, value))
            if count % RESTORE_CHUNK == 0:
                self._step(f"counting the scores that wait in partition {partition}, {count} profiles so far")
                await breathe()
        return waiting(served, max(record.watermark, 0))

    async def _begin(self, taken: Taken, record: PartitionRecord) -> None:
        """Write down where a partition begins before any profile: of a first slice only some batches may arrive."""
        writes = [(PARTITION_KEY, encode_record(record))]
        last = await taken.changelog.append(writes)
        taken.store.write(writes, CopyPosition(last, taken.changelog.writer, self._now_ms()))

    def _reader(self, partition: int) -> ChangelogReader:
        settings = self._settings
        topic = topic_name(CHANGELOG, settings)
        return ChangelogReader(settings, topic, partition, stall_s=settings.restore_timeout_s, reach=self._reach)

    def _start(self, partition: int, held: _Held) -> None:
        settings, starts = self._settings, held.starts
        held.engine.epochs = [position.epoch for position in held.record.inputs]
        tps = list(starts)
        grace_ms = round(settings.grace_minutes * 60_000)
        inputs = PartitionInputs(
            [
                InputBuffer(tp.topic, partition, kind, self._policy, starts[tp], position.newest, epoch=position.epoch)
                for kind, tp, position in zip(Kind, tps, held.record.inputs, strict=True)
            ],
            by_log=self._clock.by_log,
            grace_ms=grace_ms,
        )
        changelog = held.taken.changelog
        effects = EffectsInOrder(
            settings, partition, self._producer, changelog, held.taken.store, self._observer, now_ms=self._now_ms
        )
        gate = None
        if self._gates is not None:
            left, reader = held.taken.store.get(HOLD_KEY), self._reader_for(partition)
            gate = self._gates.gate(partition, left, held.engine, effects, reader, lambda: changelog.last)
        owner = PartitionOwner(
            partition,
            settings,
            self._clock,
            inputs,
            held.engine,
            held.profiles,
            effects,
            self._models,
            held.record,
            held.record.inputs,
            writer=changelog.writer,
            changelog_end=lambda: changelog.last,
            look_drained=lambda: self._look(inputs, tps),
            observer=self._observer,
            exits=self._exits,
            now_ms=self._now_ms,
            limit=self._limit,
            large_slices=self._large_slices,
            gate=gate,
            held_up=self._held_up,
            silence_ms=self._reach.counted_ms,
        )
        owner.republish([key.decode() for key in held.taken.unpublished])
        held.owner = owner
        held.task = asyncio.create_task(owner.run(), name=f"partition-{partition}")

    def _held_up(self) -> str | None:
        """Why no slice may begin: an outage, or behind it the group has not said yet that we are still in it."""
        if self._reach.away:
            return "a Kafka broker"
        back_at = self._reach.back_at
        if back_at is not None and self.consumer is not None and self.consumer.thread.heard_at < back_at:
            return "the group's word, after an outage, that this worker is still its member"
        return None

    def _look(self, inputs: PartitionInputs, tps: list[TP]) -> None:
        """What the broker says of the inputs: drained or not, and room made in buffers that were full."""
        consumer = self.consumer
        assert consumer is not None
        for tp, buffer in zip(tps, inputs.buffers, strict=True):
            buffer.drained = consumer.drained(tp, buffer.received)
            if buffer.waiting < self._most_waiting // 2 and buffer.waiting_bytes < self._settings.fetch_bytes // 2:
                consumer.on_buffer_drop(tp)
        now = steady_s()
        if now - self._lag_told > LAG_EVERY_S:
            self._lag_told = now
            self._tell_lag(consumer)

    def _tell_lag(self, consumer: Consumer) -> None:
        for partition, owner in self.owners.items():
            for name, buffer in zip(INPUT_TOPICS, owner.inputs.buffers, strict=True):
                state = consumer.thread.fetch_state(TP(buffer.topic, partition))
                if state is not None:
                    self._observer.lag(name, partition, max(0, state.highwater - buffer.next))

    def _drop(self, partition: int) -> None:
        held = self._held.pop(partition)
        held.taken.store.close()
        self._limit.forget(partition)
        self._observer.released(partition)
