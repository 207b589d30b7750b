"""Rescoring: the scores of a view taken again, in the order of the log, while it is folded again after disorder.

A risk band has hysteresis, so it depends on every score before it. What was told live followed the order of arrival;
the band that holds is the one of the log's order, walked anew from the band as of the settled state.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.core.events import Event
from streams.core.feature_vector import vector
from streams.core.fold import Moment
from streams.core.policy import Compiled, band_of
from streams.core.ports import ChurnScorer
from streams.core.profile import AFTER_EVENTS
from streams.core.state import State


class Rescored(NamedTuple):
    """A score of the walk: its instant, its features, and the band after it."""

    at: int
    features: list[float]
    band: int


class Walked(NamedTuple):
    """What a walk had made of the scores up to a mark."""

    band: int
    bands: tuple[tuple[int, int, str, int], ...]
    scheduled: tuple[Rescored, ...]
    last: Rescored | None
    asked: tuple[tuple[str, int], ...]


class Rescoring:
    """Walks along with a refold (:class:`streams.core.refold_marks.Walk`).

    Parameters
    ----------
    policy
        The compiled policy.
    model
        Hands out the cut of each instant.
    band
        The band as of the settled state.
    """

    __slots__ = ("_asked", "_model", "_policy", "band", "bands", "last", "scheduled")

    def __init__(self, policy: Compiled, model: ChurnScorer, band: int) -> None:
        self._policy = policy
        self._model = model
        self.band = band
        self.bands: list[tuple[int, int, str, int]] = []
        """Every change of the band, by the key of what caused it."""
        self.scheduled: list[Rescored] = []
        self.last: Rescored | None = None
        self._asked: dict[str, int] = {}
        """The last instant that each cut has scored, by version."""

    def walked(self) -> Walked:
        return Walked(self.band, tuple(self.bands), tuple(self.scheduled), self.last, tuple(self._asked.items()))

    def resume(self, walked: Walked) -> bool:
        """Take up an earlier walk, unless a cut came in since then that would have scored instead."""
        cut_at = self._model.cut_at
        if any(cut_at(instant)[0].version != version for version, instant in walked.asked):
            return False
        self.band, self.last = walked.band, walked.last
        self.bands, self.scheduled, self._asked = list(walked.bands), list(walked.scheduled), dict(walked.asked)
        return True

    def told(self, moment: Moment) -> None:
        """A deadline of the view has fired."""
        if moment.ended:
            self.last = None
            self._note((moment.at, AFTER_EVENTS, ""), -1)
        elif moment.scheduled:
            features = moment.features or vector(moment.state, moment.at, self._policy)
            self._score((moment.at, AFTER_EVENTS, ""), moment.at, features)
            self.scheduled.append(Rescored(moment.at, features, self.band))

    def ordered(self, state: State, event: Event) -> None:
        """An event of the view has opened an order."""
        self._score(event.sort_key, event.ts, vector(state, event.ts, self._policy))

    def _score(self, key: tuple[int, int, str], at: int, features: list[float]) -> None:
        cut, _ = self._model.cut_at(at)
        self._asked[cut.version] = at
        if not cut.cold_start:
            self._note(key, band_of(cut.probability(features), self.band, self._policy))
        self.last = Rescored(at, features, self.band)

    def _note(self, key: tuple[int, int, str], band: int) -> None:
        if band != self.band:
            self.band = band
            self.bands.append((*key, band))
