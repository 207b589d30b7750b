"""First and second moments of features by family, a block of labels at a time, against a reference that was learned.

A block's mean of each feature is told in standard errors from the reference's mean, its second moment about that mean
in standard errors of a Gaussian's; what a family tells is the average over its features. So one value is of the order
of 1 whatever the units, and a drift detector costs per block and family, not per label and feature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from models.packing import Vector, pack, unpacked

BLOCK: Final = 64
"""Labels summed up into one value."""
REFERENCE_BLOCKS: Final = 16
"""Blocks that a family's reference is learned from, at the beginning and after each alarm: 1,024 labels."""
_BOUND: Final = 6.0
"""Standard errors that a feature's value of one block is held within: one wild value is no drift."""
_LEAST_VARIANCE: Final = 1e-9
_RECENT: Final = 0.125
"""Weight of the newest block in what is told of single features: about the last 500 labels."""
_MOST_NAMED: Final = 3


class Moved(NamedTuple):
    """A feature of a family that drifted."""

    feature: str
    before: float
    """Its mean over the reference, in the units of the vector."""
    after: float
    """Its mean of late, over about 500 labels."""


class FamilyMoments(NamedTuple):
    """What one block says of a family, both in standard errors: about 0 ± 1 while nothing drifts."""

    mean: float
    spread: float


class FeatureMoments:
    """Sums up vectors, and tells each full block by family.

    Parameters
    ----------
    families
        The family of each feature, by name, in the order of the vectors.

    Examples
    --------
    >>> moments = FeatureMoments({"recency_days": "recency"})
    >>> told = [moments.add(np.array([float(label % 8)])) for label in range(BLOCK * (REFERENCE_BLOCKS + 1))]
    >>> told[-1]["recency"].mean, sum(1 for block in told if block)
    (0.0, 1)
    """

    def __init__(self, families: Mapping[str, str]) -> None:
        self._names = tuple(families)
        size = len(self._names)
        self._columns: dict[str, list[int]] = {}
        for column, family in enumerate(families.values()):
            self._columns.setdefault(family, []).append(column)
        self._in_block = 0
        self._sums: Vector = np.zeros(size)
        self._squares: Vector = np.zeros(size)
        self._square: Vector = np.empty(size)
        self._reference_sums: Vector = np.zeros(size)
        self._reference_squares: Vector = np.zeros(size)
        self._reference_blocks = dict.fromkeys(self._columns, 0)
        self._recent: Vector = np.zeros(size)
        """Of each feature, the weighted mean of its latest blocks, in standard errors of a block."""

    @property
    def families(self) -> tuple[str, ...]:
        """Their names, in the order of the catalogue."""
        return tuple(self._columns)

    def add(self, vector: Vector) -> dict[str, FamilyMoments]:
        """Take in one vector; once a block is full, what it says of each family whose reference stands."""
        self._sums += vector
        np.multiply(vector, vector, out=self._square)
        self._squares += self._square
        self._in_block += 1
        if self._in_block < BLOCK:
            return {}
        told = self._closed()
        self._in_block = 0
        self._sums[:] = 0.0
        self._squares[:] = 0.0
        return told

    def moved(self, family: str) -> tuple[Moved, ...]:
        """The features of a family that lie farthest from their reference of late, farthest first."""
        mean, variance = self._reference()
        columns = sorted(self._columns[family], key=lambda column: (-abs(self._recent[column]), column))
        return tuple(
            Moved(
                self._names[column],
                float(mean[column]),
                float(mean[column] + self._recent[column] * math.sqrt(variance[column] / BLOCK)),
            )
            for column in columns[:_MOST_NAMED]
        )

    def restart(self, family: str) -> None:
        """Learn a family's reference anew: what it was drifted away."""
        columns = self._columns[family]
        self._reference_blocks[family] = 0
        for values in (self._reference_sums, self._reference_squares, self._recent):
            values[columns] = 0.0

    def state(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {
            "in_block": self._in_block,
            "reference_blocks": list(self._reference_blocks.values()),
            "values": {name: pack(values) for name, values in self._vectors().items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Stand where :meth:`state` was taken, of the same families.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        in_block = int(state["in_block"])
        blocks = [int(count) for count in state["reference_blocks"]]
        if not 0 <= in_block < BLOCK or len(blocks) != len(self._columns):
            raise ValueError("a block or the references of the feature moments do not fit")
        if any(not 0 <= count <= REFERENCE_BLOCKS for count in blocks):
            raise ValueError(f"a reference is of at most {REFERENCE_BLOCKS} blocks")
        self._in_block = in_block
        self._reference_blocks = dict(zip(self._columns, blocks, strict=True))
        for name, values in self._vectors().items():
            values[:] = unpacked(state["values"][name], len(self._names))

    def _vectors(self) -> dict[str, Vector]:
        return {
            "sums": self._sums,
            "squares": self._squares,
            "reference_sums": self._reference_sums,
            "reference_squares": self._reference_squares,
            "recent": self._recent,
        }

    def _reference(self) -> tuple[Vector, Vector]:
        """Mean and variance of each feature; of those without a reference, nothing to go by."""
        labels = float(BLOCK * REFERENCE_BLOCKS)
        mean = self._reference_sums / labels
        variance = self._reference_squares / labels - mean * mean
        return mean, np.maximum(variance, _LEAST_VARIANCE)

    def _closed(self) -> dict[str, FamilyMoments]:
        mean, variance = self._reference()
        off = self._sums / BLOCK - mean
        about = self._squares / BLOCK - mean * (self._sums / BLOCK + off)
        first = _bounded(off / np.sqrt(variance) * math.sqrt(BLOCK))
        second = _bounded((about / variance - 1.0) * math.sqrt(BLOCK / 2.0))
        told: dict[str, FamilyMoments] = {}
        for family, columns in self._columns.items():
            if self._reference_blocks[family] == REFERENCE_BLOCKS:
                self._recent[columns] += _RECENT * (first[columns] - self._recent[columns])
                told[family] = FamilyMoments(
                    float(np.add.reduce(first[columns])) / len(columns),
                    float(np.add.reduce(second[columns])) / len(columns),
                )
            else:
                self._reference_sums[columns] += self._sums[columns]
                self._reference_squares[columns] += self._squares[columns]
                self._reference_blocks[family] += 1
        return told


def _bounded(values: Vector) -> Vector:
    return np.minimum(np.maximum(values, -_BOUND), _BOUND)


def families_of(names: Sequence[str], families: Mapping[str, str] | None) -> dict[str, str]:
    """The family of each feature; one that no family is given for is its own."""
    return {name: name if families is None else families.get(name, name) for name in names}
