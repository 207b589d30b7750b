"""In which turns a finished log is gone through: the same whoever takes them, and however many do.

Pure: from clean events in order to a sequence of turns. Each says where log time stands behind it, so that whoever sees
only some of the users goes by the time of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from streams.core.alignment import boundaries, cut_day
from streams.core.events import DAY_MS, HOUR_MS, Event
from streams.core.state import NO_TIME
from streams.replay.run_options import RunOptions

SLICE: Final = 4_096


class Turn(NamedTuple):
    """Events to apply, and how far silence and W then go."""

    events: list[Event]
    clock: int
    """Deadlines at or before it fire, behind the events; ms."""
    watermark: int
    """W behind the turn; ms."""
    newest: int
    """The newest event time behind the turn; ms."""
    rows: int
    """Rows read by then."""
    ends_day: bool = False
    """What comes next is scored with the cut that is made here: nobody goes on before it."""
    asked: bool = False
    """Everybody is scored, as of the clock."""
    until: int | None = None
    """Where the run ends, in its last turn."""


class Pacing:
    """Cuts the events of a run into turns: slices, the cut boundaries between them, the instants somebody asked about.

    Parameters
    ----------
    options
        ``until``, ``score_at`` and the grace.
    rows_read
        How many rows were read so far.

    >>> from streams.core.policy import Policy
    >>> options = RunOptions(30, Policy(), until=86_400_000)
    >>> [(turn.clock, turn.until) for turn in Pacing(options, lambda: 0).turns([])]
    [(86400000, 86400000)]
    """

    def __init__(self, options: RunOptions, rows_read: Callable[[], int]) -> None:
        self.watermark = NO_TIME
        self.newest = NO_TIME
        self._rows_read = rows_read
        self._grace_ms = options.grace_ms
        self._until = options.until
        self._asked = sorted(set(options.score_at))
        self._stop_at = NO_TIME
        """The next instant before which a cut, or somebody who asked, has to be served."""

    def turns(self, events: Iterable[Event]) -> Iterator[Turn]:
        """The turns of a run over events in time order; read no faster than they are taken."""
        batch: list[Event] = []
        for event in events:
            if event.ts >= self._stop_at:
                yield from self._slice(batch)
                batch = []
                yield from self._go_to(event.ts)
            elif len(batch) == SLICE:
                yield from self._slice(batch)
                batch = []
            batch.append(event)
        yield from self._slice(batch)
        yield from self._end()

    def _slice(self, batch: list[Event]) -> Iterator[Turn]:
        if batch:
            self.newest = max(self.newest, max(event.ts for event in batch))
            yield self._turn(self.newest - 1, self.newest - self._grace_ms, batch)

    def _go_to(self, ts: int) -> Iterator[Turn]:
        """Stop at every cut boundary before an instant: release labels, learn, cut."""
        for boundary in boundaries(self.watermark, ts, self._grace_ms):
            yield from self._asked_before(boundary)
            yield self._turn(boundary - 1, boundary - 1 - self._grace_ms)._replace(ends_day=True)
        yield from self._asked_before(ts)
        self._stop_at = cut_day(ts) + HOUR_MS + DAY_MS
        if self._asked:
            self._stop_at = min(self._stop_at, self._asked[0] + 1)

    def _asked_before(self, ts: int) -> Iterator[Turn]:
        while self._asked and self._asked[0] < ts:
            yield self._turn(self._asked.pop(0), self.watermark)._replace(asked=True)

    def _end(self) -> Iterator[Turn]:
        until = self._until
        if self.newest == NO_TIME and until is None:
            return
        end = self.newest if until is None else until
        if self.newest != NO_TIME:
            yield from self._go_to(end)
        yield from self._asked_before(end + 1)
        # Without --until the log just ends: W stays the grace behind its newest event.
        watermark = max(self.watermark, 0) if until is None else end + 1
        yield self._turn(end, watermark)._replace(until=watermark if until is None else until)

    def _turn(self, clock: int, watermark: int, events: list[Event] | None = None) -> Turn:
        self.watermark = max(self.watermark, watermark)
        self.newest = max(self.newest, self.watermark)
        return Turn(events or [], clock, self.watermark, self.newest, self._rows_read())
