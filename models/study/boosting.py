"""Gradient boosting made to keep up: fitted anew on a bounded window of the last labels, every so many of them.

Which library fits is injected: Ebbtide itself depends on none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from models.study.contenders import Vector

LEAST_LABELS: Final = 500
Scores = Callable[[Vector], Vector]
"""A fitted ensemble: one probability per row."""
Fit = Callable[[Vector, npt.NDArray[np.bool_]], Scores]
"""Fits an ensemble to rows and their outcomes."""


class RefittedBoosting:
    """An ensemble of trees that is thrown away and fitted again.

    Parameters
    ----------
    size
        Number of features.
    fit
        The batch learner.
    window
        Labels that it is fitted on: the last ones.
    every
        Labels between two fits; the first comes after 500, with both classes.
    """

    def __init__(self, size: int, fit: Fit, *, window: int = 20_000, every: int = 3_000) -> None:
        self._fit = fit
        self._every = every
        self._rows = np.zeros((window, size), dtype=np.float32)
        self._outcomes = np.zeros(window, dtype=np.bool_)
        self._labels = 0
        self._scores: Scores | None = None
        self._base_rate = 0.5
        self.fits = 0

    def learn_vector(self, vector: Vector, outcome: bool) -> None:
        """Remember one outcome; fit anew when it is time."""
        place = self._labels % len(self._outcomes)
        self._rows[place] = vector
        self._outcomes[place] = outcome
        self._labels += 1
        due = self._labels % self._every == 0 or self._scores is None
        if due and self._labels >= LEAST_LABELS:
            known = min(self._labels, len(self._outcomes))
            outcomes = self._outcomes[:known]
            self._base_rate = float(outcomes.mean())
            if 0.0 < self._base_rate < 1.0:
                self._scores = self._fit(self._rows[:known].astype(np.float64), outcomes.copy())
                self.fits += 1

    def probability(self, vector: Vector) -> float:
        """As the last fit says; the base rate before the first."""
        return float(self.probabilities(vector[None, :])[0])

    def probabilities(self, matrix: Vector) -> Vector:
        """One probability per row."""
        if self._scores is None:
            return np.full(len(matrix), self._base_rate)
        return self._scores(matrix)
