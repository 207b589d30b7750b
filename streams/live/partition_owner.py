"""The owner of partition n of all three inputs: an actor that applies slices and lets silence pass.

It is serial: one slice is computed, published, persisted and acked before the next. Owners of other partitions go on
meanwhile. Everything it decides is the engine's; everything it sends goes through :class:`EffectsInOrder`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from math import inf
from typing import Final

from streams.core.alignment import UNKNOWN
from streams.core.events import INPUT_TOPICS, MINUTE_MS
from streams.core.letter_limit import LetterLimit, Refused
from streams.core.ports import Output, Rejection, Step
from streams.dead_letters import PARKED_AFTER, attempts, letter_limit
from streams.live.changelog import breathe
from streams.live.effects import Effects, EffectsInOrder
from streams.live.exits import Exits
from streams.live.fence import LETTERS_KEY
from streams.live.inputs import Letter, PartitionInputs, Slice
from streams.live.log_clock import LogClock
from streams.live.marking import Marks
from streams.live.observer import Observer
from streams.live.output_gate import OpenGate, OutputGate
from streams.live.partition_record import InputPosition, PartitionRecord
from streams.live.seams import Clock, Engine, Models, PendingProfiles, steady_s
from streams.live.step_effects import StepEffects
from streams.settings import Settings

CHUNK: Final = 500
"""Events computed before others get their turn."""
SILENCE_EVERY_S: Final = 1.0
LOOK_EVERY_S: Final = 0.1
"""How often an owner without work looks whether its inputs are drained."""
SETTLED_DRAINED_S: Final = 0.5
"""Inputs count as drained once they have been for this long: a pause between two fetches is not silence."""
TOUCH_EVERY_S: Final = 60.0
"""An idle owner appends at least this often: that is how it notices a zombie before compaction does."""


class PartitionOwner:
    """See the module. Made by :class:`streams.live.ownership.Ownership` once the partition is taken."""

    def __init__(
        self,
        partition: int,
        settings: Settings,
        clock: Clock,
        inputs: PartitionInputs,
        engine: Engine,
        profiles: PendingProfiles,
        effects: EffectsInOrder,
        models: Models,
        record: PartitionRecord,
        positions: tuple[InputPosition, ...],
        *,
        writer: int,
        changelog_end: Callable[[], int],
        look_drained: Callable[[], None],
        observer: Observer,
        exits: Exits,
        now_ms: Callable[[], int],
        limit: LetterLimit | None = None,
        held_up: Callable[[], str | None] = lambda: None,
        silence_ms: Callable[[int, int], int] = lambda since, until: max(0, until - since),
        gate: OutputGate | None = None,
        large_slices: asyncio.Semaphore | None = None,
    ) -> None:
        self.partition = partition
        self.inputs = inputs
        self.ended = asyncio.Event()
        """The run's end (``--until``) is reached."""
        self._settings = settings
        self._large_slices = large_slices or asyncio.Semaphore()
        self._clock = clock
        self._engine = engine
        self._profiles = profiles
        self._models = models
        self._look_drained = look_drained
        self._observer = observer
        self._exits = exits
        self._now_ms = now_ms
        self._limit = limit or letter_limit(settings)
        self._held_up = held_up
        self._silence_ms = silence_ms
        self.waiting_for = "its first turn"
        """What keeps it, for messages."""
        self.moves = 0
        """Counts steps that move no offset, so that long work is no stall."""
        self._gate: OutputGate | OpenGate = gate or OpenGate()
        self._marks = Marks(effects, engine, clock)
        self._steps = StepEffects(
            partition,
            engine,
            profiles,
            inputs,
            models,
            effects,
            self._gate,
            record,
            positions,
            writer=writer,
            changelog_end=changelog_end,
            waits_for=self._wait_for,
            observer=observer,
            now_ms=now_ms,
        )
        self._log = (
            LogClock(self, engine, models, round(settings.grace_minutes * MINUTE_MS), clock.until_ms)
            if clock.by_log
            else None
        )
        self._woken = asyncio.Event()
        self.releasing = asyncio.Event()
        self._drained_since: float | None = None
        self._silence_at = 0.0
        self._slice_at = 0.0
        """When the last slice was closed."""
        self.progressed_at: float = steady_s()

    # -- from outside ------------------------------------------------------------------------------------------------

    @property
    def watermark(self) -> int:
        """W, ms."""
        return self._engine.watermark

    def wake(self) -> None:
        """Something came."""
        self._woken.set()

    def republish(self, users: list[str]) -> None:
        """Users whose portrait a former owner may not have published."""
        self._steps.republish(users)

    async def run(self) -> None:
        """Work until released. Never raises: what cannot be trusted ends the process."""
        try:
            await self.mark(force=True)
            while not self.releasing.is_set():
                await self._turn()
        except Exception as error:  # noqa: BLE001 (ends the process)
            self._exits.end(error, f"while applying {self.where()}")

    @property
    def stopping(self) -> bool:
        """Whether it is to stop after what it does now."""
        return self.releasing.is_set()

    def release(self) -> None:
        """Stop after the present slice."""
        self.releasing.set()
        self._woken.set()

    def reached(self) -> PartitionRecord:
        """Where another owner of the same state goes on."""
        return self._steps.record()

    async def flush_portraits(self) -> None:
        """Publish what the throttle holds back: the worker stops, or the run ends."""
        await self._steps.flush_portraits()

    def where(self) -> str:
        """Topics, partition and next offsets, for messages."""
        return "; ".join(
            f"{buffer.topic}, partition {self.partition}, offset {buffer.next}" for buffer in self.inputs.buffers
        )

    # -- one turn ----------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        self._woken.clear()
        self._see_drained()
        self.progressed_at = steady_s()
        if await self._gate.settle(self):
            return
        await self._gate.say()
        if (held_up := self._held_up()) is not None:
            self.waiting_for = held_up
            await self._rest(LOOK_EVERY_S)
            return
        async with self._large_turn():
            self.progressed_at = steady_s()
            if self.releasing.is_set():
                return
            self.waiting_for = "the other inputs, which it must not run ahead of"
            taken = await self._next_slice()
            if taken:
                await self._apply(taken)
                return
        if self._log is not None and taken.stopped_at is not None:
            await self._log.stop_before(taken.stopped_at)
            if self.ended.is_set():
                await self._rest(LOOK_EVERY_S)
        elif not await self._idle():
            await self._rest(LOOK_EVERY_S)

    def _large_turn(self) -> AbstractAsyncContextManager[object]:
        """A partition that is behind waits its turn: large slices are held in memory by a few partitions at a time."""
        if self.inputs.waiting <= 2 * self._settings.slice_records:
            return nullcontext()
        self.waiting_for = "its turn for a large slice"
        self.progressed_at = inf  # whoever has the turn is watched
        return self._large_slices

    async def _next_slice(self) -> Slice:
        most = self._settings.slice_records
        waiting = self.inputs.waiting
        if waiting > 2 * most:
            most = max(most, self._settings.behind_slice_records)
        elif 0 < waiting < most and (early_s := self._slice_at + self._settings.slice_ms / 1000.0 - steady_s()) > 0.0:
            await asyncio.sleep(early_s)  # fetches gather for as long, but not on every broker, nor on several alike
        self._slice_at = steady_s()
        started = time.perf_counter()
        before_ms = None if self._log is None else self._log.limit()
        taken = self.inputs.slice(most, before_ms=before_ms, most_bytes=self._settings.fetch_bytes)
        if taken:
            self._observer.stage_seconds("align", time.perf_counter() - started)
        return taken

    async def _apply(self, taken: Slice) -> None:
        effects = Effects(letters=taken.letters)
        portraits: dict[str, None] = {}
        started = time.perf_counter()
        for at in range(0, len(taken.events), CHUNK):
            chunk = taken.events[at : at + CHUNK]
            step = self._engine.process(chunk, self._models.scorer, head_bound=taken.head_bound)
            self._steps.gather(step, effects, portraits)
            for event, why in step.rejected:
                where = why.position._replace(topic=self.inputs.buffers[event.kind].topic)
                why = Rejection(why.reason, why.message, where)  # the engine knows no prefix
                effects.letters.append(Letter(event.kind, taken.record_of(event), why))
            await breathe()
        self._observer.stage_seconds("engine", time.perf_counter() - started)
        self._within_limit(taken, effects)
        for letter in effects.letters:
            self._observer.rejected(INPUT_TOPICS[letter.kind], letter.rejection.reason)
            if times := attempts(letter.record.headers):
                self._observer.redrive_failed(parked=times >= PARKED_AFTER)
        await self._steps.take(effects, portraits)
        for name, buffer, read in zip(INPUT_TOPICS, self.inputs.buffers, taken.read_by_input, strict=True):
            buffer.ack_applied(buffer.next)
            self._observer.read(name, read)
            self._observer.unknown_actions(buffer.take_unknown_actions())
        await self.mark()

    def _within_limit(self, taken: Slice, effects: Effects) -> None:
        """Count the slice, or end before it takes effect: a broken feed is not thrown away.

        What was redriven and fails again is no feed, and its letter keeps it.
        """
        refused = [
            Refused(letter.kind, letter.record.timestamp, letter.rejection)
            for letter in effects.letters
            if not attempts(letter.record.headers)
        ]
        self._limit.take(self.partition, taken.published, refused)
        if refused and (counted := self._limit.encoded(self.partition)) is not None:
            self._profiles.pending[LETTERS_KEY] = counted

    # -- silence -----------------------------------------------------------------------------------------------------

    async def _idle(self) -> bool:
        """Nothing may go: let silence pass. Whether anything was done."""
        if self._log is not None:
            if await self._log.follow():
                return True
        elif await self._pass_silence():
            return True
        await self.mark()
        return await self._steps.publish_due(touch=steady_s() - self._steps.touched_at > TOUCH_EVERY_S)

    async def _pass_silence(self) -> bool:
        """W + (now - Kafka timestamp of the newest record), while all inputs are drained."""
        now = steady_s()
        engine = self._engine
        if not self.drained or engine.watermark == UNKNOWN or now - self._silence_at < SILENCE_EVERY_S:
            return False
        self._silence_at = now
        published = self._steps.published_ms
        if published == UNKNOWN:
            return False
        # Nothing waits anywhere any more: what held W back is in, and no later event need come for it to move.
        watermark = max(engine.watermark, engine.newest - round(self._settings.grace_minutes * MINUTE_MS))
        silence_ms = self._silence_ms(published, self._now_ms())
        step = engine.advance(watermark + silence_ms, self._models.scorer, watermark=watermark)
        return await self.took(step)

    async def finish(self) -> None:
        """The end of the run is reached."""
        if not self.ended.is_set():
            await self.flush_portraits()
            self.ended.set()

    def beat(self, waiting_for: str = "") -> None:
        """Still alive: waiting for others, or at work that moves no offset."""
        self.waiting_for = waiting_for or self.waiting_for
        self.moves += not waiting_for
        self.progressed_at = steady_s()

    # -- effects -----------------------------------------------------------------------------------------------------

    async def took(self, step: Step, *, force: bool = False) -> bool:
        """Make a step of silence take effect; whether it left any."""
        effects, portraits = Effects(), dict[str, None]()
        self._steps.gather(step, effects, portraits)
        if not (force or step.changed or step.outputs or step.examples):
            return False
        await self._steps.take(effects, portraits)
        return True

    def portraits_of(self, users: Sequence[str]) -> Iterator[tuple[str, Output | None]]:
        """Portraits as of now; None for who is forgotten."""
        return self._steps.portraits_of(users)

    def _wait_for(self, what: str) -> None:
        self.waiting_for = what

    async def mark(self, *, force: bool = False) -> None:
        """Tell the trainer W: when it moved or the inputs drained, but not at every slice."""
        waiting_for, self.waiting_for = self.waiting_for, "Kafka's ack of a mark"
        await self._marks.tell(self._steps.tally, drained=self.drained, force=force)
        self.waiting_for = waiting_for

    # -- drained -----------------------------------------------------------------------------------------------------

    def _see_drained(self) -> None:
        self._look_drained()
        if not self.inputs.drained:
            self._drained_since = None
        elif self._drained_since is None:
            self._drained_since = steady_s()

    @property
    def drained(self) -> bool:
        return self._drained_since is not None and steady_s() - self._drained_since >= SETTLED_DRAINED_S

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), timeout=seconds)
        except TimeoutError:
            return
