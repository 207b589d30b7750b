"""Alignment: in which order the records of three inputs go, and where the log clock must stop for a model cut.

Pure rules over the heads of the inputs. The live owner applies them to what it has fetched, backfill to files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from streams.core.events import DAY_MS, HOUR_MS
from streams.core.instants import LAST_INSTANT

UNKNOWN: Final = -1
"""No instant yet: nothing was taken from an input, or W has not begun."""


class Head(NamedTuple):
    """Where one input stands.

    ``ts`` is the event time of its oldest waiting record, None where none waits; ``drained`` says that none will come
    soon; ``reached`` is the newest event time taken from it so far, :data:`UNKNOWN` before the first.
    """

    ts: int | None
    drained: bool
    reached: int = UNKNOWN


def next_by_log(heads: Sequence[Head]) -> int | None:
    """The input to take from under ``--clock log``: strictly by (ts, input); None while an undrained one is silent.

    >>> next_by_log([Head(20, False), Head(10, False), Head(None, True)])
    1
    >>> next_by_log([Head(20, False), Head(None, False)]) is None
    True
    """
    best: int | None = None
    oldest = 0
    for index, head in enumerate(heads):
        if head.ts is None:
            if not head.drained:
                return None
        elif best is None or head.ts < oldest:
            best, oldest = index, head.ts
    return best


def next_by_wall(heads: Sequence[Head], half_grace_ms: int) -> int | None:
    """The input to take from under the wall clock: the oldest head, no further than half the grace ahead of the
    slowest undrained input. None while that is all there is.

    >>> next_by_wall([Head(1000, False, 900), Head(None, False, 950)], half_grace_ms=300)
    0
    >>> next_by_wall([Head(1000, False, 900), Head(None, False, 500)], half_grace_ms=300) is None
    True
    """
    best: int | None = None
    oldest = 0
    for index, head in enumerate(heads):
        if head.ts is not None and (best is None or head.ts < oldest):
            best, oldest = index, head.ts
    if best is None:
        return None
    for head in heads:
        if head.ts is None and not head.drained and (head.reached == UNKNOWN or oldest > head.reached + half_grace_ms):
            return None
    return best


def run_through(heads: Sequence[Head], chosen: int, ahead_ms: int, before_ms: int | None = None) -> int:
    """How far the input that was chosen stays the one to take from: event time of the last event of its run.

    Parameters
    ----------
    heads, chosen
        Where the inputs stand, and which one goes on.
    ahead_ms
        How far it may be ahead of an undrained input without records: half the grace; under ``--clock log``, where
        nothing is chosen while there is one, of no matter.
    before_ms
        Only events before this instant.

    >>> run_through([Head(20, False), Head(50, False), Head(None, False, 10)], 0, ahead_ms=300)
    50
    >>> run_through([Head(20, False), Head(20, False), Head(None, True)], 1, ahead_ms=300)  # nothing at 20 any more
    19
    """
    through = LAST_INSTANT if before_ms is None else before_ms - 1
    for index, head in enumerate(heads):
        if index == chosen:
            continue
        if head.ts is not None:
            bound = head.ts if index > chosen else head.ts - 1
        elif not head.drained:
            bound = head.reached + ahead_ms
        else:
            continue
        through = min(through, bound)
    return through


def head_bound(heads: Sequence[Head]) -> int | None:
    """What W must stay the grace behind: the oldest record that waits, or may come, in an undrained input.

    None where all inputs are drained and empty. An undrained input without a waiting record is taken to go on from
    where it was.

    >>> head_bound([Head(700, False, 650), Head(None, False, 600), Head(None, True, 100)])
    600
    """
    bounds = [head.reached if head.ts is None else head.ts for head in heads if head.ts is not None or not head.drained]
    return min(bounds, default=None)


def cut_day(instant_ms: int) -> int:
    """The midnight (UTC) whose cut scores at an instant: the last one at least an hour before it.

    >>> cut_day(25 * 3_600_000) // 86_400_000
    1
    >>> cut_day(25 * 3_600_000 - 1) // 86_400_000
    0
    """
    return (instant_ms - HOUR_MS) // DAY_MS * DAY_MS


def boundaries(watermark: int, through_ms: int, grace_ms: int) -> Iterator[int]:
    """The cut boundaries (midnight + 1 h) that are still to be stopped at before going on to an instant.

    A boundary b is behind us once W >= b - 1 - grace, which is what stopping at it makes of W. Where W has not begun
    nobody was scored, so only the last one matters.

    Parameters
    ----------
    watermark
        W, ms, or :data:`UNKNOWN`.
    through_ms
        The instant that comes next.
    grace_ms
        The grace.

    >>> day = 86_400_000
    >>> [b // 3_600_000 for b in boundaries(day, 3 * day, 600_000)]
    [25, 49]
    >>> [b // 3_600_000 for b in boundaries(UNKNOWN, 3 * day, 600_000)]
    [49]
    """
    last = cut_day(through_ms) + HOUR_MS
    if watermark == UNKNOWN:
        if last <= through_ms:
            yield last
        return
    boundary = cut_day(watermark + grace_ms + 1) + HOUR_MS
    if boundary - 1 - grace_ms <= watermark:
        boundary += DAY_MS
    while boundary <= through_ms:
        yield boundary
        boundary += DAY_MS
