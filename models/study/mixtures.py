"""Contenders made of contenders: means of logits, mixtures weighed by how each did, calibration after the fact.

What they learn of themselves they learn from their own scores as served, when the labels come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from models.churn import BayesianLogistic, sigmoid
from models.evaluation import log_loss_of
from models.study.contenders import Contender, Vector

LEAST: Final = 1e-4


def logit(probability: float) -> float:
    """The inverse of the logistic function, held within about ±9.2."""
    held = min(max(probability, LEAST), 1.0 - LEAST)
    return math.log(held / (1.0 - held))


class LogitMean:
    """The plain mean of the logits of some contenders."""

    def __init__(self, parts: Sequence[Contender]) -> None:
        self._parts = tuple(parts)

    def learn_vector(self, vector: Vector, outcome: bool) -> None:
        """Each part learns."""
        for part in self._parts:
            part.learn_vector(vector, outcome)

    def probability(self, vector: Vector) -> float:
        """Where the mean of the logits lies."""
        return sigmoid(sum(logit(part.probability(vector)) for part in self._parts) / len(self._parts))


class WeighedMixture:
    """A mixture of probabilities, each part weighed by exp(-its log loss so far), with a fixed share.

    Parameters
    ----------
    parts
        What is mixed.
    share
        Part of the weight that each label spreads evenly again, so that who was bad once can come back.

    References
    ----------
    Vovk, "A game of prediction with expert advice", JCSS 56 (1998); Herbster and Warmuth, "Tracking the best
    expert", Machine Learning 32 (1998).
    """

    def __init__(self, parts: Sequence[Contender], share: float = 1e-4) -> None:
        self._parts = tuple(parts)
        self._share = share
        self.weights = [1.0 / len(self._parts)] * len(self._parts)

    def learn_vector(self, vector: Vector, outcome: bool) -> None:
        """Each part learns."""
        for part in self._parts:
            part.learn_vector(vector, outcome)

    def probability(self, vector: Vector) -> float:
        """The weighed mean of what the parts say."""
        return self.serve(vector)[0]

    def serve(self, vector: Vector) -> tuple[float, tuple[float, ...]]:
        """The probability, and what each part said."""
        said = tuple(part.probability(vector) for part in self._parts)
        return math.fsum(w * p for w, p in zip(self.weights, said, strict=True)), said

    def turned_out(self, memory: tuple[float, ...], outcome: bool) -> None:
        """Weigh the parts by what each had said."""
        earned = [w * math.exp(-log_loss_of(p, outcome)) for w, p in zip(self.weights, memory, strict=True)]
        total = math.fsum(earned)
        even = self._share / len(earned)
        self.weights = [(1.0 - self._share) * e / total + even for e in earned]


class Calibrated:
    """Platt scaling on delayed labels: a second, two-weight posterior maps the served logit to what came of it.

    Parameters
    ----------
    part
        What is calibrated.
    forgetting
        How fast the map lets go of old labels (:class:`models.churn.BayesianLogistic`).
    min_labels
        Labels below which the part's own probability is served.
    """

    def __init__(self, part: Contender, *, forgetting: float = 0.0, min_labels: int = 1_000) -> None:
        self._part = part
        self._map = BayesianLogistic(["logit"], prior_variance=10.0, forgetting=forgetting)
        self._min_labels = min_labels

    def learn_vector(self, vector: Vector, outcome: bool) -> None:
        """The part learns."""
        self._part.learn_vector(vector, outcome)

    def probability(self, vector: Vector) -> float:
        """Of the part, through the map."""
        return self.serve(vector)[0]

    def serve(self, vector: Vector) -> tuple[float, float]:
        """The probability, and the logit of the part."""
        plain = self._part.probability(vector)
        at = logit(plain)
        return (plain if self._map.labels < self._min_labels else self._map.probability([at])), at

    def turned_out(self, memory: float, outcome: bool) -> None:
        """Learn what became of a logit."""
        self._map.learn_vector([memory], outcome)
