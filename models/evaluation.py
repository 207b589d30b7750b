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
    up, down = _by_score(scores, outcomes)
    positives, negatives = int(up.sum()), int(down.sum())
    if positives == 0 or negatives == 0:
        return None
    below = np.cumsum(down) - down
    twice_won = int((up * (2 * below + down)).sum())
    return twice_won / (2 * positives * negatives)


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
    up, down = _by_score(scores, outcomes)
    positives, n = int(up.sum()), int(up.sum() + down.sum())
    if positives == 0:
        return None
    room = size = -(-n // DECILE)
    whole = 0
    for group in range(len(up) - 1, -1, -1):
        members = int(up[group] + down[group])
        if members >= room:
            # One division of integers: correctly rounded.
            return (whole * members + room * int(up[group])) * n / (members * size * positives)
        whole += int(up[group])
        room -= members
    raise AssertionError("a tenth is no more than all")


def _by_score(scores: npt.ArrayLike, outcomes: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positives and negatives at each distinct score, the lowest first."""
    p = np.asarray(scores, dtype=np.float64)
    y = np.asarray(outcomes, dtype=bool)
    _, group = np.unique(p, return_inverse=True)
    up = np.bincount(group, weights=y).astype(np.int64)
    return up, np.bincount(group).astype(np.int64) - up


def reliability_bins(
    probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, bins: int = BINS
) -> list[dict[str, float | int]]:
    """Equal-mass bins of ascending probability; equal probabilities are never split, so there may be fewer.

    Each bin has ``n``, ``lowest`` and ``highest`` probability, ``mean_probability`` and ``observed_ratio``, the share
    of positives.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(outcomes, dtype=bool)
    order = np.argsort(p, kind="stable")
    p, y = p[order], y[order]
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


def calibration_error(bins: Sequence[Mapping[str, float | int]]) -> float | None:
    """Expected calibration error: the mean gap between probability and share of positives, weighted by bin size."""
    total = sum(int(b["n"]) for b in bins)
    if total == 0:
        return None
    return math.fsum(b["n"] * abs(b["mean_probability"] - b["observed_ratio"]) for b in bins) / total


def metrics_of(probabilities: npt.ArrayLike, outcomes: npt.ArrayLike) -> dict[str, Any]:
    """n, base rate, mean, AUC, log loss, Brier, calibration error, lift and reliability bins; None where undefined."""
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(outcomes, dtype=bool)
    n = len(p)
    bins = reliability_bins(p, y)
    given = np.maximum(np.where(y, p, 1.0 - p), _LEAST_PROBABILITY)
    return {
        "n": n,
        "base_rate": int(y.sum()) / n if n else None,
        "mean_probability": math.fsum(p.tolist()) / n if n else None,
        "auc": exact_auc(p, y),
        "log_loss": -math.fsum(map(math.log, given.tolist())) / n if n else None,
        "brier": math.fsum(((p - y) ** 2).tolist()) / n if n else None,
        "ece": calibration_error(bins),
        "top_decile_lift": top_decile_lift(p, y),
        "bins": bins,
    }
