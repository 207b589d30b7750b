"""The scorecard: every scheduled score, as it was served, against what then happened.

One per head. It is exact (:mod:`models.evaluation`) over a stated window, the last labels in the order of learning, and
is summed up on demand only: taking in a label is a few additions.
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np

from models.evaluation import log_loss_of, metrics_of

WINDOW: Final = 10_000
NO_TIER: Final = "none"
COLD: Final = "cold"
SERVED: Final = "served"
_MOST_STRATA: Final = 255
_OTHER: Final = ("other", "other")
_UNKNOWN: Final = ("unknown", "unknown")
"""Of labels taken in by a version that did not keep stage and tier together."""
_LABELS, _POSITIVES, _SCORED, _SCORED_POSITIVES, _PROBABILITY = range(5)

_Sums = list[float]
"""Totals since the start: labels, positives, scored labels, positives among them, sum of probabilities."""


class Scorecard:
    """Compares each scheduled score, as served, with what happened. Summed up on demand.

    Parameters
    ----------
    window
        Scored labels that the ``window`` figures are computed over, the last ones.
    whole_run
        Keep every scored label (10 bytes each), so that ``overall`` has AUC, calibration and bins too. Without
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

    def __init__(self, window: int = WINDOW, *, whole_run: bool = True) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, not {window}")
        self._window, self._whole_run = window, whole_run
        self._probabilities, self._outcomes, self._codes = array("d"), array("b"), array("B")
        self._strata: dict[tuple[str, str], int] = {}
        """(stage, tier) -> its code."""
        self._sums: list[_Sums] = []
        """By code."""
        self._log_loss = self._brier = 0.0
        self._first_as_of: int | None = None
        self._last_label: int | None = None

    def observe(
        self, as_of: int, label_at: int, probability: float | None, outcome: bool, stage: str, tier: str | None
    ) -> None:
        """Take in one label.

        Parameters
        ----------
        as_of, label_at
            When the score was taken and when its label was decided, in ms.
        probability
            As served; None if the score was cold and had none.
        outcome
            Whether what was asked about came true: churned, or bought.
        stage, tier
            Of the user at ``as_of``; tier None while there is none.

        Raises
        ------
        ValueError
            If the probability is not within 0 and 1.
        """
        if probability is not None and not 0.0 <= probability <= 1.0:
            raise ValueError(f"a probability must be within 0 and 1, not {probability!r}")
        outcome = bool(outcome)
        if self._first_as_of is None or as_of < self._first_as_of:
            self._first_as_of = as_of
        if self._last_label is None or label_at > self._last_label:
            self._last_label = label_at
        code = self._code(stage, tier or NO_TIER)
        sums = self._sums[code]
        sums[_LABELS] += 1
        sums[_POSITIVES] += outcome
        if probability is None:
            return
        sums[_SCORED] += 1
        sums[_SCORED_POSITIVES] += outcome
        sums[_PROBABILITY] += probability
        self._log_loss += log_loss_of(probability, outcome)
        self._brier += (probability - outcome) ** 2
        self._probabilities.append(probability)
        self._outcomes.append(outcome)
        self._codes.append(code)
        if not self._whole_run and len(self._outcomes) >= 2 * self._window:
            del self._probabilities[: -self._window]
            del self._outcomes[: -self._window]
            del self._codes[: -self._window]

    def _code(self, stage: str, tier: str) -> int:
        code = self._strata.get((stage, tier))
        if code is not None:
            return code
        stratum = (stage, tier) if len(self._strata) < _MOST_STRATA else _OTHER
        if stratum not in self._strata:
            self._sums.append([0, 0, 0, 0, 0.0])
        return self._strata.setdefault(stratum, len(self._strata))

    # -- summing up --------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Every figure, JSON-ready.

        ``labels = scored + cold``, all since the start. ``window`` is over the last scored labels, at most its
        ``size``; ``overall`` over all scored ones. ``by_stage``, ``by_tier`` and ``by_cold_start`` have counts, the
        share of positives, for the scored ones their share beside the mean probability, all since the start, and the
        group's own figures within the window. What is undefined is None.
        """
        labels, positives, n, scored_positives, _ = _total(self._sums)
        whole = metrics_of(self._probabilities[-self._window :], self._outcomes[-self._window :])
        overall: dict[str, Any] = {
            "n": n,
            "base_rate": scored_positives / n if n else None,
            "log_loss": self._log_loss / n if n else None,
            "brier": self._brier / n if n else None,
        }
        if self._whole_run and len(self._outcomes) == n:
            overall = metrics_of(self._probabilities, self._outcomes)
        of_stage: dict[str, set[int]] = {}
        of_tier: dict[str, set[int]] = {}
        for (stage, tier), code in self._strata.items():
            of_stage.setdefault(stage, set()).add(code)
            of_tier.setdefault(tier, set()).add(code)
        return {
            "labels": labels,
            "scored": n,
            "cold": labels - n,
            "positives": positives,
            "base_rate": positives / labels if labels else None,
            "first_as_of_ms": self._first_as_of,
            "last_label_ms": self._last_label,
            "window": {"size": self._window, **whole},
            "overall": overall,
            "by_stage": {stage: self._group(codes) for stage, codes in sorted(of_stage.items())},
            "by_tier": {tier: self._group(codes) for tier, codes in sorted(of_tier.items())},
            "by_cold_start": self._by_cold_start(whole),
        }

    def _group(self, codes: set[int]) -> dict[str, Any]:
        member = np.isin(np.asarray(self._codes[-self._window :], dtype=np.intp), sorted(codes))
        p = np.asarray(self._probabilities[-self._window :], dtype=np.float64)[member]
        y = np.asarray(self._outcomes[-self._window :], dtype=bool)[member]
        return _group(_total([self._sums[code] for code in sorted(codes)]), metrics_of(p, y))

    def _by_cold_start(self, whole: dict[str, Any]) -> dict[str, Any]:
        labels, positives, scored, scored_positives, probability = _total(self._sums)
        served = (scored, scored_positives, scored, scored_positives, probability)
        cold = (labels - scored, positives - scored_positives, 0, 0, 0.0)
        groups = {COLD: (cold, metrics_of([], [])), SERVED: (served, whole)}
        return {name: _group(sums, window) for name, (sums, window) in groups.items() if sums[_LABELS]}

    # -- restarting --------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Totals and the window, JSON-ready, for a cut: what a restarted trainer goes on from."""
        kept = array("d", self._probabilities[-self._window :])
        labels = self._outcomes[-self._window :]
        if sys.byteorder == "big":
            kept.byteswap()
        return {
            "window": self._window,
            "probabilities": _text(kept.tobytes()),
            "outcomes": _text(np.packbits(np.asarray(labels, dtype=bool)).tobytes()),
            "codes": _text(self._codes[-self._window :].tobytes()),
            "kept": len(kept),
            "strata": [[*stratum, *self._sums[code]] for stratum, code in self._strata.items()],
            "log_loss": self._log_loss,
            "brier": self._brier,
            "first_as_of": self._first_as_of,
            "last_label": self._last_label,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *, whole_run: bool = True) -> Self:
        """The scorecard that :meth:`state` was taken of, as far as its window.

        A state of a cut of format 1, which did not keep stage and tier together, is taken too: its labels count as of
        an unknown stage and tier.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        if "strata" not in state:
            state = _with_strata(state)
        card = cls(int(state["window"]), whole_run=whole_run)
        kept = array("d", base64.b64decode(state["probabilities"], validate=True))
        if sys.byteorder == "big":
            kept.byteswap()
        bits = np.frombuffer(base64.b64decode(state["outcomes"], validate=True), dtype=np.uint8)
        codes = array("B", base64.b64decode(state["codes"], validate=True))
        if len(kept) != state["kept"] or len(bits) != -(-len(kept) // 8) or len(codes) != len(kept):
            raise ValueError("the kept scores, outcomes and groups differ in number")
        card._probabilities, card._codes = kept, codes
        card._outcomes = array("b", np.unpackbits(bits, count=len(kept)).tolist())
        for stage, tier, labels, positives, scored, scored_positives, probability in state["strata"]:
            card._strata[str(stage), str(tier)] = len(card._sums)
            card._sums.append([int(labels), int(positives), int(scored), int(scored_positives), float(probability)])
        if len(card._strata) != len(card._sums) or max(codes, default=-1) >= len(card._sums):
            raise ValueError("the kept groups are not those that are named")
        card._log_loss, card._brier = float(state["log_loss"]), float(state["brier"])
        card._first_as_of, card._last_label = state["first_as_of"], state["last_label"]
        return card


def _total(sums: Sequence[Sequence[float]]) -> tuple[int, int, int, int, float]:
    labels, positives, scored, scored_positives = (int(sum(each[which] for each in sums)) for which in range(4))
    return labels, positives, scored, scored_positives, math.fsum(each[_PROBABILITY] for each in sums)


def _group(sums: tuple[int, int, int, int, float], window: dict[str, Any]) -> dict[str, Any]:
    labels, positives, scored, scored_positives, probability = sums
    return {
        "labels": labels,
        "positive_ratio": positives / labels,
        "scored": scored,
        "scored_positive_ratio": scored_positives / scored if scored else None,
        "mean_probability": probability / scored if scored else None,
        "window": window,
    }


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _with_strata(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state of a cut of format 1, which spoke of churn alone, in today's words."""
    probability = math.fsum(float(sums[_PROBABILITY]) for sums in state["groups"]["stage"].values())
    sums = [state["labels"], state["churned"], state["scored"], state["scored_churned"], probability]
    return {
        **state,
        "codes": _text(bytes(int(state["kept"]))),
        "strata": [[*_UNKNOWN, *sums]] if state["labels"] else [],
    }
