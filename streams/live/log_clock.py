"""``--clock log``: where the log's own time must stop for a model cut, how drained partitions follow, how a run ends.

DESIGN: a score at T uses the cut of the last midnight at least an hour before T, and under the log clock the worker
waits for it. So before anything at or after a cut boundary is applied, everything before it takes effect, W is marked,
and the cut of that day must be there.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final, Protocol

from streams.core.alignment import UNKNOWN, boundaries, cut_day
from streams.core.events import DAY_MS
from streams.core.ports import Step
from streams.live.seams import Engine, Models

WAIT_S: Final = 1.0
"""How long to wait for a cut before marking anew that we are here."""


class Actor(Protocol):
    """What the log clock needs of the partition owner."""

    releasing: asyncio.Event

    @property
    def drained(self) -> bool:
        """Whether the inputs have been empty for a while."""

    async def took(self, step: Step, *, force: bool = False) -> bool:
        """Make a step of silence take effect."""

    async def mark(self, *, force: bool = False) -> None:
        """Tell the trainer W."""

    async def finish(self) -> None:
        """The end of the run is reached."""

    def beat(self, waiting_for: str) -> None:
        """Still alive, waiting for others."""


class LogClock:
    """Moves one partition's time by the log alone.

    Parameters
    ----------
    actor, engine, models
        The partition, its engine, and where cuts come from.
    grace_ms
        How far W stays behind.
    until_ms
        The end of the run: events up to and at this instant are applied. None: there is none.
    """

    def __init__(self, actor: Actor, engine: Engine, models: Models, grace_ms: int, until_ms: int | None) -> None:
        self._actor = actor
        self._engine = engine
        self._models = models
        self._grace_ms = grace_ms
        self._until_ms = until_ms

    def limit(self) -> int:
        """Events before this instant may be applied now; 0 while a boundary or its cut is still due."""
        if self._engine.watermark == UNKNOWN:
            return 0
        coming = self._coming()
        if not self._models.has(cut_day(coming - 1)):
            return 0  # restarted between stopping at a boundary and its cut
        return coming if self._until_ms is None else min(coming, self._until_ms + 1)

    async def stop_before(self, instant_ms: int) -> None:
        """A record waits that may not be applied yet: stop at the boundaries before it, or end the run."""
        if self._until_ms is not None and instant_ms > self._until_ms:
            if await self._reach(self._until_ms):
                await self._actor.finish()
        else:
            await self._go_to(instant_ms)

    async def follow(self) -> bool:
        """A drained partition follows the others, day by day and last to the end of the run; whether it moved."""
        until, frontier = self._until_ms, self._models.frontier_ms
        if until is not None and self._engine.watermark > until:
            await self._actor.finish()
            return False
        if not self._actor.drained or frontier is None or self._engine.watermark > frontier:
            return False
        await self._reach(frontier if until is None else min(frontier, until))
        return True

    async def _reach(self, instant_ms: int) -> bool:
        """Everything up to an instant is over: W behind it. False when released before."""
        if self._engine.watermark <= instant_ms:
            await self._go_to(instant_ms)
            if self._actor.releasing.is_set():
                return False
            step = self._engine.advance(instant_ms, self._models.scorer, watermark=instant_ms + 1)
            await self._actor.took(step, force=True)
            await self._actor.mark(force=True)
        return True

    async def _go_to(self, instant_ms: int) -> None:
        """Stop at every cut boundary up to an instant: release labels, mark, and wait for the cut."""
        engine = self._engine
        for boundary in boundaries(engine.watermark, instant_ms, self._grace_ms):
            watermark = boundary - 1 - self._grace_ms
            await self._actor.took(engine.advance(boundary - 1, self._models.scorer, watermark=watermark), force=True)
            await self._actor.mark(force=True)
            if not await self._cut_or_release(cut_day(boundary)):
                return
        await self._cut_or_release(cut_day(self._coming() - 1))

    def _coming(self) -> int:
        watermark = self._engine.watermark
        return next(boundaries(watermark, watermark + 3 * DAY_MS, self._grace_ms))

    async def _cut_or_release(self, day_ms: int) -> bool:
        """Wait for the cut of a day; False when the partition is to be released first."""
        while not self._models.has(day_ms):
            tasks = [
                asyncio.ensure_future(self._models.wait_for(day_ms)),
                asyncio.ensure_future(self._actor.releasing.wait()),
            ]
            await asyncio.wait(tasks, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._actor.releasing.is_set():
                return False
            day = datetime.fromtimestamp(day_ms / 1000.0, UTC).date()
            self._actor.beat(f"the model cut of {day}, which a trainer makes")
            await self._actor.mark()
        return True
