"""Between the engine and the models: settings of the trainer, and the records the two exchange.

``streams.core`` and ``models`` do not know each other; this is where one's words become the other's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.trainer import Trainer
from streams.core.features import SCHEMA
from streams.core.messages import example_body
from streams.core.ports import Example


def schema_hash_of_catalogue() -> str:
    """The hash that examples, cuts and scorers must agree on."""
    from models.snapshots import schema_hash

    return schema_hash(SCHEMA)


def new_trainer(partitions: int, horizon_days: int) -> Trainer:
    """A trainer for the catalogue's features."""
    return Trainer(partitions, SCHEMA, horizon_days)


def example_bodies(
    examples: Iterable[Example], partition: int, schema: str, horizon_days: int
) -> list[dict[str, Any]]:
    """The ``training-examples`` bodies of a step."""
    return [example_body(example, partition, schema, horizon_days) for example in examples]
