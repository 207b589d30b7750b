"""Records of the ``training-examples`` topic: examples and marks, decoded and checked."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import TrainingRecordError
from models.marks import Mark, checked

FORMAT: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class TrainingExample(NamedTuple):
    """A scheduled score whose label is known."""

    id: str
    user_hash: int
    partition: int
    as_of_ms: int
    label_ms: int
    churned: bool
    probability: float | None
    """As served; None if the score was cold."""
    stage: str
    tier: str | None
    features: npt.NDArray[np.float32] | None
    """None for the three in four that serve the scorecard only."""
    schema: str
    horizon_days: int


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
        if body["churned"] not in (0, 1):
            raise ValueError(f"churned is {body['churned']!r}")
        return TrainingExample(
            id=str(body["id"]),
            user_hash=int(body["user_hash"]),
            partition=_partition(body, partitions),
            as_of_ms=_instant(body["as_of"]),
            label_ms=_instant(body["label_at"]),
            churned=bool(body["churned"]),
            probability=None if probability is None else float(probability),
            stage=str(body["stage"]),
            tier=None if body["tier"] is None else str(body["tier"]),
            features=features,
            schema=str(body["schema"]),
            horizon_days=int(body["horizon_days"]),
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
        mark = Mark(int(body["watermark"]), bool(body["drained"]), clock == "log", ends)
        return _partition(body, partitions), checked(mark)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise _unreadable("mark", offset, error) from error


def _refuse_newer(body: Mapping[str, Any]) -> None:
    """Records of format 1 name none; a later one must, so that an older trainer does not take it for its own."""
    if (stored := body.get("format", FORMAT)) != FORMAT:
        raise ValueError(f"it has format {stored!r}, and this Ebbtide reads format {FORMAT}")


def _partition(body: Mapping[str, Any], partitions: int) -> int:
    partition = int(body["partition"])
    if not 0 <= partition < partitions:
        raise ValueError(f"partition {partition} is not below {partitions}")
    return partition


def _instant(text: str) -> int:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return (at - _EPOCH) // _MILLISECOND


def _unreadable(kind: str, offset: int, error: Exception) -> TrainingRecordError:
    reason = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
    return TrainingRecordError(
        f"The {kind} at training-examples offset {offset} cannot be read: {reason}.",
        "Check that workers and trainer run the same Ebbtide over the same topics.",
    )
