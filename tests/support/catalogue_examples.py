"""Training examples with vectors of the engine's own catalogue."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from streams.core.features import SCHEMA
from streams.model_records import CATALOGUE_SCHEMA
from tests.support.training_logs import Body, example


def catalogue_example(number: int, label_ms: int, **changes: Any) -> Body:
    """One example with features; everything about it follows from its number."""
    vector = np.random.default_rng(number).normal(size=len(SCHEMA)).astype("<f4")
    features = base64.b64encode(vector.tobytes()).decode()
    return example(number, label_ms, schema=CATALOGUE_SCHEMA, features=features, **changes)
