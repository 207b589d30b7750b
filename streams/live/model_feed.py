"""The cuts that a worker scores with, read from ``model-cuts``: to its end before the worker is ready, then on.

A Faust GlobalTable would have every worker recover every partition through the slow path (FAUST.md 25).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from models.errors import ModelError
from models.serving import Cuts
from streams.core.errors import SnapshotError
from streams.core.ports import ChurnScorer
from streams.live.exits import Exits
from streams.live.feed import Feed
from streams.live.reach import Reach
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
        self.cuts: Cuts = new_cuts(settings.horizon_days, settings.propensity_horizon_days)
        self.on_change = on_change
        self.received = 0
        """Cuts and frontiers read so far."""
        self._feed = Feed(
            settings, topic_name(MODEL_CUTS, settings), exits, self._taken, after=self._after, reach=reach
        )
        self._changed = asyncio.Condition()

    @property
    def ready(self) -> bool:
        """Whether everything that was there at the start is known."""
        return self._feed.ready.is_set()

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
        await self._feed.start()
        await self._feed.ready.wait()

    async def stop(self) -> None:
        """End reading."""
        await self._feed.stop()

    async def _taken(self, record: Any) -> None:
        try:
            self.cuts.add(model_record(record.value, self._feed.where))
        except ModelError as error:
            raise SnapshotError(error.what, error.hint) from error

    async def _after(self, records: int) -> None:
        self.received += records
        if records:
            async with self._changed:
                self._changed.notify_all()
            self.on_change()
