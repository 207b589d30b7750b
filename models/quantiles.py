"""A running quantile in bounded memory: counts in bins of equal ratio."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Self

GROWTH: Final = 1.01
"""Each bin ends 1% above where it begins: so far can the quantile be off, upwards."""
LEAST: Final = 1e-6
"""Values up to this share the lowest bin."""
_BINS_MOST: Final = 6_000
"""Beyond this many bins (1e20 and more) values share the highest: the sketch stays bounded whatever comes."""
_LOG_GROWTH: Final = math.log(GROWTH)


class LogHistogram:
    """The running quantile of values of at least 0, exact in rank and within 1% in value.

    The same values in whatever order give the same state. Adding takes a few steps, whatever was seen before.

    Parameters
    ----------
    share
        Which quantile: above 0, at most 1.

    Examples
    --------
    >>> sketch = LogHistogram(0.5)
    >>> for value in (1.0, 2.0, 30.0):
    ...     sketch.add(value)
    >>> 2.0 <= sketch.quantile <= 2.0 * GROWTH
    True

    References
    ----------
    Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
    PVLDB 12 (2019).
    """

    __slots__ = ("_above", "_at", "_bins", "count", "share")

    def __init__(self, share: float) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"share must be above 0 and at most 1, not {share!r}")
        self.share = share
        self.count = 0
        self._bins: dict[int, int] = {}
        self._at = 0
        """The bin that holds the quantile."""
        self._above = 0
        """How many values lie in bins above it."""

    @property
    def quantile(self) -> float:
        """The upper end of the bin with the value of rank ``ceil(share * count)``; infinity before the first value."""
        return LEAST * GROWTH**self._at if self.count else math.inf

    def add(self, value: float) -> None:
        """Count a value.

        Raises
        ------
        ValueError
            It is negative or not finite.
        """
        if not 0.0 <= value < math.inf:
            raise ValueError(f"a value must be a finite number of at least 0, not {value!r}")
        at = _bin(value)
        self._bins[at] = self._bins.get(at, 0) + 1
        self._above += self.count > 0 and at > self._at
        if self.count == 0:
            self._at = at
        self.count += 1
        self._settle()

    def _settle(self) -> None:
        """Move to the lowest bin with at least the wanted rank at or below it."""
        most_above = self.count - math.ceil(self.share * self.count)
        bins = self._bins
        while self._above > most_above:
            self._at += 1
            self._above -= bins.get(self._at, 0)
        while self._above + bins.get(self._at, 0) <= most_above:
            self._above += bins.get(self._at, 0)
            self._at -= 1

    def state(self) -> dict[str, Any]:
        """Everything counted, JSON-ready."""
        return {"share": self.share, "bins": [[at, count] for at, count in sorted(self._bins.items())]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The sketch that :meth:`state` was taken of.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        sketch = cls(float(state["share"]))
        for at, count in state["bins"]:
            if not (isinstance(at, int) and isinstance(count, int) and 0 <= at <= _BINS_MOST and count > 0):
                raise ValueError(f"a bin holds {count!r} values at {at!r}")
            sketch._bins[at] = count
        if sketch._bins:
            sketch.count = sum(sketch._bins.values())
            sketch._at = max(sketch._bins)
            sketch._settle()
        return sketch


def _bin(value: float) -> int:
    """The number of the lowest bin whose upper end is at least the value."""
    if value <= LEAST:
        return 0
    return min(math.ceil(math.log(value / LEAST) / _LOG_GROWTH), _BINS_MOST)
