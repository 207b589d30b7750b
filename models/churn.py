"""The first champion: a logistic regression that keeps a Gaussian posterior over its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from river import base

from models.linear_posterior import CLIP, LinearPosterior, Vector

INTERCEPT_VARIANCE: Final = 10.0
"""Prior variance of the intercept: the base rate is anything, also far from one half."""
_MODE_TOLERANCE: Final = 1e-12
_MODE_STEPS: Final = 50


def sigmoid(logit: float) -> float:
    """The logistic function, without overflow on either side."""
    if logit >= 0.0:
        return 1.0 / (1.0 + math.exp(-logit))
    odds = math.exp(logit)
    return odds / (1.0 + odds)


def _mode(mean: float, variance: float, label: float) -> float:
    """Where the posterior of the logit peaks: the root of a = mean + variance (label - sigmoid(a)).

    The right side falls in a, so the root is the only one and lies between its values at p = 0 and p = 1.
    Newton's steps that would leave that bracket are replaced by halving it.
    """
    low, high = mean + variance * (label - 1.0), mean + variance * label
    at = mean
    for _ in range(_MODE_STEPS):
        p = sigmoid(at)
        gap = at - mean - variance * (label - p)
        if gap > 0.0:
            high = at
        else:
            low = at
        step = gap / (1.0 + variance * p * (1.0 - p))
        if abs(step) <= _MODE_TOLERANCE * (1.0 + abs(at)):
            return at - step
        at -= step
        if not low <= at <= high:
            at = 0.5 * (low + high)
    return at


class BayesianLogistic(LinearPosterior, base.Classifier):
    """Online logistic regression with a full Gaussian posterior, one Laplace step per label.

    Inputs are standardised by their running mean and variance (Welford), clipped at ±6, and an intercept is
    added. For each label the mode of (Gaussian prior × logistic likelihood) is found along the one direction
    that the example can move, and the covariance takes the rank-1 update at that mode. There is no learning
    rate to tune: the covariance is the learning rate, per direction.

    Served is the probability at the posterior *mean*. Averaging over the posterior (MacKay's probit
    approximation) would need the covariance at every score, and buys little here: over three real shops' logs
    (online_retail_2011 at 60 d, complete_journey_dev at 30 d, every sixth user of cdnow at 90 d), after the first
    1,000 labels, it bettered the prequential log loss by 0.0003, 0.0004 and 0.0012 (of 0.581, 0.310 and 0.371).

    All arithmetic is elementwise or adds rows in a fixed order, never through BLAS: the same examples in the
    same order give the same bits in every process on a machine, whatever its threads.

    Parameters
    ----------
    features
        Names, in the order of the feature vector. In a dict, a name that is missing counts as its training
        mean and teaches nothing about itself; names not listed here are ignored.
    prior_variance
        Variance of each weight before the first label, in (logits per standard deviation)². Small, because the
        catalogue's features overlap. Over the five cuts of ``make quality`` 0.003, 0.01 and 0.03 reached the same mean
        AUC to 0.0003; where labels are few (complete_journey_dev) a wider one has the lower Brier (docs/models.md).
    likelihood_weight
        How much of a label counts (above 0, at most 1): each step takes the likelihood to this power. Below 1
        because the weekly scores of one user repeat each other, their horizons overlapping.
    forgetting
        Share (0 to 1, mild: 1e-6 to 1e-4) of the posterior that each label lets go back to the prior, so that
        old habits fade. 0 keeps everything: 1e-4 cost 0.003 to 0.006 AUC on the same logs.

    Raises
    ------
    ValueError
        On a parameter out of range, a vector of the wrong length, or a value that is not finite.

    Examples
    --------
    >>> model = BayesianLogistic(["days_since_order"])
    >>> for label in range(2_000):
    ...     model.learn_one({"days_since_order": float(label % 40)}, label % 40 > 20)
    >>> model.predict_proba_one({"days_since_order": 35.0})[True] > 0.8
    True

    References
    ----------
    Spiegelhalter and Lauritzen, "Sequential updating of conditional probabilities on directed graphical
    structures", Networks 20 (1990); MacKay, "The evidence framework applied to classification networks",
    Neural Computation 4 (1992); Welford, Technometrics 4 (1962).
    """

    def __init__(
        self,
        features: Sequence[str],
        prior_variance: float = 0.06,
        forgetting: float = 0.0,
        likelihood_weight: float = 0.3,
    ) -> None:
        super().__init__(features, prior_variance, likelihood_weight, INTERCEPT_VARIANCE)
        if not 0.0 <= forgetting < 1.0:
            raise ValueError(f"forgetting must be at least 0 and below 1, not {forgetting!r}")
        self.forgetting = forgetting
        self.labels = 0
        self.positives = 0

    @classmethod
    def _unit_test_params(cls) -> Any:
        """Parameters that River's own checks build the model with."""
        yield {"features": [f"x{i}" for i in range(10)]}

    # -- the vector path ---------------------------------------------------------------------------

    def learn_vector(self, vector: npt.ArrayLike, outcome: bool) -> None:
        """Learn one label; the vector (in the order of ``features``) is not changed or kept."""
        self._learn(self.checked(vector), self._ones, outcome)

    def probability(self, vector: npt.ArrayLike) -> float:
        """Probability of a positive outcome, at the posterior mean of the weights."""
        return self._probability(self.checked(vector))

    def widen(self, factor: float) -> None:
        """Doubt what was learned: let all labels so far count for ``1 / factor`` of what they did.

        The precision is that of the prior plus what the labels brought; the latter is divided. So a direction about
        which much is known becomes ``factor`` times as wide in variance, one about which nothing is known stays, and
        none is ever wider than the prior. The weights stay, so what is served does not jump; the labels that follow
        move them faster.

        Parameters
        ----------
        factor
            At least 1, which changes nothing.

        Raises
        ------
        ValueError
            On a factor below 1 or not finite.
        """
        if not (math.isfinite(factor) and factor >= 1.0):
            raise ValueError(f"factor must be a finite number of at least 1, not {factor!r}")
        if factor == 1.0:
            return
        # A, the covariance in deviations of the prior, becomes
        # ((A⁻¹ - 1) / factor + 1)⁻¹ = (1 + (factor - 1) A)⁻¹ factor A.
        # By elimination, row by row, for the same bits everywhere; that matrix needs no pivoting.
        size = len(self._prior)
        scale = np.sqrt(self._prior)
        scale = scale[:, None] * scale
        rows: Vector = np.empty((size, 2 * size))
        np.divide(self.covariance, scale, out=rows[:, size:])
        np.multiply(rows[:, size:], factor - 1.0, out=rows[:, :size])
        rows[:, size:] *= factor
        rows[np.arange(size), np.arange(size)] += 1.0
        for pivot in range(size):
            rows[pivot] /= rows[pivot, pivot]
            others = rows[:, pivot].copy()
            others[pivot] = 0.0
            rows -= others[:, None] * rows[pivot]
        wider = rows[:, size:] * scale
        self.covariance = 0.5 * (wider + wider.T)

    # -- River's path ------------------------------------------------------------------------------

    def learn_one(self, x: Mapping[Any, Any], y: Any) -> None:
        """Learn one label from a dict of features."""
        values, present = self._from_dict(x)
        self._learn(values, present, bool(y))

    def predict_proba_one(self, x: Mapping[Any, Any], **kwargs: Any) -> dict[Any, float]:
        """``{False: 1 - p, True: p}`` for a dict of features."""
        values, _ = self._from_dict(x)
        p = self._probability(values)
        return {False: 1.0 - p, True: p}

    # -- state -------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything learned, JSON-ready."""
        return {
            "kind": "bayesian_logistic",
            **self._linear_state(),
            "forgetting": float(self.forgetting),
            "labels": self.labels,
            "positives": self.positives,
        }

    @classmethod
    def from_state(cls, features: Sequence[str], state: Mapping[str, Any]) -> Self:
        """The model that :meth:`state` was taken of, to the bit.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        if state["kind"] != "bayesian_logistic" or state["clip"] != CLIP:
            raise ValueError(f"not a bayesian_logistic clipped at {CLIP}")
        model = cls(list(features), state["prior_variance"], state["forgetting"], state["likelihood_weight"])
        model.labels, model.positives = int(state["labels"]), int(state["positives"])
        model._restore_linear(state)
        return model

    # -- arithmetic --------------------------------------------------------------------------------

    def _from_dict(self, x: Mapping[Any, Any]) -> tuple[Vector, Vector]:
        """Values by ``features`` (the training mean where missing) and which are there."""
        values, present = self.means.copy(), np.zeros(len(self.means))
        for index, name in enumerate(self.features):
            if name in x:
                values[index] = x[name]
                present[index] = 1.0
        return self.checked(values), present

    def _probability(self, x: Vector) -> float:
        z = self._z
        self._standardise(x, np.maximum(self.counts, self._ones), z[:-1])
        return sigmoid(float(np.add.reduce(self.weights * z)))

    def _learn(self, x: Vector, present: Vector, outcome: bool) -> None:
        """Moments first, then the Laplace step on the input as it now stands."""
        z, product = self._z, self._product
        self._standardise(x, self._observe(x, present), z[:-1])
        if self.forgetting:
            self.weights *= math.sqrt(1.0 - self.forgetting)
            self.covariance *= 1.0 - self.forgetting
            self.covariance.flat[:: len(z) + 1] += self.forgetting * self._prior
        np.multiply(self.covariance, z[:, None], out=product)
        spread: Vector = np.add.reduce(product, axis=0)
        variance = max(float(np.add.reduce(spread * z)), 0.0)
        label, power = (1.0 if outcome else 0.0), self.likelihood_weight
        p = sigmoid(_mode(float(np.add.reduce(self.weights * z)), power * variance, label))
        curvature = power * p * (1.0 - p)
        self.weights += spread * (power * (label - p))
        spread *= math.sqrt(curvature / (1.0 + curvature * variance))
        np.multiply(spread[:, None], spread, out=product)
        self.covariance -= product
        self.labels += 1
        self.positives += bool(outcome)
