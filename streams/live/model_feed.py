"""The cuts that a worker scores with, read from ``model-cuts``: to its end before the worker is ready, then on.

A Faust GlobalTable would have every worker recover every partition through the slow path (FAUST.md 25).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from models.errors import ModelError
from models.serving import Cuts
from streams.core.errors import SnapshotError
from streams.core.ports import ChurnScorer
from streams.live.exits import Exits
from streams.live.reach import Reach
from streams.live.tail import Tail
from streams.model_records import model_record, new_cuts
from streams.settings import Settings
from streams.topics import MODEL_CUTS, topic_name

log = logging.getLogger(__name__)


class ModelFeed:
    """Keeps the cuts of a worker up to date.

    Parameters
    ----------
    settings
        Brokers, prefix, horizon.
    on_change
        Called after new cuts or frontiers came.
    reach
        Knows of outages.
    """

    def __init__(
        self,
        settings: Settings,
        exits: Exits,
        on_change: Callable[[], None] = lambda: None,
        *,
        reach: Reach | None = None,
    ) -> None:
        self.cuts: Cuts = new_cuts(settings.horizon_days)
        self.ready = asyncio.Event()
        """Everything that was there at the start is known."""
        self.on_change = on_change
        self.received = 0
        """Cuts and frontiers read so far."""
        self._topic = topic_name(MODEL_CUTS, settings)
        self._tail = Tail(settings, self._topic, reach=reach)
        self._exits = exits
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def scorer(self) -> ChurnScorer:
        """Scores with what is known now."""
        return self.cuts

    @property
    def frontier_ms(self) -> int | None:
        """The day that drained partitions were told to follow to."""
        return self.cuts.frontier_ms

    def has(self, day_ms: int) -> bool:
        """Whether the cut of a day is known, or the day lies before all of them."""
        return self.cuts.has(day_ms)

    async def wait_for(self, day_ms: int) -> None:
        """Return once the cut of a day is there."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.has(day_ms))

    async def start(self) -> None:
        """Begin reading; returns when everything there is known."""
        await self._tail.start()
        self._task = asyncio.create_task(self._run(), name="model-feed")
        await self.ready.wait()

    async def stop(self) -> None:
        """End reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._tail.stop()

    async def _run(self) -> None:
        offset = 0
        try:
            async for portion in self._tail.portions(0.5):
                for record in portion:
                    offset = record.offset
                    self.cuts.add(model_record(record.value, f"{self._topic}, partition 0, offset {offset}"))
                self.received += len(portion)
                if portion:
                    async with self._changed:
                        self._changed.notify_all()
                    self.on_change()
                if not self.ready.is_set() and await self._tail.caught_up():
                    self.ready.set()
        except ModelError as error:
            self._exits.end(SnapshotError(error.what, error.hint), f"{self._topic}, partition 0, offset {offset}")
        except Exception as error:  # noqa: BLE001 (ends the process)
            self._exits.end(error, f"while reading {self._topic}, partition 0, offset {offset}")
