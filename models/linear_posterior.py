"""What every model here with a Gaussian posterior over linear weights shares: standardised inputs, and its state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.packing import pack, triangle_of, unpack

Vector = npt.NDArray[np.float64]

CLIP: Final = 6.0
"""Standardised inputs are held within this many standard deviations."""
_TINY: Final = 1e-150


class LinearPosterior:
    """Weights per standard deviation of each input, the intercept last, with their covariance.

    Inputs are standardised by their running mean and variance (Welford) and clipped at ±6. All arithmetic is
    elementwise, never through BLAS: the same examples in the same order give the same bits.

    Parameters
    ----------
    features
        Names, in the order of the vector.
    prior_variance
        Of each weight before the first example.
    likelihood_weight
        How much of an example counts (above 0, at most 1): below 1 where examples repeat each other.
    intercept_variance
        Prior variance of the intercept.

    Raises
    ------
    ValueError
        On a parameter out of range.
    """

    def __init__(
        self, features: Sequence[str], prior_variance: float, likelihood_weight: float, intercept_variance: float
    ) -> None:
        if len(set(features)) != len(features):
            raise ValueError("feature names must be unique")
        if not (math.isfinite(prior_variance) and prior_variance > 0.0):
            raise ValueError(f"prior_variance must be a finite number above 0, not {prior_variance!r}")
        if not 0.0 < likelihood_weight <= 1.0:
            raise ValueError(f"likelihood_weight must be above 0 and at most 1, not {likelihood_weight!r}")
        self.features = features
        self.prior_variance = prior_variance
        self.likelihood_weight = likelihood_weight
        size = len(features)
        self.counts: Vector = np.zeros(size)
        self.means: Vector = np.zeros(size)
        self.squares: Vector = np.zeros(size)
        """Sum of squared deviations from the mean, per feature."""
        self.weights: Vector = np.zeros(size + 1)
        """Posterior mean, the intercept last, per standard deviation."""
        self._prior: Vector = np.append(np.full(size, float(prior_variance)), intercept_variance)
        self.covariance: Vector = np.diag(self._prior)
        self._ones: Vector = np.ones(size)
        self._least: Vector = np.full(size, _TINY)
        self._upper: Vector = np.full(size, CLIP)
        self._lower: Vector = np.full(size, -CLIP)
        # Where every step is reckoned, one after the other: a step makes no matrix of its own.
        self._product: Vector = np.empty((size + 1, size + 1))
        self._z: Vector = np.ones(size + 1)

    def checked(self, vector: npt.ArrayLike) -> Vector:
        """The vector as numbers to reckon with.

        Raises
        ------
        ValueError
            It has the wrong length, or a value that is not finite (finite values whose sum overflows are let through).
        """
        x = np.asarray(vector, dtype=np.float64)
        if x.shape != self.means.shape:
            raise ValueError(f"expected {len(self.means)} features, got shape {x.shape}")
        if not math.isfinite(np.add.reduce(x)) and len(bad := np.flatnonzero(~np.isfinite(x))):
            raise ValueError("not finite: " + ", ".join(f"{self.features[i]}={x[i]}" for i in bad[:5]))
        return x

    def _observe(self, x: Vector, present: Vector) -> Vector:
        """Take an input into the moments; gives the counts, at least 1, to standardise by."""
        self.counts += present
        counts: Vector = np.maximum(self.counts, self._ones)
        centred = x - self.means
        self.means += centred / counts
        self.squares += centred * (x - self.means)
        return counts

    def _standardise(self, x: Vector, counts: Vector, out: Vector) -> None:
        """(x - mean) / deviation, within ±6. A feature that never varied ends as 0 or ±6, and its weight is 0."""
        deviation = self.squares / counts
        np.sqrt(deviation, out=deviation)
        np.maximum(deviation, self._least, out=deviation)
        np.subtract(x, self.means, out=out)
        np.divide(out, deviation, out=out)
        np.minimum(out, self._upper, out=out)
        np.maximum(out, self._lower, out=out)

    def _linear_state(self) -> dict[str, Any]:
        """All of this, JSON-ready (the covariance packed: :mod:`models.packing`)."""
        return {
            "prior_variance": float(self.prior_variance),
            "likelihood_weight": float(self.likelihood_weight),
            "clip": CLIP,
            "counts": self.counts.tolist(),
            "means": self.means.tolist(),
            "squares": self.squares.tolist(),
            "weights": self.weights.tolist(),
            "covariance": pack(triangle_of(self.covariance)),
        }

    def _restore_linear(self, state: Mapping[str, Any]) -> None:
        """Be what :meth:`_linear_state` was taken of, to the bit.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        if state["clip"] != CLIP:
            raise ValueError(f"it is not clipped at {CLIP}")
        size = len(self.means)
        for name, length in (("counts", size), ("means", size), ("squares", size), ("weights", size + 1)):
            values = np.array(state[name], dtype=np.float64)
            if values.shape != (length,) or not np.isfinite(values).all():
                raise ValueError(f"{name} must be {length} finite numbers")
            setattr(self, name, values)
        self.covariance = unpack(state["covariance"], size + 1)
