"""The seam between a head and what learns in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy.typing as npt

from models.churn import BayesianLogistic


class Learner(Protocol):
    """An online classifier over a fixed feature vector. The same examples in the same order give the same bits."""

    @property
    def features(self) -> Sequence[str]:
        """Names, in the order of the vector."""

    @property
    def labels(self) -> int:
        """How many outcomes were learned."""

    @property
    def positives(self) -> int:
        """How many of them were true."""

    def learn_vector(self, vector: npt.ArrayLike, outcome: bool) -> None:
        """Learn one outcome."""

    def probability(self, vector: npt.ArrayLike) -> float:
        """Probability that the outcome will be true."""

    def widen(self, factor: float) -> None:
        """Trust what was learned less: variances grow by ``factor`` (above 1), though never beyond the prior."""

    def state(self) -> dict[str, Any]:
        """Everything learned, JSON-ready, with its ``kind``."""


Factory = Callable[[Sequence[str]], Learner]
"""Makes a learner that has learned nothing, for these features."""

KINDS: Final[Mapping[str, Callable[[Sequence[str], Mapping[str, Any]], Learner]]] = {
    "bayesian_logistic": BayesianLogistic.from_state,
}
"""What reads a learner back from its state, by its kind."""


def learner_of(features: Sequence[str], state: Mapping[str, Any]) -> Learner:
    """The learner that a state was taken of, to the bit.

    Raises
    ------
    ValueError, KeyError, TypeError
        On a state of an unknown kind, or one that does not hold together.
    """
    kind = state["kind"]
    if kind not in KINDS:
        raise ValueError(f"unknown model {kind!r}")
    return KINDS[kind](features, state)
