"""What predictions cost: time per example learned and per score served, and bytes kept."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from models.churn import BayesianLogistic
from streams.core.features import NAMES, packed
from streams.model_records import CATALOGUE_SCHEMA

MOST_EXAMPLES: Final = 20_000
RUNS: Final = 3


class Costs(NamedTuple):
    """µs of one core per example and score (the best of three runs), bytes of a model and of a waiting observation."""

    example_us: float
    score_us: float
    model_bytes: int
    observation_bytes: int


def examples_of(folder: Path) -> Iterator[tuple[list[float], bool]]:
    """Feature vectors and outcomes of a finished run's churn examples."""
    with (folder / "training-examples.jsonl").open("rb") as lines:
        for line in lines:
            body = json.loads(line)
            if body.get("type") == "example" and body["features"] is not None and body["schema"] == CATALOGUE_SCHEMA:
                yield np.frombuffer(base64.b64decode(body["features"]), dtype="<f4").tolist(), bool(body["churned"])


def costs_of(folder: Path) -> Costs:
    """Learn a run's examples again, the first 20,000, and time it.

    Raises
    ------
    ValueError
        The run left no example.
    """
    rows = [one for one, _ in zip(examples_of(folder), range(MOST_EXAMPLES), strict=False)]
    if not rows:
        raise ValueError(f"{folder} holds no training example of this catalogue")
    model = BayesianLogistic(NAMES)

    def learn() -> None:
        fresh = BayesianLogistic(NAMES)
        for vector, churned in rows:
            fresh.learn_vector(vector, churned)

    def serve() -> None:
        for vector, _ in rows:
            model.probability(vector)

    for vector, churned in rows:
        model.learn_vector(vector, churned)
    return Costs(
        _best(learn) / len(rows) * 1e6,
        _best(serve) / len(rows) * 1e6,
        len(json.dumps(model.state(), separators=(",", ":"))),
        len(packed(rows[0][0])),
    )


def _best(work: Callable[[], None]) -> float:
    taken = []
    for _ in range(RUNS):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)
