"""Expected spend: what a customer spends within the horizon, if they buy at all.

Money has heavy tails: a few wholesale buyers carry half the revenue of a shop. So the regression learns log1p(spend),
winsorised; what is lost on the way back is learned from what came: how far the mean of exp lies above the exp of the
mean (smearing), and how money really goes with all that (:mod:`models.money_scale`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.gaussian import GaussianRegression
from models.money_scale import MEMORY, MoneyScale
from models.quantiles import LogHistogram

KIND: Final = "spend_regression"
WINSORISED_AT: Final = 0.99
PRIOR_VARIANCE: Final = 0.003
LIKELIHOOD_WEIGHT: Final = 0.3
"""Weekly scores of one user overlap and repeat each other."""
UNTRIED: Final = 100
"""Labels before which nothing is corrected: predictions of hardly anything would be held against what came."""


class SpendModel:
    """E[spend | a purchase within the horizon], learned online from customers who came back.

    The chain: a Gaussian regression of log1p(spend winsorised at its running 99th percentile); Duan's smearing factor,
    the running mean of exp(residual); and the money scale, learned on spend as it was. Each learns from a label before
    the regression sees it.

    Parameters
    ----------
    features
        Names, in the order of the vector.
    horizon_days
        Days of the horizon.

    Examples
    --------
    >>> model = SpendModel(["order_value"], 30)
    >>> for n in range(600):
    ...     model.learn_vector([math.log1p(10.0 + n % 7)], 20.0 + 2 * (n % 7))
    >>> 20.0 < model.expected([math.log1p(12.0)]) < 28.0
    True

    References
    ----------
    Duan, "Smearing estimate: a nonparametric retransformation method", JASA 78 (1983).
    """

    def __init__(
        self,
        features: Sequence[str],
        horizon_days: int,
        prior_variance: float = PRIOR_VARIANCE,
        likelihood_weight: float = LIKELIHOOD_WEIGHT,
    ) -> None:
        self.horizon_days = horizon_days
        self.labels = 0
        self.regression = GaussianRegression(features, prior_variance, likelihood_weight)
        self.scale = MoneyScale(self.regression.features)
        self._limit = LogHistogram(WINSORISED_AT)
        self.most = 0.0
        """The highest spend of a label, in currency units: nobody is expected to spend more by the regression."""
        self._exp_residuals = 0.0
        self._tried = 0.0
        self._spent = 0.0

    @property
    def features(self) -> tuple[str, ...]:
        """Names, in the order of the vector."""
        return tuple(self.regression.features)

    @property
    def limit(self) -> float:
        """What a target is winsorised at, in currency units."""
        return self._limit.quantile

    @property
    def smearing(self) -> float:
        """Running mean of exp(residual): what brings a mean of logs back to a mean of money."""
        return self._exp_residuals / self._tried if self._tried else 1.0

    @property
    def mean_spend(self) -> float:
        """Of who came back, so far, in currency units."""
        return self._spent / self.labels if self.labels else 0.0

    def expected(self, vector: npt.ArrayLike) -> float:
        """Expected spend of this customer within the horizon if they buy, in currency units.

        Raises
        ------
        ValueError
            The vector has the wrong length, or a value that is not finite.
        """
        x = self.regression.checked(vector)
        return self.scale.expected(self._mean_log(x), x)

    def _mean_log(self, x: npt.NDArray[np.float64]) -> float:
        """What regression and smearing say of log1p(spend)."""
        return min(self.regression.mean(x), math.log1p(self.most)) + math.log(self.smearing)

    def learn_vector(self, vector: npt.ArrayLike, spend: float) -> None:
        """Learn what a customer who came back has spent within the horizon, in currency units.

        Raises
        ------
        ValueError
            As :meth:`expected`, or the spend is negative or not finite.
        """
        x = self.regression.checked(vector)
        self._limit.add(spend)
        target = min(spend, self.limit)
        if self.labels == UNTRIED:
            self.scale.centre = float(self.regression.weights[-1])
        if self.labels >= UNTRIED:
            self._try(x, spend, target)
        self.regression.learn(x, math.log1p(target))
        self.most = max(self.most, spend)
        self._spent += spend
        self.labels += 1

    def _try(self, x: npt.NDArray[np.float64], spend: float, target: float) -> None:
        """Hold what would have been said against what came, before which a little is forgotten."""
        self.scale.learn(self._mean_log(x), x, spend, unit=self.mean_spend + 1.0)
        kept = 1.0 - 1.0 / MEMORY
        self._exp_residuals *= kept
        self._tried *= kept
        self._exp_residuals += math.exp(math.log1p(target) - min(self.regression.mean(x), math.log1p(self.most)))
        self._tried += 1.0

    def state(self) -> dict[str, Any]:
        """Everything learned, JSON-ready."""
        return {
            "kind": KIND,
            "horizon_days": self.horizon_days,
            "labels": self.labels,
            **self.regression.state(),
            "limit": self._limit.state(),
            "most": self.most,
            "tried": self._tried,
            "exp_residuals": self._exp_residuals,
            "spent": self._spent,
            "scale": self.scale.state(),
        }

    @classmethod
    def from_state(cls, features: Sequence[str], state: Mapping[str, Any]) -> Self:
        """The model that :meth:`state` was taken of, to the bit.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        if state["kind"] != KIND:
            raise ValueError(f"not a {KIND}")
        model = cls(features, int(state["horizon_days"]))
        model.regression = GaussianRegression.from_state(features, state)
        model._limit = LogHistogram.from_state(state["limit"])
        model.labels, model._tried = int(state["labels"]), float(state["tried"])
        if not 0.0 <= model._tried <= model.labels == model._limit.count:
            raise ValueError(f"{model.labels} labels, {model._tried} tried, {model._limit.count} counted")
        model.most = float(state["most"])
        if not 0.0 <= model.most < math.inf:
            raise ValueError(f"most is {model.most!r}")
        for name in ("exp_residuals", "spent"):
            value = float(state[name])
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{name} is {value!r}")
            setattr(model, f"_{name}", value)
        if (model._tried > 0.0) != (model._exp_residuals > 0.0):
            raise ValueError("what was tried has no residuals, or the other way round")
        model.scale = MoneyScale.from_state(features, state["scale"])
        return model
