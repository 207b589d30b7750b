"""Training examples and marks for tests: a synthetic shop with known truth, and the plain loop a trainer must equal."""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from models.churn import BayesianLogistic
from models.head_spec import CHURN, HeadSpec
from models.heads import head_of
from models.snapshots import cut_record
from models.trainer import Trainer

DAY: Final = 86_400_000
HOUR: Final = 3_600_000
START: Final = 15_000 * DAY
FEATURES: Final = ("recency", "frequency", "spend")
HORIZON_DAYS: Final = 30
SPEC: Final = HeadSpec(CHURN, FEATURES, HORIZON_DAYS)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Body = dict[str, Any]


def instant(ms: int) -> str:
    """RFC 3339 with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def trainer_over(partitions: int, *, min_labels: int = 1_000, **parameters: Any) -> Trainer:
    """A trainer of the churn head that has learned nothing."""
    return Trainer(partitions, [head_of(HeadSpec(CHURN, FEATURES, HORIZON_DAYS, min_labels))], **parameters)


def head_state(model: BayesianLogistic, columns: Sequence[str] = FEATURES, **changes: Any) -> dict[str, Any]:
    """The state of a churn head whose champion is a model."""
    head: dict[str, Any] = {
        "horizon_days": HORIZON_DAYS,
        "columns": list(columns),
        "schema": HeadSpec(CHURN, tuple(columns), HORIZON_DAYS).schema,
        "cold_start": False,
        "examples": model.labels,
        "champion": "posterior",
        "models": {"posterior": model.state()},
        "counts": {},
        "scorecard": {},
    }
    return {**head, **changes}


def cut_of(model: BayesianLogistic, columns: Sequence[str] = FEATURES, **changes: Any) -> dict[str, Any]:
    """A cut of a churn head whose champion is a model; changes go to the head, or to the cut where it has the name."""
    fields: dict[str, Any] = {"day_ms": START, "final": False, "next_offset": 17, "resume": {"position": 20}}
    of_cut = {name: changes.pop(name) for name in list(changes) if name in fields}
    return cut_record(**{**fields, **of_cut}, heads={CHURN: head_state(model, columns, **changes)})


def example(
    number: int, label_ms: int, *, partition: int = 0, schema: str, churned: bool | None = None, **changes: Any
) -> Body:
    """One example body; everything about it follows from its number."""
    draw = random.Random(number)
    recency, frequency, spend = draw.expovariate(1 / 20), float(draw.randrange(1, 9)), draw.lognormvariate(3, 1)
    probability = 1 / (1 + math.exp(-(0.1 * recency - 0.5 * frequency)))
    vector = np.array([recency, frequency, spend], dtype="<f4")
    body: Body = {
        "type": "example",
        "id": f"e{number:05d}",
        "user_id": f"u{number}",
        "user_hash": draw.getrandbits(64),
        "as_of": instant(label_ms - HORIZON_DAYS * DAY),
        "label_at": instant(label_ms),
        "churned": int(draw.random() < probability if churned is None else churned),
        "probability": round(draw.random(), 3) if number % 5 else None,
        "model_version": "none",
        "cold_start": number % 5 == 0,
        "stage": draw.choice(["growing", "loyal", "at_risk"]),
        "tier": draw.choice([None, "gold", "bronze"]),
        "partition": partition,
        "features": base64.b64encode(vector.tobytes()).decode() if number % 4 else None,
        "schema": schema,
        "horizon_days": HORIZON_DAYS,
    }
    return {**body, **changes}


def mark(
    watermark: int,
    *,
    partition: int = 0,
    partitions: int = 1,
    drained: bool = False,
    clock: str = "log",
    until: int | None = None,
) -> Body:
    """One mark body."""
    return {
        "type": "mark",
        "partition": partition,
        "partitions": partitions,
        "watermark": watermark,
        "drained": drained,
        "clock": clock,
        "until": until,
    }


def label_time(body: Body) -> int:
    """``label_at`` in ms."""
    return (datetime.fromisoformat(body["label_at"]) - _EPOCH) // timedelta(milliseconds=1)


def plain_loop(bodies: Iterable[Body], through_ms: int, features: Sequence[str] = FEATURES) -> BayesianLogistic:
    """The oracle: drop repeated ids, sort everything, learn one by one."""
    unique = {body["id"]: body for body in bodies}
    model = BayesianLogistic(features)
    for body in sorted(unique.values(), key=lambda b: (label_time(b), b["user_hash"], b["id"])):
        if label_time(body) <= through_ms and body["features"] is not None:
            vector = np.frombuffer(base64.b64decode(body["features"]), dtype="<f4")
            model.learn_vector(vector, bool(body["churned"]))
    return model
