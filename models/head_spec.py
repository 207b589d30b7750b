"""What a head asks, and of what; and what a trainer asks of any head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

from models.churn import BayesianLogistic
from models.examples import TrainingExample
from models.learner import Factory
from models.schema import names_of, schema_hash

CHURN: Final = "churn"
PROPENSITY: Final = "propensity"
VALUE: Final = "value"

Event = dict[str, Any]
"""Something that happened to a model, as ``model-events`` tells it."""


@dataclass(frozen=True)
class HeadSpec:
    """What a head asks, and of what.

    Parameters
    ----------
    name
        ``churn``, ``propensity`` or ``value``.
    columns
        The feature catalogue: one string per feature, ``name`` or ``name:unit:transform``, in the order of vectors.
    horizon_days
        Days that a label looks ahead; examples of another horizon are left out.
    min_labels
        Learned labels below which, or while all are of one class, nothing is served.
    candidates
        What learns side by side, by name; the first is the champion of the beginning.
    source
        The head whose examples it learns from; by default its own.
    families
        Family of a feature, by name: what drift is told by; by default each is its own.
    """

    name: str
    columns: tuple[str, ...]
    horizon_days: int
    min_labels: int = 1_000
    candidates: Mapping[str, Factory] = field(default_factory=lambda: {"posterior": BayesianLogistic})
    source: str = ""
    families: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return names_of(self.columns)

    @cached_property
    def schema(self) -> str:
        """Hash of the catalogue: what examples are matched by."""
        return schema_hash(self.columns)

    @property
    def listens_to(self) -> str:
        """The head whose examples it learns from."""
        return self.source or self.name


class AnyHead(Protocol):
    """What the trainer asks of a head, whatever it predicts."""

    @property
    def spec(self) -> HeadSpec:
        """What it asks, and of what."""

    @property
    def learned(self) -> int:
        """Labels learned, ever."""

    @property
    def cold_start(self) -> bool:
        """Whether too little was learned to serve."""

    @property
    def counts(self) -> Counter[str]:
        """What became of the examples it heard: ``learned``, ``unlearned``, ``foreign_schema``."""

    def take(self, example: TrainingExample) -> list[Event]:
        """Test on an example, then learn from it; what happened to the models comes back."""

    def close_day(self, day_ms: int) -> list[Event]:
        """A cut is about to be made at the end of a day."""

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, JSON-ready: see :func:`head_from_state`."""

    def models_of(self, state: Mapping[str, Any]) -> Any:
        """The models of an earlier :meth:`state`, read and checked, for :meth:`go_back`."""

    def go_back(self, models: Any) -> None:
        """Put earlier models in the place of today's; the scorecard, which is of what was served, stays."""
