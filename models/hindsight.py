"""What learners would have served: each as it stood when an example was scored, a horizon before its label came.

A learner that is tested when the label is known has by then learned from the very weeks that the label looks into. One
that forgets fast is flattered by that, as it never serves that way: on online_retail_2011 (60 d) a share of 1e-5
forgotten per label looked better by 0.0016 nats when tested at the label, and was worse by 0.0023 as served.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.learner import Learner
from models.linear_scorer import LinearScorer
from models.packing import pack, unpacked
from models.snapshots import DAY_MS

HOUR_MS: Final = 3_600_000
WEEK_MS: Final = 7 * DAY_MS
MEMORIES: Final = 6
"""Into how many parts a horizon is cut, in whole weeks: what is remembered is so many and one or two."""


class _Memory(NamedTuple):
    """The learners at a midnight."""

    day_ms: int
    parts: dict[str, Mapping[str, str]]
    """By learner: its packed serving part."""
    scorers: dict[str, LinearScorer]


class Hindsight:
    """Learners as they stood every week, or every second or third where the horizon is long.

    Parameters
    ----------
    columns
        The feature catalogue.
    horizon_days
        How long before its label an example was scored.
    """

    def __init__(self, columns: Sequence[str], horizon_days: int) -> None:
        self._columns = columns
        self._horizon_ms = horizon_days * DAY_MS
        self._every_ms = max(1, math.ceil(self._horizon_ms / (MEMORIES * WEEK_MS))) * WEEK_MS
        self._memories: list[_Memory] = []

    def note(self, day_ms: int, learners: Mapping[str, Learner]) -> None:
        """A day has ended: remember the learners, if it is time to, and forget what no example asks for any more."""
        if not self._memories or day_ms // self._every_ms > self._memories[-1].day_ms // self._every_ms:
            self._memories.append(_memory(day_ms, self._columns, {n: _parts(one) for n, one in learners.items()}))
        while len(self._memories) > 1 and self._memories[1].day_ms <= day_ms - self._horizon_ms - HOUR_MS:
            del self._memories[0]

    def given(self, as_of_ms: int, vector: npt.NDArray[np.floating[Any]]) -> dict[str, float] | None:
        """What each learner would have served then: by the last it is remembered of an hour before, as cuts serve.

        None where it is not remembered of that time.
        """
        known = [memory for memory in self._memories if memory.day_ms <= as_of_ms - HOUR_MS]
        if not known:
            return None
        features = vector.tolist()
        return {name: scorer.probability(features) for name, scorer in known[-1].scorers.items()}

    def state(self) -> list[dict[str, Any]]:
        """Everything, JSON-ready."""
        return [{"day": memory.day_ms, "learners": dict(memory.parts)} for memory in self._memories]

    @classmethod
    def from_state(
        cls, columns: Sequence[str], horizon_days: int, state: Sequence[Mapping[str, Any]], names: Sequence[str]
    ) -> Hindsight:
        """As :meth:`state` was taken, to the bit; what is remembered of other learners than these is let go.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        hindsight = cls(columns, horizon_days)
        memories = [_memory(int(memory["day"]), columns, memory["learners"]) for memory in state]
        hindsight._memories = [memory for memory in memories if memory.parts.keys() == set(names)]
        return hindsight


def _parts(learner: Learner) -> dict[str, str]:
    """The serving part of a learner, packed."""
    state = learner.state()
    parts = {name: pack(np.array(state[name], dtype=np.float64)) for name in ("means", "squares", "counts", "weights")}
    return {"kind": str(state["kind"]), "clip": repr(float(state["clip"])), **parts}


def _memory(day_ms: int, columns: Sequence[str], parts: Mapping[str, Mapping[str, str]]) -> _Memory:
    size = len(columns)
    scorers: dict[str, LinearScorer] = {}
    for name, packed in parts.items():
        unpack = {key: unpacked(packed[key], size).tolist() for key in ("means", "squares", "counts")}
        state = {"kind": packed["kind"], "clip": float(packed["clip"]), **unpack}
        weights = unpacked(packed["weights"], size + 1).tolist()
        scorers[name] = LinearScorer.from_state(columns, {**state, "weights": weights}, cold_start=False)
    return _Memory(day_ms, {name: dict(packed) for name, packed in parts.items()}, scorers)
