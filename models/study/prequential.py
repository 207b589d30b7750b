"""Test, then learn, with labels that come a horizon later: exactly when Ebbtide's own model would have known them.

A score at T is made by a model that has learned every example whose label was decided at the last midnight at least
one hour before T (:meth:`models.serving.Cuts.cut_at`), in the order of learning, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.study.contenders import Contender, LearnsFromServed, ScoresMany, Vector
from models.study.examples import DAY_MS, HOUR_MS, Flags, Instants, StudySet

TIMED_SCORES: Final = 300
"""Scores taken one at a time, at the end, to say what one costs."""


@dataclass(frozen=True)
class Run:
    """One contender over one study set.

    Parameters
    ----------
    served
        The probability of every row that was scored; NaN where none was, or too little had been learned.
    learned
        Examples learned.
    learn_us, score_us
        Microseconds per example learned and per score taken, one at a time.
    """

    served: Vector
    learned: int
    learn_us: float
    score_us: float


def prequential(
    study: StudySet,
    contender: Contender,
    columns: Sequence[int] | None = None,
    *,
    min_labels: int = 1_000,
    clock: Callable[[], float] = lambda: 0.0,
) -> Run:
    """Serve and learn a whole set.

    Scored are the rows that become examples, and those that the cuts judge.

    Parameters
    ----------
    study
        What happened, when.
    contender
        Learns in place; new when it is given.
    columns
        Columns of the matrix that it sees; all by default.
    min_labels
        Learned labels below which, or while all are of one class, nothing is served.
    clock
        Seconds of processor time, for what an example and a score cost.
    """
    matrix = study.matrix if columns is None else study.matrix[:, list(columns)]
    examples = study.examples
    due = study.at_ms[examples] + study.horizon_days * DAY_MS
    days, groups = _by_day(study)
    served: Vector = np.full(len(study.at_ms), np.nan)
    memories: dict[int, Any] = {}
    remembers = contender if isinstance(contender, LearnsFromServed) else None
    learned = positives = 0
    spent = 0.0
    for day, rows in zip(days, groups, strict=True):
        start = clock()
        while learned < len(examples) and due[learned] <= day:
            row = int(examples[learned])
            outcome = bool(study.outcomes[row])
            if remembers is not None and row in memories:
                remembers.turned_out(memories.pop(row), outcome)
            contender.learn_vector(matrix[row].astype(np.float64), outcome)
            learned += 1
            positives += outcome
        spent += clock() - start
        if learned >= min_labels and 0 < positives < learned:
            _serve(contender, matrix, rows, served, memories, study.sampled)
    timed = groups[-1][:TIMED_SCORES] if groups else ()
    vectors = [matrix[row].astype(np.float64) for row in timed]
    start = clock()
    for vector in vectors:
        contender.probability(vector)
    once = clock() - start
    return Run(served, learned, 1e6 * spent / max(learned, 1), 1e6 * once / max(len(vectors), 1))


def judged_rows(study: StudySet, run: Run) -> Instants:
    """The examples that were served a probability before their outcome was known: what is judged."""
    rows: Instants = study.examples
    served: Flags = ~np.isnan(run.served[rows])
    return rows[served]


def _by_day(study: StudySet) -> tuple[list[int], list[npt.NDArray[np.int64]]]:
    """The rows to score, by the midnight whose model scores them, in order."""
    scored = np.unique(np.concatenate([study.examples, *(cut.rows for cut in study.cuts)]))
    scored = scored[np.lexsort((study.user_hash[scored], study.at_ms[scored]))]
    day = (study.at_ms[scored] - HOUR_MS) // DAY_MS * DAY_MS
    days, starts = np.unique(day, return_index=True)
    return days.tolist(), np.split(scored, starts[1:]) if len(days) else []


def _serve(
    contender: Contender,
    matrix: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    served: Vector,
    memories: dict[int, Any],
    sampled: npt.NDArray[np.bool_],
) -> None:
    if isinstance(contender, LearnsFromServed):
        for row in rows.tolist():
            served[row], memory = contender.serve(matrix[row].astype(np.float64))
            if sampled[row]:
                memories[row] = memory
    elif isinstance(contender, ScoresMany):
        served[rows] = contender.probabilities(matrix[rows].astype(np.float64))
    else:
        for row in rows.tolist():
            served[row] = contender.probability(matrix[row].astype(np.float64))
