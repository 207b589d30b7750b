"""Between the engine and the models: which features a trainer learns from and a scorer serves.

``streams.core`` and ``models`` do not know each other; this is where one's catalogue becomes the other's schema.
"""

from __future__ import annotations

from typing import Final

from models.serving import Cuts
from models.snapshots import schema_hash
from models.trainer import Trainer
from streams.core.features import NAMES, SCHEMA

CATALOGUE_SCHEMA: Final = schema_hash(SCHEMA)
"""What examples, cuts and scorers must agree on: names, units and transforms of the features, in order."""


def new_trainer(partitions: int, horizon_days: int) -> Trainer:
    """A trainer that has learned nothing, for the catalogue's features."""
    return Trainer(partitions, NAMES, horizon_days, schema=CATALOGUE_SCHEMA)


def new_cuts(horizon_days: int) -> Cuts:
    """An empty container of cuts that refuses those of other features or another horizon."""
    return Cuts(CATALOGUE_SCHEMA, horizon_days)
