"""What is inside a cut, and what differs between two, in figures a person can read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from models.packing import unpack
from models.schema import name_of


class Weight(NamedTuple):
    """What a served model makes of one feature."""

    feature: str
    weight: float
    """Logits per standard deviation of the feature."""
    spread: float
    """Posterior standard deviation of the weight; 0 where the model keeps none."""
    mean: float
    """Of the feature over all examples, as the feature vector has it."""


class WeightMove(NamedTuple):
    """One feature in two cuts; None where a cut does not have it."""

    feature: str
    before: float | None
    after: float | None

    @property
    def by(self) -> float:
        """Logits per standard deviation; a feature that is not there weighs nothing."""
        return (self.after or 0.0) - (self.before or 0.0)


class HeadDifference(NamedTuple):
    """One head in two cuts."""

    head: str
    champion: tuple[str | None, str | None]
    examples: tuple[int, int]
    moves: list[WeightMove]
    """Of the serving models' weights, the largest first."""


def weights_of(head: Mapping[str, Any]) -> list[Weight]:
    """The weights of a head's champion, the heaviest first; [] where it has none.

    Parameters
    ----------
    head
        A head of a cut.
    """
    model = head["models"][head["champion"]]
    if "weights" not in model:
        return []
    columns = zip(head["columns"], model["weights"], _spreads(model), model["means"], strict=False)
    found = [Weight(name_of(name), float(weight), spread, float(mean)) for name, weight, spread, mean in columns]
    return sorted(found, key=lambda one: (-abs(one.weight), one.feature))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[HeadDifference]:
    """What two cuts differ in, head by head.

    Examples
    --------
    >>> head = {"champion": "a", "examples": 1, "columns": ["x"]}
    >>> first = {**head, "models": {"a": {"weights": [1.0, 0.0], "means": [0.0]}}}
    >>> later = {**head, "models": {"a": {"weights": [3.0, 0.0], "means": [0.0]}}}
    >>> [difference] = differences({"heads": {"churn": first}}, {"heads": {"churn": later}})
    >>> difference.moves[0].by
    2.0
    """
    found = []
    for name in sorted({*before["heads"], *after["heads"]}):
        old, new = before["heads"].get(name), after["heads"].get(name)
        weighed = [{one.feature: one.weight for one in weights_of(head)} if head else {} for head in (old, new)]
        features = {**weighed[0], **weighed[1]}
        moves = [WeightMove(feature, weighed[0].get(feature), weighed[1].get(feature)) for feature in features]
        found.append(
            HeadDifference(
                name,
                (old and old["champion"], new and new["champion"]),
                (old["examples"] if old else 0, new["examples"] if new else 0),
                sorted(moves, key=lambda move: (-abs(move.by), move.feature)),
            )
        )
    return found


def _spreads(model: Mapping[str, Any]) -> list[float]:
    """Square roots of the covariance's diagonal."""
    size = len(model["weights"])
    if "covariance" not in model:
        return [0.0] * size
    return [math.sqrt(max(float(value), 0.0)) for value in unpack(model["covariance"], size).diagonal()]
