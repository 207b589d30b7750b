"""The seams of a partition owner: which clock, which engine, which models, which profiles it works with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from streams.core.events import Event
from streams.core.ports import ChurnScorer, Output, Step
from streams.live.store import Store


def steady_s() -> float:
    """The event loop's clock, s: ``time.monotonic`` in a worker, virtual time where a run is simulated."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Clock:
    """``--clock wall`` or ``--clock log [--until T]``; ``until_ms`` ends the run at W = T."""

    by_log: bool = False
    until_ms: int | None = None

    @property
    def name(self) -> str:
        """As marks spell it."""
        return "log" if self.by_log else "wall"


class Models(Protocol):
    """Where cuts come from: :class:`streams.live.model_feed.ModelFeed`."""

    @property
    def scorer(self) -> ChurnScorer:
        """Scores with what is known now."""

    @property
    def frontier_ms(self) -> int | None:
        """The day that drained partitions were told to follow to."""

    def has(self, day_ms: int) -> bool:
        """Whether the cut of a day is there."""

    async def wait_for(self, day_ms: int) -> None:
        """Return once the cut of a day is there."""


class Engine(Protocol):
    """What the owner needs of :class:`streams.core.engine.PartitionEngine`."""

    watermark: int
    newest: int
    clock: int

    @property
    def stages(self) -> dict[str, int]: ...

    def process(self, events: list[Event], model: ChurnScorer, *, head_bound: int | None = None) -> Step: ...
    def advance(self, clock_ms: int, model: ChurnScorer, *, watermark: int | None = None) -> Step: ...
    def encoded(self, user_id: str, writer: int = 0) -> bytes | None: ...
    def portrait(self, user_id: str) -> Output | None: ...
    def untell(self, discarded: Iterable[tuple[str, str, str | None]]) -> Step: ...


class PendingProfiles:
    """Stored profiles, with what is computed and not yet stored in front: what the engine reads from."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.pending: dict[bytes, bytes | None] = {}

    def get(self, user_id: str, /) -> bytes | None:
        """What is, or is about to be, stored for a user."""
        key = user_id.encode()
        return self.pending[key] if key in self.pending else self._store.get(key)
