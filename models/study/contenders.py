"""What competes in a study: anything that learns from vectors, and River's classifiers made to do so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from river import base, compose

Vector = npt.NDArray[np.float64]


class Contender(Protocol):
    """An online classifier over a fixed feature vector."""

    def learn_vector(self, vector: Vector, outcome: bool) -> None:
        """Learn one outcome."""

    def probability(self, vector: Vector) -> float:
        """Probability that the outcome will be true."""


@runtime_checkable
class ScoresMany(Protocol):
    """A contender that scores a whole matrix faster than row by row."""

    def probabilities(self, matrix: Vector) -> Vector:
        """One probability per row."""


@runtime_checkable
class LearnsFromServed(Protocol):
    """A contender that also learns from how its own scores turned out: calibration, mixtures.

    Its memory of a score is made when the score is served and comes back with the label, a horizon later.
    """

    def serve(self, vector: Vector) -> tuple[float, Any]:
        """The probability, and what to remember of how it came about."""

    def turned_out(self, memory: Any, outcome: bool) -> None:
        """What became of a score."""


class OnDicts:
    """A River classifier behind vectors: each is made into a dict by name, as River takes it.

    Parameters
    ----------
    features
        Names, in the order of the vectors.
    classifier
        Any of River's, or a pipeline that ends in one.
    """

    def __init__(self, features: Sequence[str], classifier: base.Classifier | compose.Pipeline) -> None:
        self.features = tuple(features)
        self.classifier = classifier

    def learn_vector(self, vector: Vector, outcome: bool) -> None:
        """``learn_one`` of the classifier."""
        self.classifier.learn_one(dict(zip(self.features, vector.tolist(), strict=True)), outcome)

    def probability(self, vector: Vector) -> float:
        """``predict_proba_one`` of the classifier; one half where it does not say."""
        said = self.classifier.predict_proba_one(dict(zip(self.features, vector.tolist(), strict=True)))
        if True in said:
            return float(said[True])
        return 1.0 - float(said[False]) if False in said else 0.5


def bytes_of(thing: Any) -> int:
    """Memory that an object holds, with all it refers to, each counted once; arrays by their buffers.

    >>> bytes_of([1.5, 1.5]) > bytes_of([])
    True
    """
    seen: set[int] = set()
    waiting, total = [thing], 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, np.ndarray):
            if one.base is not None:
                waiting.append(one.base)
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)) or type(one).__name__ == "deque":
            waiting += one
        elif not isinstance(one, (str, bytes, int, float, bool)) and type(one).__name__ not in {"module", "function"}:
            waiting += list(getattr(one, "__dict__", {}).values())
            for slots in (getattr(kind, "__slots__", ()) for kind in type(one).__mro__):
                names = (slots,) if isinstance(slots, str) else slots
                waiting += [getattr(one, name) for name in names if hasattr(one, name)]
    return total
