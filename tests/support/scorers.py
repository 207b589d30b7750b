"""Model cuts for tests: deterministic functions of the features, with nothing to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from streams.core import propensity_features
from streams.core.events import DAY_MS, HOUR_MS
from streams.core.features import NAMES
from streams.core.ports import Cut, Explanation

_RECENCY = NAMES.index("recency_days")
_ORDERS = NAMES.index("orders")
_CLICKS = NAMES.index("clicks_7d")
_QUIET = propensity_features.NAMES.index("silence_hours")
_CARTS = propensity_features.NAMES.index("carts_open")


def _by_group(terms: list[float], groups: Sequence[int]) -> list[float]:
    sums = [0.0] * (max(groups) + 1)
    for term, group in zip(terms, groups, strict=True):
        sums[group] += term
    return sums


@dataclass(frozen=True)
class CartScorer:
    """An open cart raises the propensity, silence lowers it."""

    cold_start: bool

    def probability(self, features: Sequence[float]) -> float:
        assert not self.cold_start
        return 1 / (1 + exp(0.4 * features[_QUIET] - 0.8 * features[_CARTS]))


@dataclass(frozen=True)
class SteadySpender:
    """Whoever buys spends 10 for each order so far (as log1p), in every horizon as likely, and keeps nine tenths."""

    cold_start: bool

    def spend_if_purchase(self, features: Sequence[float]) -> float:
        return 10.0 * features[_ORDERS]

    def buying_horizons(self, features: Sequence[float], p_purchase: float, days: int) -> float:
        return p_purchase * days / 30

    def net_share(self, gross: float, refunded: float) -> float:
        return 0.9


@dataclass(frozen=True)
class SilenceCut:
    """Silence raises the risk, orders and clicks lower it; each day's cut differs a little from the last."""

    day_ms: int
    cold_start: bool = False

    @property
    def _drift(self) -> float:
        return (self.day_ms // DAY_MS % 5 - 2) / 10

    @property
    def version(self) -> str:
        return f"silence-{self.day_ms // DAY_MS}"

    @property
    def propensity(self) -> CartScorer:
        return CartScorer(self.cold_start)

    @property
    def spend(self) -> SteadySpender:
        return SteadySpender(self.cold_start)

    def probability(self, features: Sequence[float]) -> float:
        logit = 1.2 * features[_RECENCY] - 0.9 * features[_ORDERS] - 0.3 * features[_CLICKS] + self._drift
        return 1 / (1 + exp(-logit))

    def explained(self, features: Sequence[float], groups: Sequence[int]) -> Explanation:
        terms = [0.0] * len(features)
        terms[_RECENCY], terms[_ORDERS] = 1.2 * features[_RECENCY], -0.9 * features[_ORDERS]
        terms[_CLICKS] = -0.3 * features[_CLICKS]
        return self.probability(features), self._drift, _by_group(terms, groups), [0.0] * len(features)


@dataclass(frozen=True)
class DailyCuts:
    """A cut for every day, never stale; cold before ``warm_from``."""

    warm_from: int = 0

    def cut_at(self, instant_ms: int) -> tuple[Cut, bool]:
        day_ms = (instant_ms - HOUR_MS) // DAY_MS * DAY_MS
        return SilenceCut(day_ms, cold_start=day_ms < self.warm_from), False


@dataclass(frozen=True)
class FixedScorer:
    """One cut that always says the same; a probability of None is a cold start."""

    answer: float | None
    stale: bool = False
    day_ms: int = 0
    version: str = "fixed"

    @property
    def cold_start(self) -> bool:
        return self.answer is None

    @property
    def propensity(self) -> CartScorer:
        return CartScorer(self.cold_start)

    @property
    def spend(self) -> SteadySpender:
        return SteadySpender(self.cold_start)

    def probability(self, features: Sequence[float]) -> float:
        assert self.answer is not None
        return self.answer

    def explained(self, features: Sequence[float], groups: Sequence[int]) -> Explanation:
        probability = self.probability(features)
        terms = [0.0] * len(features)
        terms[_RECENCY] = 0.5
        held = min(max(probability, 1e-12), 1 - 1e-12)
        base = log(held / (1 - held)) - 0.5
        return probability, base, _by_group(terms, groups), [1.0] * len(features)

    def cut_at(self, instant_ms: int) -> tuple[Cut, bool]:
        return self, self.stale
