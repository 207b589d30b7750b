"""Expected spend: what a customer spends within the horizon, if they buy at all.

Money has heavy tails: a few wholesale buyers carry half the revenue of a shop. So the regression learns log1p(spend),
winsorised; what is lost on the way back is learned from what came: how far the mean of exp lies above the exp of the
mean, how far a customer's own record is to be trusted, and by how much all that missed the total.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.gaussian import GaussianRegression
from models.quantiles import LogHistogram

KIND: Final = "spend_regression"
WINSORISED_AT: Final = 0.99
PRIOR_VARIANCE: Final = 0.003
LIKELIHOOD_WEIGHT: Final = 0.3
"""Weekly scores of one user overlap and repeat each other."""
RECORD_HORIZONS: Final = 3
"""A customer's own record is read over at least this many horizons, if the catalogue has such a window."""
UNTRIED: Final = 100
"""Labels before which nothing is corrected: predictions of hardly anything would be held against what came."""
MEMORY: Final = 2_000
"""Labels over which the corrections look back: each lets a 2,000th of what was learned of them go."""
RATIO_LIMIT: Final = 3.0
"""The total is never corrected by more than this factor, either way."""
_SPEND_WINDOW: Final = re.compile(r"net_spend_(\d+)d")


class OwnRecord:
    """What a customer spent per horizon in which they bought, lately, read off the feature vector.

    Over the shortest window of at least three horizons for which the catalogue has net spend (else the longest): spend
    over the number of orders, which counts as no more than the horizons that the customer has been one within the
    window, and one more: whoever has just come has not yet shown how long they stay away.

    Parameters
    ----------
    features
        Names, in the order of the vector.
    horizon_days
        Days of the horizon.
    """

    __slots__ = ("_days", "_horizon_days", "_orders", "_spend", "_tenure")

    def __init__(self, features: Sequence[str], horizon_days: int) -> None:
        windows = {int(found[1]): name for name in features if (found := _SPEND_WINDOW.fullmatch(name))}
        wanted = RECORD_HORIZONS * horizon_days
        window = min((days for days in windows if days >= wanted), default=max(windows, default=0))
        orders = min(
            (days for days in windows if days >= window and f"orders_{days}d" in features),
            default=0,
        )
        known = orders and "tenure_days" in features
        self._spend = features.index(windows[window]) if known else -1
        self._orders = features.index(f"orders_{orders}d") if known else -1
        self._tenure = features.index("tenure_days") if known else -1
        self._days, self._horizon_days = window, horizon_days

    def per_horizon(self, vector: Sequence[float] | npt.NDArray[np.float64]) -> float | None:
        """In currency units; None where the catalogue cannot say."""
        if self._spend < 0:
            return None
        horizons = min(math.expm1(float(vector[self._tenure])), self._days) / self._horizon_days + 1.0
        orders = max(min(math.expm1(float(vector[self._orders])), horizons), 1.0)
        return math.expm1(float(vector[self._spend])) / orders


def conditional(
    mean_log: float, most_log: float, smearing: float, trust: float, ratio: float, own: float | None
) -> float:
    """Expected spend of who buys: back from the log, blended with the customer's own record, corrected.

    >>> round(conditional(math.log1p(9.0), 10.0, 1.2, 0.25, 1.0, 23.0), 9)
    14.0
    """
    regression = max(math.exp(min(mean_log, most_log)) * smearing - 1.0, 0.0)
    return ratio * (regression if own is None else regression + trust * (own - regression))


class SpendModel:
    """E[spend | a purchase within the horizon], learned online from customers who came back.

    The chain: a Gaussian regression of log1p(spend winsorised at its running 99th percentile); Duan's smearing factor,
    the running mean of exp(residual); a credibility weight between regression and :class:`OwnRecord`, by least
    squares with variance in proportion to the level; and the ratio of what was spent, not winsorised, to what all
    this said before it knew. Each is learned from a label before the regression sees it.

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
    Duan, "Smearing estimate: a nonparametric retransformation method", JASA 78 (1983); Bühlmann, "Experience rating
    and credibility", ASTIN Bulletin 4 (1967).
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
        self.record = OwnRecord(self.regression.features, horizon_days)
        self._limit = LogHistogram(WINSORISED_AT)
        self.most = 0.0
        """The highest spend of a label, in currency units: nobody is expected to spend more by the regression."""
        self._exp_residuals = 0.0
        self._tried = 0.0
        self._pull = self._room = 0.0
        self._spent = self._predicted = 0.0
        self._all_spent = 0.0

    @property
    def features(self) -> tuple[str, ...]:
        """Names, in the order of the vector."""
        return self.regression.features

    @property
    def limit(self) -> float:
        """What a target is winsorised at, in currency units."""
        return self._limit.quantile

    @property
    def smearing(self) -> float:
        """Running mean of exp(residual): what brings a mean of logs back to a mean of money."""
        return self._exp_residuals / self._tried if self._tried else 1.0

    @property
    def trust(self) -> float:
        """Weight (0 to 1) of a customer's own record against the regression; none while little was tried."""
        if self._room <= 0.0:
            return 0.0
        return min(max(self._pull / self._room * self._tried / (self._tried + UNTRIED), 0.0), 1.0)

    @property
    def ratio(self) -> float:
        """Spent over predicted, so far; as if it had been right for the first hundred labels."""
        if not self._tried:
            return 1.0
        extra = UNTRIED * self._predicted / self._tried
        ratio = (self._spent + extra) / (self._predicted + extra) if self._predicted > 0.0 else 1.0
        return min(max(ratio, 1.0 / RATIO_LIMIT), RATIO_LIMIT)

    @property
    def mean_spend(self) -> float:
        """Of who came back, so far, in currency units."""
        return self._all_spent / self.labels if self.labels else 0.0

    def expected(self, vector: npt.ArrayLike) -> float:
        """Expected spend of this customer within the horizon if they buy, in currency units.

        Raises
        ------
        ValueError
            The vector has the wrong length, or a value that is not finite.
        """
        x = self.regression.checked(vector)
        own = self.record.per_horizon(x)
        return conditional(self.regression.mean(x), math.log1p(self.most), self.smearing, self.trust, self.ratio, own)

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
        if self.labels >= UNTRIED:
            self._try(x, spend, target)
        self.regression.learn(x, math.log1p(target))
        self.most = max(self.most, spend)
        self._all_spent += spend
        self.labels += 1

    def _try(self, x: npt.NDArray[np.float64], spend: float, target: float) -> None:
        """Hold what would have been said against what came, before which a little is forgotten."""
        mean_log, most_log = self.regression.mean(x), math.log1p(self.most)
        own = self.record.per_horizon(x)
        said = conditional(mean_log, most_log, self.smearing, self.trust, 1.0, own)
        regression = conditional(mean_log, most_log, self.smearing, 0.0, 1.0, None)
        kept = 1.0 - 1.0 / MEMORY
        self._tried *= kept
        self._exp_residuals *= kept
        self._pull *= kept
        self._room *= kept
        self._spent = self._spent * kept + spend
        self._predicted = self._predicted * kept + said
        if own is not None:
            apart = own - regression
            if apart:
                self._pull += apart * (spend - regression) / (own + regression)
                self._room += apart * apart / (own + regression)
        self._exp_residuals += math.exp(math.log1p(target) - min(mean_log, most_log))
        self._tried += 1.0

    def widen(self, factor: float) -> None:
        """Trust what was learned less: variances grow by ``factor`` (at least 1), never beyond the prior."""
        self.regression.widen(factor)

    def state(self) -> dict[str, Any]:
        """Everything learned, JSON-ready."""
        return {
            "kind": KIND,
            "horizon_days": self.horizon_days,
            "labels": self.labels,
            **self.regression.state(),
            "limit": self._limit.state(),
            "most": self.most,
            "all_spent": self._all_spent,
            "tried": self._tried,
            "exp_residuals": self._exp_residuals,
            "pull": self._pull,
            "room": self._room,
            "spent": self._spent,
            "predicted": self._predicted,
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
        for name in ("all_spent", "exp_residuals", "pull", "room", "spent", "predicted"):
            value = float(state[name])
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value!r}")
            setattr(model, f"_{name}", value)
        return model
