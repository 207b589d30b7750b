"""What steps of the engine leave behind, and how it takes effect: steps 2 to 4 of a partition's order of effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from streams.core.alignment import UNKNOWN
from streams.core.ports import Output, Step
from streams.core.tally import Counts, Tally, add, encode_tally
from streams.live.changelog import Write
from streams.live.effects import Effects, EffectsInOrder
from streams.live.fence import PARTITION_KEY
from streams.live.inputs import PartitionInputs
from streams.live.observer import Observer
from streams.live.output_gate import OpenGate, OutputGate
from streams.live.partition_record import InputPosition, PartitionRecord, encode_record
from streams.live.portraits import PortraitThrottle
from streams.live.seams import Engine, Models, PendingProfiles, steady_s


class StepEffects:
    """Gathers steps, then publishes, persists and records them together.

    Parameters
    ----------
    partition, engine, profiles, inputs, models
        What took the steps.
    effects, gate
        Where outputs go, and whether they may.
    begun, positions
        The partition record as it was found, and the input positions that it goes on from.
    writer
        Named in every profile.
    changelog_end
        Offset of our last changelog record.
    waits_for
        Told what it is about to wait for.
    now_ms
        Wall clock, ms.
    """

    def __init__(
        self,
        partition: int,
        engine: Engine,
        profiles: PendingProfiles,
        inputs: PartitionInputs,
        models: Models,
        effects: EffectsInOrder,
        gate: OutputGate | OpenGate,
        begun: PartitionRecord,
        positions: tuple[InputPosition, ...],
        *,
        writer: int,
        changelog_end: Callable[[], int],
        waits_for: Callable[[str], None],
        observer: Observer,
        now_ms: Callable[[], int],
    ) -> None:
        self._partition = partition
        self._engine = engine
        self._profiles = profiles
        self._inputs = inputs
        self._models = models
        self._effects = effects
        self._gate = gate
        self._begun = begun
        self._positions = positions
        self._published = begun.published
        self._writer = writer
        self._changelog_end = changelog_end
        self._waits_for = waits_for
        self._observer = observer
        self._now_ms = now_ms
        self._portraits = PortraitThrottle()
        self.tally = begun.tally or Tally()
        """What became of the partition's scheduled scores, up to the last slice that was gathered."""
        self._tallied: dict[bytes, Counts] = {}
        """By user: what is not in the tally yet."""
        self.touched_at: float = steady_s()
        """When the changelog was last appended to."""

    # -- steps -------------------------------------------------------------------------------------------------------

    def gather(self, step: Step, effects: Effects, portraits: dict[str, None]) -> None:
        """Add one step to what is to take effect."""
        effects.outputs += step.outputs
        effects.examples += step.examples
        portraits.update(step.portraits)
        self._gate.watch(step.seen, self._portraits_from())
        pending = self._profiles.pending
        for user_id in step.changed:
            pending[user_id.encode()] = self._engine.encoded(user_id, self._writer)
        for user_id, counts in step.facts.tallies.items():
            add(self._tallied.setdefault(user_id.encode(), {}), counts)
        self._observer.facts(step.facts)

    async def take(self, effects: Effects, portraits: dict[str, None]) -> None:
        """Steps 2 to 4 of the order of effects."""
        now = steady_s()
        self._portraits.changed(portraits, now, self._changelog_end() + 1)
        if users := self._portraits.due(now):
            effects.portraits = chain(effects.portraits, self.portraits_of(users))
        self._waits_for("Kafka's acks of outputs")
        self._gate.appended(await self._effects.publish(effects, hold=self._gate.holds))
        self._waits_for("Kafka's acks of the changelog")
        changed = self._profiles.pending.items()
        tallies = self._tallies(changed)
        writes = [*self._gate.writes(), *changed, (PARTITION_KEY, encode_record(self.record()))]
        await self._effects.persist(writes, tallies)
        self._profiles.pending.clear()
        self.touched_at = steady_s()
        engine = self._engine
        self._observer.partition(
            self._partition, engine.watermark, engine.newest, self._inputs.waiting, engine.stages, self._now_ms()
        )
        if engine.newest != UNKNOWN:
            cut, _ = self._models.scorer.cut_at(engine.newest)
            self._observer.serving(cut.version, cut.day_ms)

    def _tallies(self, writes: Iterable[Write]) -> dict[bytes, bytes]:
        """Add up the tally in the order of writes; by key, how it stands with this one."""
        tallies: dict[bytes, bytes] = {}
        for key, _ in writes:
            if (counts := self._tallied.pop(key, None)) is not None:
                self.tally = self.tally.plus(counts)
                tallies[key] = encode_tally(self.tally)
        return tallies

    # -- portraits ---------------------------------------------------------------------------------------------------

    def republish(self, users: Sequence[str]) -> None:
        """Users whose portrait a former owner may not have published."""
        self._portraits.changed(users, steady_s(), self._changelog_end() + 1)

    async def publish_due(self, *, touch: bool) -> bool:
        """Publish portraits whose time has come, and with ``touch`` append to the changelog anyway; whether it did."""
        users = self._portraits.due(steady_s())
        if not users and not touch:
            return False
        await self.take(Effects(portraits=self.portraits_of(users)), {})
        return True

    async def flush_portraits(self) -> None:
        """Publish what the throttle holds back: the worker stops, or the run ends."""
        users = self._portraits.flush(steady_s())
        if users:
            await self.take(Effects(portraits=self.portraits_of(users)), {})

    def portraits_of(self, users: Sequence[str]) -> Iterator[tuple[str, Output | None]]:
        """Portraits as of when they are asked for; None for who is forgotten."""
        return ((user_id, self._engine.portrait(user_id)) for user_id in users)

    def _portraits_from(self) -> int:
        oldest = self._portraits.oldest_offset
        return self._changelog_end() + 1 if oldest is None else oldest

    # -- record ------------------------------------------------------------------------------------------------------

    @property
    def published_ms(self) -> int:
        """Kafka timestamp of the newest record."""
        return max(self._published, self._inputs.published)

    def record(self) -> PartitionRecord:
        """How far the partition has come."""
        self._published = self.published_ms
        return msgspec.structs.replace(
            self._begun,
            watermark=self._engine.watermark,
            newest=self._engine.newest,
            clock=self._engine.clock,
            published=self._published,
            portraits_from=self._portraits_from(),
            inputs=tuple(
                InputPosition(topic_id=position.topic_id, epoch=position.epoch, next=buffer.next, newest=buffer.reached)
                for position, buffer in zip(self._positions, self._inputs.buffers, strict=True)
            ),
            tally=self.tally,
        )
