"""A frozen logistic model: probabilities, and what each feature adds to them."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


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
    """A frozen logistic model, reduced to what a score needs: fast, and a few kilobytes.

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

    __slots__ = (
        "_group_count",
        "_group_of",
        "_groups",
        "_intercept",
        "_limit",
        "_lower",
        "_means",
        "_pack",
        "_slopes",
        "_upper",
        "_usual",
        "cold_start",
    )

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
        self._means: Matrix = np.array(means, dtype=np.float64)
        # The clip is moved from deviations to the feature's own unit: one division less per score.
        self._upper: Matrix = np.array(deviations, dtype=np.float64) * clip
        self._lower: Matrix = -self._upper
        self._slopes: Matrix = np.array(
            [w / s if s > 0.0 else 0.0 for w, s in zip(weights, deviations, strict=True)], dtype=np.float64
        )
        self._intercept = intercept
        self._usual: list[float] = self._means.tolist()
        self._groups: Sequence[int] | None = None
        self._group_of: npt.NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._group_count = 0
        self._limit = len(self._means)
        self._pack = struct.Struct(f"={self._limit}d").pack

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
        return self._probability(self._terms(features))

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
        terms = self._terms(features)
        sums = np.bincount(self._group_of, terms, self._group_count)
        return Explanation(self._probability(terms), self._intercept, sums.tolist(), self._usual)

    def _group(self, groups: Sequence[int]) -> None:
        if len(groups) != self._limit:
            raise ValueError(f"expected the groups of {self._limit} features, got {len(groups)}")
        self._groups = groups
        self._group_of = np.array(groups, dtype=np.intp)
        self._group_count = max(groups, default=-1) + 1

    def probabilities(self, matrix: npt.ArrayLike) -> Matrix:
        """Probabilities for many vectors, one per row; equal to :meth:`probability` within 1e-12."""
        x = np.asarray(matrix, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self._limit:
            raise ValueError(f"expected rows of {self._limit} features, got shape {x.shape}")
        if not np.isfinite(x).all():
            row = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
            self._refuse(x[row].tolist())
        held = np.maximum(np.minimum(x - self._means, self._upper), self._lower)
        logits = self._intercept + np.add.reduce(held * self._slopes, axis=1)
        odds = np.exp(-np.abs(logits))
        result: Matrix = np.where(logits >= 0.0, 1.0, odds) / (1.0 + odds)
        return result

    def _probability(self, terms: Matrix) -> float:
        logit = self._intercept + float(np.add.reduce(terms))
        if logit >= 0.0:
            return 1.0 / (1.0 + math.exp(-logit))
        odds = math.exp(logit)
        return odds / (1.0 + odds)

    def _terms(self, features: Sequence[float]) -> Matrix:
        """What each feature adds to the logit."""
        if not math.isfinite(sum(features)):
            self._refuse(features)
        try:
            packed = self._pack(*features)
        except struct.error as error:
            raise ValueError(f"expected {self._limit} features, got {len(features)}: {error}") from error
        terms = np.frombuffer(packed) - self._means
        np.minimum(terms, self._upper, out=terms)
        np.maximum(terms, self._lower, out=terms)
        np.multiply(terms, self._slopes, out=terms)
        return terms

    @staticmethod
    def _refuse(features: Sequence[float]) -> None:
        """Name the values that are not finite (finite values whose sum overflows are let through)."""
        bad = [f"feature {i} is {value}" for i, value in enumerate(features) if not math.isfinite(value)]
        if bad:
            raise ValueError("not finite: " + ", ".join(bad[:5]))
