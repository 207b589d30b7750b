"""What scores at a cut were worth: discrimination, Brier, and calibration beside what luck alone would show."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

BINS: Final = 10
SIMULATIONS: Final = 500
SEED: Final = 7
_CERTAIN: Final = 1e-9


class Figures(NamedTuple):
    """Of one model at one cut. ``bias`` is mean score minus base rate; ``ece`` is raw, ``excess`` by the bar's rule."""

    customers: int
    share: float
    base_rate: float
    auc: float
    brier: float
    bias: float
    ece: float
    excess: float


def calibration_error(p: Scores, y: Labels, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal mass, weighted by n; equal scores stay together.

    >>> round(calibration_error(np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, True, True, True]), 2), 6)
    0.25
    """
    order = np.argsort(p, kind="stable")
    p, y = p[order], y[order]
    total, begin, count = 0.0, 0, len(p)
    for number in range(1, bins + 1):
        end = round(number * count / bins)
        while 0 < end < count and p[end] == p[end - 1]:
            end += 1
        if end > begin:
            total += abs(float(p[begin:end].sum()) - float(y[begin:end].sum()))
            begin = end
    return total / count


def shifted(p: Scores, base_rate: float) -> Scores:
    """The scores, moved by one number in logits so that their mean is the base rate."""
    logits = np.log(p) - np.log1p(-p)
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if float((1.0 / (1.0 + np.exp(-(logits + middle)))).mean()) < base_rate:
            low = middle
        else:
            high = middle
    moved: Scores = 1.0 / (1.0 + np.exp(-(logits + low)))
    return moved


def calibration_excess(p: Scores, y: Labels, simulations: int = SIMULATIONS) -> float:
    """Calibration error after a shift to the base rate, less what perfectly calibrated scores show on average."""
    moved = shifted(p, float(y.mean()))
    dice = np.random.default_rng(SEED)
    by_luck = [calibration_error(moved, dice.random(len(p)) < moved) for _ in range(simulations)]
    return calibration_error(moved, y) - math.fsum(by_luck) / simulations


def figures_of(scores: Scores, labels: Labels) -> Figures:
    """Figures of the scores of all customers; nan where one has none.

    Raises
    ------
    ValueError
        Nobody is scored, or all labels of those who are agree.
    """
    there = ~np.isnan(scores)
    p, y = np.clip(scores[there], _CERTAIN, 1.0 - _CERTAIN), labels[there]
    if not 0 < int(y.sum()) < len(y):
        raise ValueError("the scored customers are none, or all churned, or all returned")
    return Figures(
        customers=len(scores),
        share=float(there.mean()),
        base_rate=float(y.mean()),
        auc=float(roc_auc_score(y, p)),
        brier=float(((p - y) ** 2).mean()),
        bias=float(p.mean() - y.mean()),
        ece=calibration_error(p, y),
        excess=calibration_excess(p, y),
    )
