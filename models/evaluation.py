"""How good the served scores were: prequential metrics of probabilities as served, against what came.

Nothing here approximates. AUC counts every pair of a churned and a returned customer (ties half), in integers;
means are ``math.fsum`` over the scores, so a figure does not depend on the order in which labels came.
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

BINS: Final = 10
_LEAST_PROBABILITY: Final = 1e-15
"""Log loss of a certain and wrong score is held finite: 34.5."""


def log_loss_of(probability: float, churned: bool) -> float:
    """-ln of the probability that was given to what happened, in nats."""
    given = probability if churned else 1.0 - probability
    return -math.log(max(given, _LEAST_PROBABILITY))


def exact_auc(probabilities: npt.ArrayLike, churned: npt.ArrayLike) -> float | None:
    """Share of (churned, returned) pairs that were ranked right, ties counted half; None without both classes.

    Examples
    --------
    >>> exact_auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.75
    """
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(churned, dtype=bool)
    positives = int(y.sum())
    negatives = len(y) - positives
    if positives == 0 or negatives == 0:
        return None
    _, group = np.unique(p, return_inverse=True)
    up = np.bincount(group, weights=y).astype(np.int64)
    down = np.bincount(group).astype(np.int64) - up
    below = np.cumsum(down) - down
    twice_won = int((up * (2 * below + down)).sum())
    return twice_won / (2 * positives * negatives)


def reliability_bins(
    probabilities: npt.ArrayLike, churned: npt.ArrayLike, bins: int = BINS
) -> list[dict[str, float | int]]:
    """Equal-mass bins of ascending probability; equal probabilities are never split, so there may be fewer.

    Each bin has ``n``, ``lowest`` and ``highest`` probability, ``mean_probability`` and ``churned_ratio``.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(churned, dtype=bool)
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
                "churned_ratio": int(y[start:end].sum()) / (end - start),
            }
        )
        start = end
    return result


def calibration_error(bins: Sequence[Mapping[str, float | int]]) -> float | None:
    """Expected calibration error: the mean gap between probability and churned share, weighted by bin size."""
    total = sum(int(b["n"]) for b in bins)
    if total == 0:
        return None
    return math.fsum(b["n"] * abs(b["mean_probability"] - b["churned_ratio"]) for b in bins) / total


def metrics_of(probabilities: npt.ArrayLike, churned: npt.ArrayLike) -> dict[str, Any]:
    """n, base rate, AUC, log loss, Brier, calibration error and reliability bins; None where undefined."""
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(churned, dtype=bool)
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
        "bins": bins,
    }


class Scorecard:
    """Compares each scheduled score, as served, with what happened. Summed up on demand.

    Parameters
    ----------
    window
        Scored labels that the ``window`` figures are computed over, the last ones.
    whole_run
        Keep every scored label (9 bytes each), so that ``overall`` has AUC, calibration and bins too. Without
        it, or after a restart from a cut, ``overall`` has counts, base rate, log loss and Brier only.

    Examples
    --------
    >>> card = Scorecard()
    >>> card.observe(0, 2_592_000_000, 0.9, True, "at_risk", "gold")
    >>> card.observe(0, 2_592_000_000, None, False, "new_customer", None)
    >>> summary = card.summary()
    >>> summary["labels"], summary["scored"], summary["cold"], round(summary["window"]["brier"], 3)
    (2, 1, 1, 0.01)
    """

    def __init__(self, window: int = 10_000, *, whole_run: bool = True) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, not {window}")
        self._window, self._whole_run = window, whole_run
        self._probabilities, self._churned = array("d"), array("b")
        self._labels = self._churned_total = self._scored = self._scored_churned = 0
        self._log_loss = self._brier = 0.0
        self._first_as_of: int | None = None
        self._last_label: int | None = None
        self._groups: dict[str, dict[str, list[float]]] = {"stage": {}, "tier": {}}

    def observe(
        self, as_of: int, label_at: int, probability: float | None, churned: bool, stage: str, tier: str | None
    ) -> None:
        """Take in one label.

        Parameters
        ----------
        as_of, label_at
            When the score was taken and when its label was decided, in ms.
        probability
            As served; None if the score was cold and had none.
        churned
            Whether the customer stayed away until ``label_at``.
        stage, tier
            Of the customer at ``as_of``; tier None while there is none.

        Raises
        ------
        ValueError
            If the probability is not within 0 and 1.
        """
        if probability is not None and not 0.0 <= probability <= 1.0:
            raise ValueError(f"a probability must be within 0 and 1, not {probability!r}")
        self._labels += 1
        self._churned_total += bool(churned)
        self._first_as_of = as_of if self._first_as_of is None else min(self._first_as_of, as_of)
        self._last_label = label_at if self._last_label is None else max(self._last_label, label_at)
        if probability is not None:
            self._scored += 1
            self._scored_churned += bool(churned)
            self._log_loss += log_loss_of(probability, churned)
            self._brier += (probability - bool(churned)) ** 2
            self._probabilities.append(probability)
            self._churned.append(bool(churned))
            if not self._whole_run and len(self._churned) >= 2 * self._window:
                del self._probabilities[: -self._window]
                del self._churned[: -self._window]
        for name, value in (("stage", stage), ("tier", tier or "none")):
            sums = self._groups[name].setdefault(value, [0, 0, 0, 0, 0.0])
            sums[0] += 1
            sums[1] += bool(churned)
            if probability is not None:
                sums[2] += 1
                sums[3] += bool(churned)
                sums[4] += probability

    def summary(self) -> dict[str, Any]:
        """Every figure, JSON-ready.

        ``labels = scored + cold``, all since the start. ``window`` is over the last scored labels, at most its
        ``size``; ``overall`` over all scored ones. ``by_stage`` and ``by_tier`` have counts, the churned share,
        and for the scored ones its share beside the mean probability. What is undefined is None.
        """
        n = self._scored
        overall: dict[str, Any] = {
            "n": n,
            "base_rate": self._scored_churned / n if n else None,
            "log_loss": self._log_loss / n if n else None,
            "brier": self._brier / n if n else None,
        }
        if self._whole_run and len(self._churned) == n:
            overall = metrics_of(self._probabilities, self._churned)
        return {
            "labels": self._labels,
            "scored": n,
            "cold": self._labels - n,
            "churned": self._churned_total,
            "base_rate": self._churned_total / self._labels if self._labels else None,
            "first_as_of_ms": self._first_as_of,
            "last_label_ms": self._last_label,
            "window": {
                "size": self._window,
                **metrics_of(self._probabilities[-self._window :], self._churned[-self._window :]),
            },
            "overall": overall,
            "by_stage": _by_group(self._groups["stage"]),
            "by_tier": _by_group(self._groups["tier"]),
        }

    def state(self) -> dict[str, Any]:
        """Totals and the window, JSON-ready, for a cut: what a restarted trainer goes on from."""
        kept = array("d", self._probabilities[-self._window :])
        labels = self._churned[-self._window :]
        if sys.byteorder == "big":
            kept.byteswap()
        return {
            "window": self._window,
            "probabilities": base64.b64encode(kept.tobytes()).decode(),
            "outcomes": base64.b64encode(np.packbits(np.asarray(labels, dtype=bool)).tobytes()).decode(),
            "kept": len(kept),
            "labels": self._labels,
            "churned": self._churned_total,
            "scored": self._scored,
            "scored_churned": self._scored_churned,
            "log_loss": self._log_loss,
            "brier": self._brier,
            "first_as_of": self._first_as_of,
            "last_label": self._last_label,
            "groups": {name: {k: list(v) for k, v in groups.items()} for name, groups in self._groups.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *, whole_run: bool = True) -> Self:
        """The scorecard that :meth:`state` was taken of, as far as its window.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        card = cls(int(state["window"]), whole_run=whole_run)
        kept = array("d", base64.b64decode(state["probabilities"], validate=True))
        if sys.byteorder == "big":
            kept.byteswap()
        bits = np.frombuffer(base64.b64decode(state["outcomes"], validate=True), dtype=np.uint8)
        if len(kept) != state["kept"] or len(bits) != -(-len(kept) // 8):
            raise ValueError("the kept scores and outcomes differ in number")
        card._probabilities = kept
        card._churned = array("b", np.unpackbits(bits, count=len(kept)).tolist())
        card._labels, card._churned_total = int(state["labels"]), int(state["churned"])
        card._scored, card._scored_churned = int(state["scored"]), int(state["scored_churned"])
        card._log_loss, card._brier = float(state["log_loss"]), float(state["brier"])
        card._first_as_of, card._last_label = state["first_as_of"], state["last_label"]
        card._groups = {name: {k: list(v) for k, v in state["groups"][name].items()} for name in ("stage", "tier")}
        return card


def _by_group(groups: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float | int | None]]:
    return {
        value: {
            "labels": int(labels),
            "churned_ratio": churned / labels,
            "scored": int(scored),
            "scored_churned_ratio": scored_churned / scored if scored else None,
            "mean_probability": total / scored if scored else None,
        }
        for value, (labels, churned, scored, scored_churned, total) in sorted(groups.items())
    }
