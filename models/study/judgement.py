"""How one run is judged: prequential figures over the examples, and the last scores at each cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from models.evaluation import exact_auc, metrics_of
from models.study.contenders import Vector
from models.study.examples import Flags, StudySet
from models.study.prequential import Run, judged_rows

HELD: Final = 0.001
"""Probabilities are held this far from 0 and 1 when judged: one certain mistake of a tree would decide its log loss."""


@dataclass(frozen=True)
class Figures:
    """What scores were worth. AUC is None without both classes."""

    n: int
    auc: float | None
    log_loss: float
    brier: float
    ece: float


@dataclass(frozen=True)
class Judgement:
    """A contender on one set: prequential, and at each cut by its name."""

    prequential: Figures
    cuts: dict[str, Figures]
    learned: int
    learn_us: float
    score_us: float
    state_bytes: int

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`body`."""
        cuts = {name: Figures(**found) for name, found in body["cuts"].items()}
        return cls(**{**body, "prequential": Figures(**body["prequential"]), "cuts": cuts})

    def body(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "prequential": vars(self.prequential),
            "cuts": {name: vars(figures) for name, figures in self.cuts.items()},
            "learned": self.learned,
            "learn_us": round(self.learn_us, 2),
            "score_us": round(self.score_us, 2),
            "state_bytes": self.state_bytes,
        }


def figures(probabilities: Vector, outcomes: Flags) -> Figures | None:
    """The figures of some scores; None where there are none."""
    if not len(probabilities):
        return None
    p = np.clip(probabilities, HELD, 1.0 - HELD)
    found = metrics_of(p, outcomes)
    return Figures(
        len(p), exact_auc(probabilities, outcomes), float(found["log_loss"]), float(found["brier"]), float(found["ece"])
    )


def judge(study: StudySet, run: Run, state_bytes: int) -> Judgement:
    """Hold a run against what happened.

    Raises
    ------
    ValueError
        If nothing was served: the set is too short for its horizon.
    """
    rows = judged_rows(study, run)
    overall = figures(run.served[rows], study.outcomes[rows] == 1)
    if overall is None:
        raise ValueError(f"study set {study.name}: no score was served and labelled")
    cuts: dict[str, Figures] = {}
    for cut in study.cuts:
        served = run.served[cut.rows]
        there = ~np.isnan(served)
        found = figures(served[there], cut.outcomes[there])
        if found is not None:
            cuts[cut.name] = found
    return Judgement(overall, cuts, run.learned, run.learn_us, run.score_us, state_bytes)
