"""A frozen logistic model: probabilities, and what each feature adds to them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.linear_terms import LinearTerms

Matrix = npt.NDArray[np.float64]
_total = np.add.reduce


class Explanation(NamedTuple):
    """A probability, and its logit taken apart: the base and the sums of all groups add up to it."""

    probability: float
    base: float
    """The logit of the average customer: every feature at its training mean."""
    sums: list[float]
    """What each group of features adds to the base: weight times distance from the mean, as clipped, summed."""
    usual: list[float]
    """The training mean of each feature, in the unit of the feature vector."""


class LinearScorer:
    """A frozen logistic model, reduced to what a score needs: fast, and a few kilobytes. For one thread at a time.

    Parameters
    ----------
    cold_start
        Whether too little was learned to serve.
    means, deviations, weights
        Per feature: training mean, training standard deviation (0 if it never varied), weight per deviation.
    intercept
        Logit of the average customer.
    clip
        Inputs are held within this many deviations of the mean, as they were when learning.
    """

    __slots__ = ("_group_count", "_group_of", "_groups", "_intercept", "_terms", "_usual", "cold_start")

    def __init__(
        self,
        cold_start: bool,
        means: Sequence[float],
        deviations: Sequence[float],
        weights: Sequence[float],
        intercept: float,
        clip: float,
    ) -> None:
        self.cold_start = cold_start
        # The clip is moved from deviations to the feature's own unit: one division less per score.
        upper: Matrix = np.array(deviations, dtype=np.float64) * clip
        slopes = [w / s if s > 0.0 else 0.0 for w, s in zip(weights, deviations, strict=True)]
        centre: Matrix = np.array(means, dtype=np.float64)
        self._terms = LinearTerms(centre, upper, np.array(slopes, dtype=np.float64))
        self._intercept = intercept
        self._usual: list[float] = centre.tolist()
        self._groups: Sequence[int] | None = None
        self._group_of: npt.NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._group_count = 0

    @classmethod
    def from_state(cls, columns: Sequence[str], state: Mapping[str, Any], *, cold_start: bool) -> LinearScorer:
        """The serving part of a learner's state.

        Raises
        ------
        ValueError, KeyError, TypeError, OverflowError
            The model is of an unknown kind or its parts do not fit each other.
        """
        if state["kind"] != "bayesian_logistic":
            raise ValueError(f"unknown model {state['kind']!r}")
        *weights, intercept = (float(value) for value in state["weights"])
        if not len(weights) == len(state["means"]) == len(columns):
            raise ValueError("weights, means and features differ in number")
        deviations = [
            math.sqrt(square / max(count, 1.0)) for square, count in zip(state["squares"], state["counts"], strict=True)
        ]
        means = [float(mean) for mean in state["means"]]
        return cls(cold_start, means, deviations, weights, intercept, float(state["clip"]))

    def probability(self, features: Sequence[float]) -> float:
        """Probability for one feature vector, in catalogue order.

        Raises
        ------
        ValueError
            If the vector has the wrong length or holds a value that is not finite.
        """
        return self._probability(self._terms.of(features))

    def explained(self, features: Sequence[float], groups: Sequence[int]) -> Explanation:
        """:meth:`probability`, and what it is made of.

        Parameters
        ----------
        features
            One feature vector, in catalogue order.
        groups
            The group of each feature, from 0 on. The same sequence every time is fastest.

        Raises
        ------
        ValueError
            As :meth:`probability`; or the groups are not one per feature.
        """
        if groups is not self._groups:
            self._group(groups)
        terms = self._terms.of(features)
        sums = np.bincount(self._group_of, terms, self._group_count)
        return Explanation(self._probability(terms), self._intercept, sums.tolist(), self._usual)

    def _group(self, groups: Sequence[int]) -> None:
        if len(groups) != len(self._terms):
            raise ValueError(f"expected the groups of {len(self._terms)} features, got {len(groups)}")
        self._groups = groups
        self._group_of = np.array(groups, dtype=np.intp)
        self._group_count = max(groups, default=-1) + 1

    def probabilities(self, matrix: npt.ArrayLike) -> Matrix:
        """Probabilities for many vectors, one per row; equal to :meth:`probability` within 1e-12."""
        x = np.asarray(matrix, dtype=np.float64)
        terms = self._terms
        if x.ndim != 2 or x.shape[1] != len(terms):
            raise ValueError(f"expected rows of {len(terms)} features, got shape {x.shape}")
        if not np.isfinite(x).all():
            terms.of(x[int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])].tolist())
        held = np.maximum(np.minimum(x - terms.means, terms.upper), -terms.upper)
        logits = self._intercept + np.add.reduce(held * terms.slopes, axis=1)
        odds = np.exp(-np.abs(logits))
        result: Matrix = np.where(logits >= 0.0, 1.0, odds) / (1.0 + odds)
        return result

    def _probability(self, terms: Matrix) -> float:
        logit = self._intercept + float(_total(terms))
        if logit >= 0.0:
            return 1.0 / (1.0 + math.exp(-logit))
        odds = math.exp(logit)
        return odds / (1.0 + odds)
