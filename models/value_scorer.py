"""A frozen value model: expected spend, expected purchases over a year, and what is likely to be given back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from models.linear_posterior import CLIP
from models.linear_terms import LinearTerms
from models.money_scale import ServedScale
from models.returning import buying_horizons, state_of
from models.value_head import SPEND, ValueModels, value_models

if TYPE_CHECKING:
    from models.head_spec import HeadSpec

_total = np.add.reduce


class ValueScorer:
    """A value head's models, reduced to what a score needs. For one thread at a time.

    Parameters
    ----------
    cold_start
        Whether too little was learned to serve.
    features
        Names, in the order of the vector.
    models
        What was learned.
    """

    __slots__ = (
        "_chances",
        "_horizon_days",
        "_intercept",
        "_mean_spend",
        "_most_log",
        "_recency",
        "_refund_share",
        "_scale",
        "_smearing",
        "_terms",
        "cold_start",
    )

    def __init__(self, cold_start: bool, features: Sequence[str], models: ValueModels) -> None:
        spend, returning, (spent, refunded) = models
        self.cold_start = cold_start
        line = spend.regression
        deviations = line.deviations()
        slopes = np.zeros(len(deviations))
        np.divide(line.weights[:-1], deviations, out=slopes, where=deviations > 0.0)
        self._terms = LinearTerms(line.means.copy(), deviations * CLIP, slopes)
        self._intercept = float(line.weights[-1])
        self._scale = ServedScale(spend.scale)
        self._most_log, self._smearing = math.log1p(spend.most), math.log(spend.smearing)
        self._mean_spend = spend.mean_spend
        self._refund_share = refunded / spent if spent > 0.0 else 0.0
        self._chances = returning.chances()
        self._horizon_days = returning.horizon_days
        self._recency = features.index("recency_days") if "recency_days" in features else -1

    @classmethod
    def from_state(cls, spec: HeadSpec, state: Mapping[str, Any]) -> Self:
        """The serving part of a value head's state, brought over to the catalogue of ``spec``.

        Raises
        ------
        ValueError, KeyError, TypeError
            The models inside do not hold together, or are of a foreign catalogue.
        """
        if state["champion"] != SPEND:
            raise ValueError(f"unknown model {state['champion']!r}")
        return cls(bool(state["cold_start"]), spec.features, value_models(spec, state))

    def spend_if_purchase(self, features: Sequence[float]) -> float:
        """Expected gross spend within the horizon of a customer who buys within it, in currency units.

        Raises
        ------
        ValueError
            The vector has the wrong length, or a value that is not finite.
        """
        mean_log = self._intercept + float(_total(self._terms.of(features)))
        return self._scale.expected(min(mean_log, self._most_log) + self._smearing, features)

    def buying_horizons(self, features: Sequence[float], p_purchase: float, days: int) -> float:
        """Expected number of horizons with a purchase within the coming days.

        Parameters
        ----------
        features
            One feature vector, in catalogue order.
        p_purchase
            Chance of a purchase within the first horizon.
        days
            How far to look.
        """
        if self._recency < 0:
            return p_purchase * days / self._horizon_days
        state = state_of(math.expm1(features[self._recency]), self._horizon_days, len(self._chances))
        return buying_horizons(self._chances, state, p_purchase, self._horizon_days, days)

    def net_share(self, gross: float, refunded: float) -> float:
        """What is kept of money to come (0 to 1), of a customer with this gross spend and refunds so far.

        Their own refunds weigh by what they have spent, the shop's by the mean spend of a horizon with a purchase.
        """
        held = self._mean_spend
        if gross + held <= 0.0:
            return 1.0
        share = (max(refunded, 0.0) + self._refund_share * held) / (max(gross, 0.0) + held)
        return 1.0 - min(share, 1.0)
