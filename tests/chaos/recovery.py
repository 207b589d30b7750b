"""How long a fault was felt, from when each portion of the load was published and when it was applied. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

NORMAL_S: Final = 5.0
"""A portion applied (and committed: once a second) within this is not delayed. At midnight all wait for a cut."""
HANG_S: Final = 120.0

Place = tuple[str, int]


@dataclass(slots=True)
class Chunk:
    """A portion of the load: seconds on a steady clock, and where it ends in each partition it touched."""

    begun_s: float
    published_s: float
    ends: Mapping[Place, int] = field(default_factory=dict)
    applied_s: float | None = None

    def covered_by(self, committed: Mapping[Place, int]) -> bool:
        """Whether all of it lies before the group's committed offsets."""
        return all(committed.get(place, 0) >= end for place, end in self.ends.items())


def seconds_to_recover(felt_from_s: float, chunks: Sequence[Chunk], normal_s: float = NORMAL_S) -> float | None:
    """Seconds from a fault until what is published is applied as usual again.

    The portions published from shortly before the fault on are looked at in order: the first that was applied in time
    ends the fault, and the last delayed one before it says when. None where that has not come yet.

    Parameters
    ----------
    felt_from_s
        The fault; for a broker that was away, its return.
    chunks
        In the order of publishing.

    Examples
    --------
    >>> late = [Chunk(9, 9, {}, 16.0), Chunk(12, 12, {}, 16.0), Chunk(20, 20, {}, 21.0)]
    >>> seconds_to_recover(10.0, late)
    6.0
    >>> seconds_to_recover(18.0, late)
    0.0
    """
    recovered_s = felt_from_s
    for chunk in chunks:
        if chunk.applied_s is not None and chunk.applied_s <= felt_from_s:
            continue
        if chunk.applied_s is None:
            return None
        if chunk.published_s > felt_from_s and chunk.applied_s - chunk.published_s <= normal_s:
            return recovered_s - felt_from_s
        if chunk.applied_s - chunk.published_s > normal_s:
            recovered_s = max(recovered_s, chunk.applied_s)
    return None


def unless_overtaken(felt_from_s: float, seconds: float | None, next_s: float | None) -> float | None:
    """Seconds to recover, or None where the next fault came before that: then they say nothing of this one.

    >>> unless_overtaken(10.0, 12.0, 40.0), unless_overtaken(10.0, 32.0, 40.0)
    (12.0, None)
    """
    overtaken = seconds is not None and next_s is not None and felt_from_s + seconds > next_s
    return None if overtaken else seconds


def hung_for(now_s: float, reachable_since_s: float | None, chunks: Sequence[Chunk]) -> float:
    """Seconds that the oldest portion not applied yet has waited while the broker was there.

    >>> hung_for(200.0, 10.0, [Chunk(20, 20, {}, 21.0), Chunk(30, 30), Chunk(40, 40)])
    170.0
    >>> hung_for(200.0, None, [Chunk(30, 30)])
    0.0
    """
    waiting = next((chunk for chunk in chunks if chunk.applied_s is None), None)
    if waiting is None or reachable_since_s is None:
        return 0.0
    return now_s - max(reachable_since_s, waiting.published_s)


@dataclass(frozen=True, slots=True)
class Felt:
    """Seconds to recover from one kind of fault; of those overtaken by the next fault they are not known."""

    faults: int
    median_s: float | None
    worst_s: float | None
    overtaken: int


def felt(seconds: Sequence[float | None]) -> Felt:
    """Median and worst of what is known.

    >>> felt([4.0, None, 10.0, 6.0])
    Felt(faults=4, median_s=6.0, worst_s=10.0, overtaken=1)
    """
    known = [one for one in seconds if one is not None]
    return Felt(len(seconds), median(known) if known else None, max(known, default=None), len(seconds) - len(known))
