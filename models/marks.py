"""How far the partitions' examples are complete, and which of them the trainer waits for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from models.accounts import Tally
from models.snapshots import DAY_MS, LAST_INSTANT

NOTHING: Final = -(2**62)
"""Below every instant: what a partition covers that has not marked."""


class Mark(NamedTuple):
    """How far one partition's examples are complete: all with ``label_ms`` below ``watermark`` were sent before it."""

    watermark: int
    drained: bool
    log: bool
    """Whether the partition's worker runs under ``--clock log``."""
    until: int | None
    tally: Tally | None = None
    """What became of the partition's scheduled scores; None in a mark of before they were counted."""

    def encode(self) -> list[Any]:
        """As a cut keeps it: see :meth:`Marks.restore`."""
        return [*self[:4], None if self.tally is None else self.tally.encode()]


Snapshot = tuple[Mark | None, ...]


def checked(mark: Mark) -> Mark:
    """The mark, once its instants are some: a trainer would cut day by day up to a watermark of the year 300,000,000.

    Raises
    ------
    ValueError
        An instant is negative (a watermark may be -1, unknown) or beyond the year 9999.
    """
    if not -1 <= mark.watermark <= LAST_INSTANT:
        raise ValueError(f"watermark {mark.watermark} is no instant")
    if mark.until is not None and not 0 <= mark.until <= LAST_INSTANT:
        raise ValueError(f"until {mark.until} is no instant")
    return mark


class Marks:
    """The last mark of every partition.

    Under ``--clock log`` every partition is waited for, however long it takes: passing one over would let the run
    decide what is learned, not the log. Drained ones follow the others (:meth:`frontier`). Under the wall clock,
    partitions that are drained, or have not marked for ``idle_ms``, are passed over.

    Parameters
    ----------
    partitions
        How many there are.
    idle_ms
        Wall time without a mark after which one is passed over.
    """

    def __init__(self, partitions: int, idle_ms: int) -> None:
        self.known: Snapshot = (None,) * partitions
        """Replaced at each mark, never changed: it may be kept."""
        self._idle_ms = idle_ms
        self._first: dict[int, int] = {}
        self._marked_at: list[int | None] = [None] * partitions
        self._began_at: int | None = None

    def begin(self, now_ms: int) -> None:
        """Partitions that have never marked are idle since the first call."""
        if self._began_at is None:
            self._began_at = now_ms

    def put(self, partition: int, mark: Mark, now_ms: int) -> int:
        """Take in a mark; gives back how far the partition is complete now (a mark never goes back)."""
        watermark = max(mark.watermark, self.covered(partition))
        self.known = (*self.known[:partition], mark._replace(watermark=watermark), *self.known[partition + 1 :])
        self._marked_at[partition] = now_ms
        if watermark >= 0:
            self._first.setdefault(partition, watermark)
        return watermark

    def restore(self, marks: Iterable[Sequence[Any] | None]) -> None:
        """Stand where a cut recorded the marks (``known``, encoded)."""
        known: list[Mark | None] = []
        for values in marks:
            if values is None:
                known.append(None)
            else:
                watermark, drained, log, until, *tally = values
                ends = None if until is None else int(until)
                counted = Tally.decode(tally[0]) if tally else None
                known.append(checked(Mark(int(watermark), bool(drained), bool(log), ends, counted)))
        self.known = tuple(known)

    def covered(self, partition: int) -> int:
        """Below this label time, all of the partition's examples were sent."""
        mark = self.known[partition]
        return NOTHING if mark is None else mark.watermark

    @property
    def by_log(self) -> bool:
        """Whether the workers run under ``--clock log``."""
        return any(mark is not None and mark.log for mark in self.known)

    @property
    def until(self) -> int | None:
        """The end of the run, once all partitions agree on one."""
        ends = {None if mark is None else mark.until for mark in self.known}
        return ends.pop() if len(ends) == 1 else None

    @property
    def lowest_first(self) -> int:
        """The lowest of the partitions' first marks that name an instant; only asked once there is one."""
        return min(self._first.values())

    def all_reached(self, instant_ms: int) -> bool:
        """Whether every partition is complete up to an instant."""
        return all(self.covered(partition) >= instant_ms for partition in range(len(self.known)))

    def lowest(self, now_ms: int) -> int | None:
        """The lowest mark of those waited for; None while one is missing. All passed over: the highest mark."""
        waited = [mark for p, mark in enumerate(self.known) if not self._passed_over(p, now_ms)]
        if not waited:
            return max((mark.watermark for mark in self.known if mark is not None), default=None)
        if any(mark is None for mark in waited):
            return None
        return min(mark.watermark for mark in waited if mark is not None)

    def not_beyond(self, instant_ms: int, now_ms: int) -> list[int]:
        """The partitions that are waited for at an instant."""
        waited = (p for p in range(len(self.known)) if not self._passed_over(p, now_ms))
        return [p for p in waited if self.covered(p) <= instant_ms]

    def frontier(self, next_day_ms: int | None, until: int | None) -> int | None:
        """The day that drained partitions may follow to under ``--clock log``, or None.

        It is the next day to be cut once only drained partitions stand before it, and somebody is beyond it or the
        run has an end; and last that end itself.
        """
        if not self.by_log or any(mark is None for mark in self.known):
            return None
        day_ms = next_day_ms
        if day_ms is None and self._first:
            day_ms = self.lowest_first // DAY_MS * DAY_MS
        if until is not None and (day_ms is None or day_ms >= until):
            day_ms, behind = until, [mark for mark in self.known if mark is not None and mark.watermark < until]
        else:
            behind = [
                mark for mark in self.known if mark is not None and day_ms is not None and mark.watermark <= day_ms
            ]
        if not behind or not all(mark.drained for mark in behind):
            return None
        return None if until is None and len(behind) == len(self.known) else day_ms

    def _passed_over(self, partition: int, now_ms: int) -> bool:
        if self.by_log:
            return False
        mark, marked_at = self.known[partition], self._marked_at[partition]
        since = self._began_at if marked_at is None else marked_at
        return (mark is not None and mark.drained) or (since is not None and now_ms - since >= self._idle_ms)
