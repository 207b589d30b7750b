"""What each feature adds to a linear score: slope times distance from the mean, as clipped. The part that is hot."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

# Bound once: of a vector this short, half the time goes into finding out what to call.
_subtract, _minimum, _maximum, _multiply = np.subtract, np.minimum, np.maximum, np.multiply


class LinearTerms:
    """The terms of one linear model, a vector at a time: for one thread.

    Parameters
    ----------
    means
        Per feature: what it is held against.
    upper
        How far from its mean a feature counts, in its own unit.
    slopes
        What one unit of distance adds.

    Examples
    --------
    >>> terms = LinearTerms(np.array([1.0, 1.0]), np.array([2.0, 2.0]), np.array([0.5, 10.0]))
    >>> terms.of([2.0, 9.0]).tolist()
    [0.5, 20.0]
    """

    __slots__ = ("_inputs", "_lower", "_pack_into", "_packed", "_terms", "means", "slopes", "upper")

    def __init__(self, means: Vector, upper: Vector, slopes: Vector) -> None:
        self.means = means
        self.upper = upper
        self.slopes = slopes
        self._lower: Vector = -upper
        size = len(means)
        self._pack_into = struct.Struct(f"={size}d").pack_into
        self._packed = bytearray(8 * size)
        self._inputs: Vector = np.frombuffer(self._packed)
        self._terms: Vector = np.empty(size)

    def __len__(self) -> int:
        return len(self.means)

    def of(self, features: Sequence[float]) -> Vector:
        """The terms of one vector; they hold until the next one is asked for, which takes their place.

        Raises
        ------
        ValueError
            If the vector has the wrong length or holds a value that is not finite.
        """
        if not math.isfinite(sum(features)):
            _refuse(features)
        try:
            self._pack_into(self._packed, 0, *features)
        except struct.error as error:
            raise ValueError(f"expected {len(self)} features, got {len(features)}: {error}") from error
        terms = self._terms
        _subtract(self._inputs, self.means, terms)
        _minimum(terms, self.upper, out=terms)
        _maximum(terms, self._lower, out=terms)
        _multiply(terms, self.slopes, terms)
        return terms


def _refuse(features: Sequence[float]) -> None:
    """Name the values that are not finite (finite values whose sum overflows are let through)."""
    bad = [f"feature {i} is {value}" for i, value in enumerate(features) if not math.isfinite(value)]
    if bad:
        raise ValueError("not finite: " + ", ".join(bad[:5]))
