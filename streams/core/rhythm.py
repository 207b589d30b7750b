"""Rhythm: what the gaps between a user's purchase days tell, whatever the instant it is asked at."""

from __future__ import annotations

from functools import lru_cache
from math import log1p
from typing import Final, NamedTuple

from streams.core.events import DAY_MS
from streams.core.policy import Compiled
from streams.core.state import State

_FADES: Final = 0.7
"""What a gap counts beside the one after it."""
_SPREAD_OF_NONE: Final = 0.7
"""Spread of the logarithms of gaps nobody has seen."""
_KEPT: Final = 8_192


class Rhythm(NamedTuple):
    """What gaps between purchase days tell, in days. ``log_`` is log1p of days."""

    mean: float
    spread: float
    """Standard deviation of the gaps over their mean."""
    log_mean: float
    log_longest: float
    log_last: float
    log_mean_of_3: float
    log_mean_of_6: float
    log_recent: float
    log_typical: float
    log_spread: float
    """Standard deviation of the gaps' logarithms."""


def gap_days(state: State, policy: Compiled) -> float:
    """G in days: the median of the last 12 gaps; the shop's gap below 3 purchase days."""
    return state.half_gap / 2 if state.half_gap else policy.shop_gap_ms / DAY_MS


@lru_cache(maxsize=_KEPT)
def rhythm_of(own: tuple[int, ...]) -> Rhythm:
    """Of at least one gap. Most of a user's vectors are taken between two purchases, so the last ones are kept."""
    count = len(own)
    mean = sum(own) / count
    logs = [log1p(gap) for gap in own]
    typical = sum(logs) / count
    recent = weights = 0.0
    weight = 1.0
    for one in reversed(logs):
        recent += weight * one
        weights += weight
        weight *= _FADES
    last_3, last_6 = own[-3:], own[-6:]
    return Rhythm(
        mean,
        (sum([(gap - mean) ** 2 for gap in own]) / count) ** 0.5 / mean,
        log1p(mean),
        max(logs),
        logs[-1],
        log1p(sum(last_3) / len(last_3)),
        log1p(sum(last_6) / len(last_6)),
        recent / weights,
        typical,
        (sum([(one - typical) ** 2 for one in logs]) / count) ** 0.5,
    )


@lru_cache(maxsize=_KEPT)
def unknown_rhythm(gap: float) -> Rhythm:
    """Of who bought on one day only: the shop's gap stands in."""
    known = log1p(gap)
    return Rhythm(gap, 0.0, known, known, known, known, known, known, known, _SPREAD_OF_NONE)
