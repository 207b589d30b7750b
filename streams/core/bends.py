"""Bends: hinges, squares, products and differences of observed features, which let a linear model follow a curve.

They follow from the observed columns alone, so a score that waits for its label keeps only those. Durations are log1p
of days, as in the vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

_USED: Final = itemgetter(
    0,  # recency_days
    5,  # tenure_days
    7,  # purchase_days
    8,  # one_time
    10,  # usual_gap_days
    11,  # mean_gap_days
    12,  # longest_gap_days
    13,  # last_gap_days
    15,  # no_rhythm
    19,  # typical_gap_days
    20,  # gap_log_spread
    35,  # order_days_90d
)
"""Places in the catalogue; a test holds them to the names."""


def bends(observed: Sequence[float]) -> list[float]:
    """The bent columns, in catalogue order, from the observed ones."""
    silence, tenure, days, one_time, gap, mean, longest, last, no_rhythm, typical, spread, days_90 = _USED(observed)
    overdue = silence - gap
    return [
        silence - 1.0 if silence > 1.0 else 0.0,
        silence - 2.0 if silence > 2.0 else 0.0,
        silence - 3.0 if silence > 3.0 else 0.0,
        silence - 4.0 if silence > 4.0 else 0.0,
        silence - 5.0 if silence > 5.0 else 0.0,
        silence * silence,
        silence * one_time,
        silence * no_rhythm,
        silence * days,
        silence * tenure,
        silence * days_90,
        tenure * tenure,
        tenure * one_time,
        last - mean,
        overdue,
        silence - longest,
        silence - mean,
        (silence - typical) / (spread + 0.5),
        overdue + 2.0 if overdue > -2.0 else 0.0,
        overdue + 1.0 if overdue > -1.0 else 0.0,
        overdue if overdue > 0.0 else 0.0,
        overdue - 1.0 if overdue > 1.0 else 0.0,
        overdue - 2.0 if overdue > 2.0 else 0.0,
        overdue * overdue,
        overdue * days,
    ]
