"""Scores the straightforward way: as they were first written. The fast ones must give the same bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


def plain_terms(features: Sequence[float], means: Vector, upper: Vector, slopes: Vector) -> Vector:
    """As :class:`models.linear_terms.LinearTerms`."""
    terms: Vector = np.array(features, dtype=np.float64) - means
    return np.maximum(np.minimum(terms, upper), -upper) * slopes


def plain_buying_horizons(chances: Sequence[float], state: int, first: float, horizon_days: int, days: int) -> float:
    """As :func:`models.returning.buying_horizons`."""
    first = min(max(first, 1e-6), 1.0 - 1e-6)
    usual = min(max(chances[state], 1e-6), 1.0 - 1e-6)
    differs = first / (1.0 - first) * (1.0 - usual) / usual
    own = [chance * differs / (chance * differs + 1.0 - chance) for chance in chances]
    whole = math.ceil(days / horizon_days)
    again = _first_times(own, 0, own[0], whole)
    coming = _first_times(own, state, first, whole)
    after_one = [1.0]
    for k in range(1, whole):
        after_one.append(sum(map(mul, again[:k], reversed(after_one))))
    total = 0.0
    for k in range(1, whole + 1):
        buys = sum(map(mul, coming[:k], reversed(after_one[:k])))
        total += buys * min(days / horizon_days - (k - 1), 1.0)
    return total


def _first_times(own: Sequence[float], state: int, first: float, count: int) -> list[float]:
    last = len(own) - 1
    found, left = [first], 1.0 - first
    for ahead in range(1, count):
        chance = own[min(state + ahead, last)]
        found.append(left * chance)
        left *= 1.0 - chance
    return found
