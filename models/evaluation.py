"""How good probabilities were, against what came: AUC, log loss, Brier, calibration, lift. Pure functions.

Nothing here approximates. AUC counts every pair of a positive and a negative (ties half), in integers; the top decile
takes its share of a tied group; means are ``math.fsum`` over the scores, so a figure does not depend on the order in
which labels came. A *positive* is who did what was asked about: churned, or bought.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

BINS: Final = 10
DECILE: Final = 10
_LEAST_PROBABILITY: Final = 1e-15
"""Log loss of a certain and wrong score is held finite: 34.5."""


def log_loss_of(probability: float, outcome: bool) -> float:
    """-ln of the probability that was given to what happened, in nats."""
    given = probability if outcome else 1.0 - probability
    return -math.log(max(given, _LEAST_PROBABILITY))


def exact_auc(scores: npt.ArrayLike, outcomes: npt.ArrayLike) -> float | None:
    """Share of (positive, negative) pairs that were ranked right, ties counted half; None without both classes.

    Examples
    --------
    >>> exact_auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.75
    """
    return _auc(*_ties(*_ranked(scores, outcomes)))


def top_decile_lift(scores: npt.ArrayLike, outcomes: npt.ArrayLike) -> float | None:
    """How many times as many positives the highest-scored tenth holds as one drawn at random; None without a positive.

    The tenth is rounded up to whole users. Where it ends among equal scores, it holds their positives in proportion:
    what a random choice among them would on average.

    Examples
    --------
    >>> top_decile_lift([0.9] + [0.1] * 9, [True] + [False] * 8 + [True])
    5.0
    >>> top_decile_lift([0.5] * 10, [True] + [False] * 9)
    1.0
    """
    return _lift(*_ties(*_ranked(scores, outcomes)))


def reliability_bins(
    probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, bins: int = BINS
) -> list[dict[str, float | int]]:
    """Equal-mass bins of ascending probability; equal probabilities are never split, so there may be fewer.

    Each bin has ``n``, ``lowest`` and ``highest`` probability, ``mean_probability`` and ``observed_ratio``, the share
    of positives.
    """
    return _bins(*_ranked(probabilities, outcomes), bins)


def calibration_error(bins: Sequence[Mapping[str, float | int]]) -> float | None:
    """Expected calibration error: the mean gap between probability and share of positives, weighted by bin size."""
    total = sum(int(b["n"]) for b in bins)
    if total == 0:
        return None
    return math.fsum(b["n"] * abs(b["mean_probability"] - b["observed_ratio"]) for b in bins) / total


def metrics_of(probabilities: npt.ArrayLike, outcomes: npt.ArrayLike) -> dict[str, Any]:
    """n, base rate, mean, AUC, log loss, Brier, calibration error, lift and reliability bins; None where undefined."""
    p, y = _ranked(probabilities, outcomes)
    n, ties = len(p), _ties(p, y)
    bins = _bins(p, y, BINS)
    given = np.maximum(np.where(y, p, 1.0 - p), _LEAST_PROBABILITY)
    return {
        "n": n,
        "base_rate": int(y.sum()) / n if n else None,
        "mean_probability": math.fsum(p.tolist()) / n if n else None,
        "auc": _auc(*ties),
        "log_loss": -math.fsum(map(math.log, given.tolist())) / n if n else None,
        "brier": math.fsum(((p - y) ** 2).tolist()) / n if n else None,
        "ece": calibration_error(bins),
        "top_decile_lift": _lift(*ties),
        "bins": bins,
    }


# -- over ranked scores ------------------------------------------------------------------------------------------------

_Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]
_Counts = npt.NDArray[np.int64]


def _ranked(scores: npt.ArrayLike, outcomes: npt.ArrayLike) -> tuple[_Floats, _Bools]:
    """Scores ascending, with their outcomes."""
    p = np.asarray(scores, dtype=np.float64)
    y = np.asarray(outcomes, dtype=bool)
    order = np.argsort(p, kind="stable")
    return p[order], y[order]


def _ties(p: _Floats, y: _Bools) -> tuple[_Counts, _Counts]:
    """Positives and negatives at each distinct score, the lowest first."""
    if not len(p):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    ends = np.append(np.flatnonzero(p[1:] != p[:-1]), len(p) - 1)
    up = np.diff(np.cumsum(y, dtype=np.int64)[ends], prepend=0)
    return up, np.diff(ends + 1, prepend=0) - up


def _auc(up: _Counts, down: _Counts) -> float | None:
    positives, negatives = int(up.sum()), int(down.sum())
    if positives == 0 or negatives == 0:
        return None
    below = np.cumsum(down) - down
    twice_won = int((up * (2 * below + down)).sum())
    return twice_won / (2 * positives * negatives)


def _lift(up: _Counts, down: _Counts) -> float | None:
    positives, n = int(up.sum()), int(up.sum() + down.sum())
    if positives == 0:
        return None
    size = -(-n // DECILE)
    members, held = np.cumsum((up + down)[::-1]), np.cumsum(up[::-1])
    last = int(np.searchsorted(members, size))
    before, whole = (int(members[last - 1]), int(held[last - 1])) if last else (0, 0)
    tied, tied_positives = int(members[last]) - before, int(held[last]) - whole
    # One division of integers: correctly rounded.
    return (whole * tied + (size - before) * tied_positives) * n / (tied * size * positives)


def _bins(p: _Floats, y: _Bools, bins: int) -> list[dict[str, float | int]]:
    result: list[dict[str, float | int]] = []
    start = 0
    for number in range(1, bins + 1):
        end = -(-len(p) * number // bins)
        if end <= start:
            continue
        end = int(np.searchsorted(p, p[end - 1], side="right"))
        result.append(
            {
                "n": end - start,
                "lowest": float(p[start]),
                "highest": float(p[end - 1]),
                "mean_probability": math.fsum(p[start:end].tolist()) / (end - start),
                "observed_ratio": int(y[start:end].sum()) / (end - start),
            }
        )
        start = end
    return result
