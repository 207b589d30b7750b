"""The value head: what customers spend, how they go on, what they give back; learned from the churn head's examples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from models.returning import Returning
from models.schema import moved
from models.spend import SpendModel

if TYPE_CHECKING:
    from models.examples import TrainingExample
    from models.head_spec import Event, HeadSpec

SPEND: Final = "spend"
"""Name of the one model that serves."""
_RECENCY: Final = "recency_days"
_REFUND_SHARE: Final = "refund_share"


class ValueModels(NamedTuple):
    """What the head has learned."""

    spend: SpendModel
    returning: Returning
    money: tuple[float, float]
    """Gross spend of who came back, and how much of it customers like them give back, in currency units."""


class ValueHead:
    """How much, where the churn head asks whether: it learns from the same examples, of which it needs ``spend``.

    There is nobody to compete with and no probability to keep score of: money as served is held against what came by
    ``python -m tests.quality.value``.

    Parameters
    ----------
    spec
        What is asked; ``source`` is the churn head.
    models
        What was learned; by default nothing.
    """

    def __init__(self, spec: HeadSpec, models: ValueModels | None = None) -> None:
        self.spec = spec
        self.models = (
            ValueModels(SpendModel(spec.features, spec.horizon_days), Returning(spec.horizon_days), (0.0, 0.0))
            if models is None
            else models
        )
        self.counts: Counter[str] = Counter()
        """Empty: the churn head counts what becomes of these examples."""
        features = spec.features
        self._recency = features.index(_RECENCY) if _RECENCY in features else -1
        self._refund_share = features.index(_REFUND_SHARE) if _REFUND_SHARE in features else -1

    @property
    def learned(self) -> int:
        """Labels learned, ever: customers who came back."""
        return self.models.spend.labels

    @property
    def cold_start(self) -> bool:
        """True until a quarter of ``min_labels`` customers came back, whose spend is known."""
        return self.learned < self.spec.min_labels // 4

    def take(self, example: TrainingExample) -> list[Event]:
        """Learn from an example that has features and says what was spent."""
        vector = example.features
        if vector is None or example.spend is None or example.schema != self.spec.schema:
            return []
        spend, returning, (spent, refunded) = self.models
        bought = not example.outcome
        if self._recency >= 0:
            returning.observe(math.expm1(float(vector[self._recency])), bought)
        if bought:
            spend.learn_vector(vector, example.spend)
            share = float(vector[self._refund_share]) if self._refund_share >= 0 else 0.0
            self.models = ValueModels(spend, returning, (spent + example.spend, refunded + example.spend * share))
        return []

    def close_day(self, day_ms: int) -> list[Event]:
        """Nothing happens at the end of a day."""
        return []

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, JSON-ready."""
        spend, returning, money = self.models
        return {
            "horizon_days": self.spec.horizon_days,
            "columns": list(self.spec.columns),
            "schema": self.spec.schema,
            "cold_start": self.cold_start,
            "examples": self.learned,
            "champion": SPEND,
            "models": {SPEND: spend.state(), "returning": returning.state(), "money": list(money)},
            "counts": {},
        }

    @classmethod
    def from_state(cls, spec: HeadSpec, state: Mapping[str, Any]) -> Self:
        """The head that :meth:`state` was taken of; brought over, if that was made on another catalogue.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together, or of a foreign catalogue.
        """
        return cls(spec, value_models(spec, state))

    def models_of(self, state: Mapping[str, Any]) -> ValueModels:
        """The models of an earlier state.

        Raises
        ------
        ValueError, KeyError, TypeError
            As :meth:`from_state`.
        """
        return value_models(self.spec, state)

    def go_back(self, models: ValueModels) -> None:
        """Put earlier models in the place of today's."""
        self.models = models


def value_models(spec: HeadSpec, state: Mapping[str, Any]) -> ValueModels:
    """The models in the state of a value head, for the catalogue of ``spec``.

    Raises
    ------
    ValueError, KeyError, TypeError
        As :meth:`ValueHead.from_state`.
    """
    stored = state["models"]
    spend = SpendModel.from_state(
        spec.features, moved(stored[SPEND], [str(column) for column in state["columns"]], spec.columns)
    )
    returning = Returning.from_state(stored["returning"])
    if not spend.horizon_days == returning.horizon_days == spec.horizon_days:
        raise ValueError(f"it looks ahead {spend.horizon_days} d and {returning.horizon_days} d")
    spent, refunded = (float(value) for value in stored["money"])
    if not (0.0 <= refunded <= spent < math.inf):
        raise ValueError(f"{refunded!r} of {spent!r} was given back")
    return ValueModels(spend, returning, (spent, refunded))
