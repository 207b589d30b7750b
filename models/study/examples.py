"""What a study learns from and is judged on: the scores of one finished log, with their features and what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
UNKNOWN: Final = -1
"""Outcome of a score whose horizon ends after the log does."""

Matrix = npt.NDArray[np.float32]
Instants = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Outcomes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class StudyCut:
    """One instant at which every customer's last score is judged.

    Parameters
    ----------
    name
        As tables name it, for example ``or 2011-08-31``.
    rows
        The last score of each customer at or before the instant.
    outcomes
        What each of them did in the horizon after the *instant* (not after the score).
    """

    name: str
    rows: npt.NDArray[np.int64]
    outcomes: Flags


@dataclass(frozen=True)
class StudySet:
    """Every score of one log, in no particular order.

    Parameters
    ----------
    name
        As tables name it.
    horizon_days
        Days that a label looks ahead.
    features, families
        Name and family of each column.
    matrix
        One row per score, one column per feature, as the engine computed it.
    at_ms, user_hash
        When each score was taken, and of whom.
    sampled
        Whether it is a scheduled score that becomes a training example.
    outcomes
        1 churned, 0 returned, -1 not known when the log ends.
    cuts
        The instants at which last scores are judged.
    """

    name: str
    horizon_days: int
    features: tuple[str, ...]
    families: tuple[str, ...]
    matrix: Matrix
    at_ms: Instants
    user_hash: Instants
    sampled: Flags
    outcomes: Outcomes
    cuts: tuple[StudyCut, ...]

    def __post_init__(self) -> None:
        rows, columns = self.matrix.shape
        if not rows == len(self.at_ms) == len(self.user_hash) == len(self.sampled) == len(self.outcomes):
            raise ValueError(f"study set {self.name}: its columns differ in length")
        if not columns == len(self.features) == len(self.families):
            raise ValueError(f"study set {self.name}: {columns} columns, {len(self.features)} names")

    @cached_property
    def examples(self) -> npt.NDArray[np.int64]:
        """Rows to learn from, in the order of learning: by label time, then user hash."""
        rows = np.flatnonzero(self.sampled & (self.outcomes != UNKNOWN))
        return rows[np.lexsort((self.user_hash[rows], self.at_ms[rows]))]

    def columns_of(self, names: Sequence[str]) -> list[int]:
        """The columns of these features, in the order of the catalogue."""
        wanted = set(names)
        return [column for column, name in enumerate(self.features) if name in wanted]

    def one_user_in(self, share: int) -> StudySet:
        """A smaller shop: one user in so many, chosen by hash, with all their scores."""
        if share == 1:
            return self
        kept = self.user_hash // 7 % share == 0
        place = np.cumsum(kept) - 1
        cuts = [StudyCut(cut.name, place[cut.rows[kept[cut.rows]]], cut.outcomes[kept[cut.rows]]) for cut in self.cuts]
        return replace(
            self,
            matrix=self.matrix[kept],
            at_ms=self.at_ms[kept],
            user_hash=self.user_hash[kept],
            sampled=self.sampled[kept],
            outcomes=self.outcomes[kept],
            cuts=tuple(cuts),
        )
