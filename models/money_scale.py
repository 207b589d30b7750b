"""From a mean of logs back to money: how spend really goes with what a regression of logs says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.packing import pack, triangle_of, unpack, unpacked

Vector = npt.NDArray[np.float64]

RECORD: Final = ("net_spend_365d", "net_spend_90d")
"""The customer's own record: log1p of what they spent in a year and in a quarter, where the catalogue has it."""
PRIOR_LABELS: Final = 30.0
"""At the beginning the regression is taken at its word, as if it had been right for so many labels."""
MEMORY: Final = 2_000
"""Labels over which the scale looks back: each lets a 2,000th of what is known go, at most back to the prior."""
_MODE_TOLERANCE: Final = 1e-12
_MODE_STEPS: Final = 100
RANGE: Final = 3.0
"""Money is never scaled by more than exp(3), either way."""


def _mode(mean: float, variance: float, events: float) -> float:
    """Where the posterior of the log rate peaks: the root of a = mean + variance (events - exp(a)).

    The right side falls in a, so the root is the only one, between the mean and log(events). Newton's steps that
    would leave the bracket are replaced by halving it.
    """
    upwards = events > math.exp(mean)
    low, high = (mean, math.log(events)) if upwards else (math.log(events), mean)
    at = mean
    for _ in range(_MODE_STEPS):
        rate = math.exp(at)
        gap = at - mean - variance * (events - rate)
        if gap > 0.0:
            high = at
        else:
            low = at
        step = gap / (1.0 + variance * rate)
        if abs(step) <= _MODE_TOLERANCE * (1.0 + abs(at)):
            return at - step
        at -= step
        if not low <= at <= high:
            at = 0.5 * (low + high)
    return at


class MoneyScale:
    """Quasi-Poisson regression of spend on what the regression of logs says, and on the customer's own record.

    log E[1 + spend] = m + b0 + b1 (m - k) + b2 (y - k) + b3 (q - k), where m is what the regression of logs says, y and
    q are the customer's own record, and k is the shop's level on the same scale. All b begin at 0. The likelihood makes
    totals right at every level of m, y and q: a mean of logs with a winsorised target goes wrong just there, with the
    few who spend most.

    One Laplace step per label, at the mode of (Gaussian posterior of the step before × Poisson likelihood): a plain
    Newton step overshoots upwards. Elementwise, the same bits every time.

    Parameters
    ----------
    features
        Names, in the order of the vector.

    Examples
    --------
    >>> scale = MoneyScale(["net_spend_365d"])
    >>> for _ in range(400):
    ...     scale.learn(2.0, [2.0], 2.0 * math.exp(2.0) - 1.0, unit=10.0)
    >>> 13.0 < scale.expected(2.0, [2.0]) < 14.0
    True

    References
    ----------
    Santos Silva and Tenreyro, "The log of gravity", Review of Economics and Statistics 88 (2006): why a regression of
    logs misses means where the noise grows with the level, and why a Poisson likelihood does not.
    """

    __slots__ = ("_prior", "centre", "covariance", "record", "weights")

    def __init__(self, features: Sequence[str]) -> None:
        self.record = [list(features).index(name) for name in RECORD if name in features]
        """Where in a vector the customer's own record stands."""
        size = 2 + len(self.record)
        self.centre = 0.0
        self.weights: Vector = np.zeros(size)
        self._prior: Vector = np.full(size, 1.0 / PRIOR_LABELS)
        self.covariance: Vector = np.diag(self._prior)

    def expected(self, mean_log: float, vector: Sequence[float] | Vector) -> float:
        """Expected spend, in currency units.

        Parameters
        ----------
        mean_log
            What the regression of logs says of log1p(spend).
        vector
            The features, in the order of the catalogue.
        """
        return max(math.exp(mean_log + self._scale(self._inputs(mean_log, vector))) - 1.0, 0.0)

    def learn(self, mean_log: float, vector: Sequence[float] | Vector, spend: float, *, unit: float) -> None:
        """Learn from a label.

        Parameters
        ----------
        spend
            What was spent, not winsorised, in currency units.
        unit
            The spend of a usual label, in currency units: one of it weighs as much as one event of a Poisson process.
        """
        self._forget()
        z = np.array(self._inputs(mean_log, vector))
        spread: Vector = np.add.reduce(self.covariance * z[:, None], axis=0)
        variance = max(float(np.add.reduce(spread * z)), 0.0)
        events, before = (1.0 + spend) / unit, mean_log + self._scale(z.tolist()) - math.log(unit)
        rate = math.exp(_mode(before, variance, events))
        self.weights += spread * (events - rate)
        spread *= math.sqrt(rate / (1.0 + rate * variance))
        self.covariance -= spread[:, None] * spread

    def _forget(self) -> None:
        """Let a little go; no variance grows beyond the prior's."""
        self.covariance /= 1.0 - 1.0 / MEMORY
        kept = np.sqrt(np.minimum(self._prior / self.covariance.diagonal(), 1.0))
        self.covariance *= kept[:, None] * kept

    def _inputs(self, mean_log: float, vector: Sequence[float] | Vector) -> list[float]:
        return [1.0, mean_log - self.centre, *(float(vector[at]) - self.centre for at in self.record)]

    def _scale(self, inputs: Sequence[float]) -> float:
        scale = math.fsum(w * z for w, z in zip(self.weights.tolist(), inputs, strict=True))
        return min(max(scale, -RANGE), RANGE)

    def state(self) -> dict[str, Any]:
        """Everything learned, JSON-ready."""
        return {
            "centre": self.centre,
            "weights": pack(self.weights),
            "covariance": pack(triangle_of(self.covariance)),
        }

    @classmethod
    def from_state(cls, features: Sequence[str], state: Mapping[str, Any]) -> Self:
        """The scale that :meth:`state` was taken of, to the bit.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together, or of a catalogue with another record.
        """
        scale = cls(features)
        size = len(scale.weights)
        scale.centre = float(state["centre"])
        if not math.isfinite(scale.centre):
            raise ValueError(f"the centre is {scale.centre!r}")
        scale.weights = unpacked(state["weights"], size)
        scale.covariance = unpack(state["covariance"], size)
        return scale


class ServedScale:
    """A money scale as it stood, for scoring: the same to the bit as :meth:`MoneyScale.expected`, and a third of it.

    Parameters
    ----------
    scale
        What was learned; it may learn on.
    """

    __slots__ = ("_bias", "_centre", "_record", "_slope")

    def __init__(self, scale: MoneyScale) -> None:
        self._centre = scale.centre
        self._bias, self._slope, *of_record = scale.weights.tolist()
        self._record = list(zip(scale.record, of_record, strict=True))

    def expected(self, mean_log: float, vector: Sequence[float]) -> float:
        """Expected spend, in currency units: see :meth:`MoneyScale.expected`."""
        centre = self._centre
        parts = [self._bias, self._slope * (mean_log - centre)]
        for at, weight in self._record:
            parts.append(weight * (vector[at] - centre))
        # An exact sum, so that its order does not matter.
        scale = math.fsum(parts)
        if not -RANGE <= scale <= RANGE:
            scale = min(max(scale, -RANGE), RANGE)
        spend = math.exp(mean_log + scale) - 1.0
        return spend if spend > 0.0 else 0.0
