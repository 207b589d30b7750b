"""Linear regression with a Gaussian posterior over its weights, one exact rank-1 update per example."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.linear_posterior import LinearPosterior, Vector

INTERCEPT_VARIANCE: Final = 100.0
"""Prior variance of the intercept, in variances of the noise: the level of the target is anything."""


class GaussianRegression(LinearPosterior):
    """Bayesian linear regression online, inputs standardised by their running mean and variance.

    Variances are in units of the noise's, which therefore need not be known. The arithmetic is elementwise or adds rows
    in a fixed order, never through BLAS: the same examples in the same order give the same bits.

    Parameters
    ----------
    features
        Names, in the order of the vector.
    prior_variance
        Of each weight (per standard deviation of its feature) before the first example, in variances of the noise.
    likelihood_weight
        How much of an example counts (above 0, at most 1): below 1 where examples repeat each other.

    Examples
    --------
    >>> line = GaussianRegression(["x"], prior_variance=10.0, likelihood_weight=1.0)
    >>> for x in range(2_000):
    ...     line.learn([float(x % 9)], 3.0 + 0.5 * (x % 9))
    >>> abs(line.mean([6.0]) - 6.0) < 0.05
    True

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning" (2006), 3.3; Sherman and Morrison, Annals of Mathematical
    Statistics 21 (1950).
    """

    def __init__(self, features: Sequence[str], prior_variance: float, likelihood_weight: float) -> None:
        super().__init__(tuple(features), prior_variance, likelihood_weight, INTERCEPT_VARIANCE)

    def mean(self, vector: npt.ArrayLike) -> float:
        """The target that is expected of an input."""
        return float(np.add.reduce(self.weights * self._standardised(self.checked(vector))))

    def learn(self, vector: npt.ArrayLike, target: float) -> None:
        """Learn one example: the moments first, then the weights on the input as it now stands."""
        x = self.checked(vector)
        self._observe(x, self._ones)
        self.update(self._standardised(x), target)

    def update(self, z: Vector, target: float) -> None:
        """The exact posterior after one example whose input is standardised, the intercept's 1 last."""
        product = self._product
        np.multiply(self.covariance, z[:, None], out=product)
        spread: Vector = np.add.reduce(product, axis=0)
        variance = max(float(np.add.reduce(spread * z)), 0.0)
        gain = self.likelihood_weight / (1.0 + self.likelihood_weight * variance)
        self.weights += spread * (gain * (target - float(np.add.reduce(self.weights * z))))
        # A product of one vector with itself is symmetric to the bit, as the stored triangle needs.
        spread *= math.sqrt(gain)
        np.multiply(spread[:, None], spread, out=product)
        self.covariance -= product

    def widen(self, factor: float) -> None:
        """Doubt what was learned: variances grow by a factor (at least 1), though never beyond the prior's."""
        if not (math.isfinite(factor) and factor >= 1.0):
            raise ValueError(f"factor must be a finite number of at least 1, not {factor!r}")
        variances = self.covariance.diagonal().copy()
        wider = np.minimum(variances * factor, self._prior)
        room = self._prior - variances
        kept = np.zeros(len(room))
        np.divide(self._prior - wider, room, out=kept, where=room > 0.0)
        np.sqrt(kept, out=kept)
        self.covariance *= kept[:, None] * kept
        self.covariance.flat[:: len(kept) + 1] = np.maximum(wider, variances)

    def deviations(self) -> Vector:
        """The standard deviation of each feature; 0 where it never varied."""
        return np.sqrt(self.squares / np.maximum(self.counts, 1.0))

    def _standardised(self, x: Vector) -> Vector:
        z = self._z
        self._standardise(x, np.maximum(self.counts, self._ones), z[:-1])
        return z

    def state(self) -> dict[str, Any]:
        """Everything learned, JSON-ready."""
        return self._linear_state()

    @classmethod
    def from_state(cls, features: Sequence[str], state: Mapping[str, Any]) -> Self:
        """The regression that :meth:`state` was taken of, to the bit.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        model = cls(features, state["prior_variance"], state["likelihood_weight"])
        model._restore_linear(state)
        return model
