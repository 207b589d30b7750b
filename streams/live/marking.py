"""When the trainer is told W: a mark says that every example with a label before it was sent."""

from __future__ import annotations

from typing import Final

from streams.core.tally import Tally
from streams.live.effects import EffectsInOrder
from streams.live.seams import Clock, Engine, steady_s

MARK_EVERY_S: Final = 1.0
MARK_AT_LEAST_S: Final = 60.0


class Marks:
    """Marks of one partition: when W moved or the inputs drained, but not at every slice."""

    def __init__(self, effects: EffectsInOrder, engine: Engine, clock: Clock) -> None:
        self._effects = effects
        self._engine = engine
        self._clock = clock
        self._marked: tuple[int, bool] | None = None
        self._marked_at = 0.0

    async def tell(self, tally: Tally, *, drained: bool, force: bool = False) -> None:
        """Mark W, if it is time; with it goes the tally of the partition's scores."""
        now = steady_s()
        until, watermark = self._clock.until_ms, self._engine.watermark
        state = (watermark, drained or (until is not None and watermark > until))
        age = now - self._marked_at
        changed = self._marked is None or state[1] != self._marked[1]
        if not self._clock.by_log:
            changed = changed or state != self._marked
        if not (force or (changed and age >= MARK_EVERY_S) or age >= MARK_AT_LEAST_S):
            return
        self._marked, self._marked_at = state, now
        await self._effects.mark(state[0], drained=state[1], clock=self._clock.name, until=until, tally=tally)
