"""No hang, ever: notices that work waits and nothing moves, though Kafka can be reached.

FAUST.md 9: Faust's own stall detection mixes two clocks and never fires. This one looks at what counts: records that
the broker has beyond what is applied, and steps of a rebalance. Outages do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from faust.types import TP

from streams.core.errors import StalledError
from streams.live.consumer import FetchState
from streams.live.inputs import InputBuffer
from streams.live.partition_owner import PartitionOwner
from streams.live.reach import Reach


class Watched(Protocol):
    """What is watched: :class:`streams.live.ownership.Ownership`."""

    ready: Any
    doing: str
    progressed_at: float

    @property
    def owners(self) -> Mapping[int, PartitionOwner]:
        """The owners at work."""


class StallWatch:
    """Looked at often; says when to end.

    Parameters
    ----------
    limit_s
        For how long nothing may move.
    fetch_state
        What the broker said last about a partition of an input; None before its first answer.
    cuts
        How many cuts and frontiers have been read: where they come, a wait for the right one is no stall.
    """

    def __init__(
        self,
        watched: Watched,
        limit_s: float,
        reach: Reach,
        fetch_state: Callable[[TP], FetchState | None],
        cuts: Callable[[], int],
    ) -> None:
        self._watched = watched
        self._limit_s = limit_s
        self._reach = reach
        self._fetch_state = fetch_state
        self._cuts = cuts
        self._moved: dict[int, tuple[object, float]] = {}
        self._answered_ms: dict[TP, int] = {}
        self._unready_since: float | None = None

    def look(self) -> StalledError | None:
        """What has stalled, with topic, partition, offset and what it waited for; None while all moves."""
        if not self._watched.ready.is_set():
            return self._rebalance()
        self._unready_since = None
        owners = self._watched.owners
        for partition in set(self._moved) - set(owners):
            del self._moved[partition]
        for partition, owner in owners.items():
            if (stalled := self._owner(partition, owner)) is not None:
                return stalled
        return None

    def _rebalance(self) -> StalledError | None:
        self._moved.clear()
        if self._unready_since is None:
            self._unready_since = self._reach.now()
        if self._reach.waited_s(max(self._unready_since, self._watched.progressed_at)) <= self._limit_s:
            return None
        return StalledError(
            f"A rebalance has not moved for {self._limit_s:g} s: {self._watched.doing}.",
            "Start the worker again; its partitions go to others meanwhile.",
        )

    def _owner(self, partition: int, owner: PartitionOwner) -> StalledError | None:
        buffers = owner.inputs.buffers
        behind = [buffer for buffer in buffers if self._waits(TP(buffer.topic, partition), buffer)]
        token = (tuple(buffer.next for buffer in buffers), owner.watermark, owner.moves, self._cuts())
        known, moved_at = self._moved.get(partition, (None, 0.0))
        if known != token or not behind or owner.ended.is_set():
            self._moved[partition] = (token, self._reach.now())
            return None
        if self._reach.waited_s(moved_at) <= self._limit_s:
            return None
        first = behind[0]
        state = self._fetch_state(TP(first.topic, partition))
        if first.waiting:
            why = f"{first.waiting} fetched records wait; it waited for {owner.waiting_for}"
        elif state is not None and state.highwater > first.next:
            why = f"Kafka has records up to offset {state.highwater}, and no fetch brought them"
        else:
            why = "no fetch was answered"
        return StalledError(
            f"{first.topic}, partition {partition}, offset {first.next}: nothing has moved for {self._limit_s:g} s "
            f"though Kafka can be reached: {why}.",
            "Start the worker again; it goes on where its state ends.",
        )

    def _waits(self, tp: TP, buffer: InputBuffer) -> bool:
        """Whether an input has more than is applied, as far as the broker has said lately."""
        state = self._fetch_state(tp)
        if state is None:
            return True
        news = self._answered_ms.get(tp) != state.answered_ms
        self._answered_ms[tp] = state.answered_ms
        return buffer.waiting > 0 or state.highwater > buffer.next or not news
