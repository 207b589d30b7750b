"""Model cuts for tests: deterministic functions of the features, with nothing to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from streams.core.events import DAY_MS, HOUR_MS
from streams.core.features import NAMES
from streams.core.ports import Contribution, Cut

_RECENCY = NAMES.index("recency_days")
_ORDERS = NAMES.index("orders")
_CLICKS = NAMES.index("clicks_7d")


@dataclass(frozen=True)
class SilenceCut:
    """Silence raises the risk, orders and clicks lower it; each day's cut differs a little from the last."""

    day_ms: int
    cold_start: bool = False

    @property
    def version(self) -> str:
        return f"silence-{self.day_ms // DAY_MS}"

    def probability(self, features: Sequence[float]) -> float:
        drift = (self.day_ms // DAY_MS % 5 - 2) / 10
        logit = 1.2 * features[_RECENCY] - 0.9 * features[_ORDERS] - 0.3 * features[_CLICKS] + drift
        return 1 / (1 + exp(-logit))

    def explained(self, features: Sequence[float], most: int) -> tuple[float, Sequence[Contribution]]:
        return self.probability(features), [(_RECENCY, 1.2 * features[_RECENCY], 1.0), (_ORDERS, 0.1, 1.0)][:most]


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

    def probability(self, features: Sequence[float]) -> float:
        assert self.answer is not None
        return self.answer

    def explained(self, features: Sequence[float], most: int) -> tuple[float, Sequence[Contribution]]:
        return self.probability(features), [(_RECENCY, 0.5, 1.0)][:most]

    def cut_at(self, instant_ms: int) -> tuple[Cut, bool]:
        return self, self.stale
