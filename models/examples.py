"""Records of the ``training-examples`` topic: examples and marks, decoded and checked."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.accounts import Tally
from models.errors import TrainingRecordError
from models.instants import instant_of
from models.marks import Mark, checked

FORMAT: Final = 2
"""Format 1 had one head, and named no format."""
CHURN: Final = "churn"
"""The head of examples that name none: those of format 1."""


class TrainingExample(NamedTuple):
    """A score whose label is known."""

    id: str
    user_hash: int
    partition: int
    as_of_ms: int
    label_ms: int
    outcome: bool
    """What the head asks for: churned, or bought."""
    probability: float | None
    """As served; None if the score was cold."""
    stage: str
    tier: str | None
    features: npt.NDArray[np.float32] | None
    """None for the three in four that serve the scorecard only."""
    schema: str
    horizon_days: int
    head: str = "churn"
    spend: float | None = None
    """Gross, in the shop's currency, within the horizon; None where it was not noted."""
    spaced: bool = False
    """Whether models are compared on it: no two of a user within one horizon. Format 1 did not say."""

    @property
    def churned(self) -> bool:
        """The outcome, where the head is that of churn."""
        return self.outcome


class Rollback(NamedTuple):
    """Somebody asks for the models of an earlier cut."""

    id: str
    version: str
    heads: Mapping[str, Mapping[str, Any]]
    """The heads of that cut, as it holds them."""
    by: str


def decode_example(body: Mapping[str, Any], offset: int, partitions: int) -> TrainingExample:
    """An example from its record.

    Raises
    ------
    TrainingRecordError
        If a field is missing or of the wrong type; names it and the offset.
    """
    try:
        _refuse_newer(body)
        packed = body["features"]
        features = None
        if packed is not None:
            features = np.frombuffer(base64.b64decode(packed, validate=True), dtype="<f4")
            if not np.isfinite(features).all():
                raise ValueError("a feature is not finite")
        probability = body["probability"]
        if probability is not None and not 0.0 <= probability <= 1.0:
            raise ValueError(f"probability {probability!r} is not within 0 and 1")
        head = str(body.get("head", CHURN))
        label = "churned" if head == CHURN else "bought"
        if body[label] not in (0, 1):
            raise ValueError(f"{label} is {body[label]!r}")
        spend = body.get("spend")
        if spend is not None and not 0.0 <= spend < math.inf:
            raise ValueError(f"spend {spend!r} is no amount")
        return TrainingExample(
            id=str(body["id"]),
            user_hash=int(body["user_hash"]),
            partition=_partition(body, partitions),
            as_of_ms=instant_of(body["as_of"]),
            label_ms=instant_of(body["label_at"]),
            outcome=bool(body[label]),
            probability=None if probability is None else float(probability),
            stage=str(body["stage"]),
            tier=None if body["tier"] is None else str(body["tier"]),
            features=features,
            schema=str(body["schema"]),
            horizon_days=int(body["horizon_days"]),
            head=head,
            spend=None if spend is None else float(spend),
            spaced=bool(body.get("spaced", False)),
        )
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise _unreadable("example", offset, error) from error


def decode_mark(body: Mapping[str, Any], offset: int, partitions: int) -> tuple[int, Mark]:
    """A partition and its mark from their record.

    Raises
    ------
    TrainingRecordError
        If a field is missing or of the wrong type, or the mark speaks of another number of partitions.
    """
    try:
        _refuse_newer(body)
        if body["partitions"] != partitions:
            raise ValueError(f"it counts {body['partitions']!r} partitions, and the trainer {partitions}")
        clock, until = body["clock"], body["until"]
        if clock not in ("wall", "log"):
            raise ValueError(f"unknown clock {clock!r}")
        ends = None if until is None else int(until)
        tally = Tally.decode(body.get("tally"))
        mark = Mark(int(body["watermark"]), bool(body["drained"]), clock == "log", ends, tally)
        return _partition(body, partitions), checked(mark)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise _unreadable("mark", offset, error) from error


def decode_rollback(body: Mapping[str, Any], offset: int) -> Rollback:
    """What a rollback asks for, from its record.

    Raises
    ------
    TrainingRecordError
        If a field is missing or of the wrong type.
    """
    try:
        _refuse_newer(body)
        heads = body["heads"]
        if not isinstance(heads, dict) or not all(isinstance(state, dict) for state in heads.values()):
            raise ValueError("heads is no object of objects")
        return Rollback(str(body["id"]), str(body["version"]), heads, str(body["by"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("rollback", offset, error) from error


def _refuse_newer(body: Mapping[str, Any]) -> None:
    """Records of format 1 name none; a later one must, so that an older trainer does not take it for its own."""
    stored = body.get("format", 1)
    if not isinstance(stored, int) or not 1 <= stored <= FORMAT:
        raise ValueError(f"it has format {stored!r}, and this Ebbtide reads up to format {FORMAT}")


def _partition(body: Mapping[str, Any], partitions: int) -> int:
    partition = int(body["partition"])
    if not 0 <= partition < partitions:
        raise ValueError(f"partition {partition} is not below {partitions}")
    return partition


def _unreadable(kind: str, offset: int, error: Exception) -> TrainingRecordError:
    reason = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
    return TrainingRecordError(
        f"The {kind} at training-examples offset {offset} cannot be read: {reason}.",
        "Check that workers and trainer run the same Ebbtide over the same topics.",
    )
