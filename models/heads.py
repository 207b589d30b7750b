"""A head: one question asked of users, what learns to answer it, which answer serves, and how good it was.

All heads take in the same stream of labelled examples in the same order; each listens to those of its source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.contest import Contest
from models.drift import DriftWatch
from models.examples import TrainingExample
from models.head_spec import VALUE, AnyHead, Event, HeadSpec
from models.hindsight import Hindsight
from models.learner import Learner, learner_of
from models.schema import moved
from models.scorecard import Scorecard
from models.value_head import ValueHead


class Head:
    """A yes-or-no question: learners side by side, one of them serving.

    Parameters
    ----------
    spec
        What is asked.
    learners
        By name; by default the spec's candidates, having learned nothing.
    champion
        Name of the learner that serves; by default the first.
    scorecard
        Compares served scores with what happened; sees every example.
    contest
        Decides which learner serves; by default one that has seen nothing.
    drift
        Watches the champion's errors and the features; by default one that has seen nothing.
    hindsight
        The learners as they stood, to compare what they would have served; by default none is remembered.
    """

    def __init__(
        self,
        spec: HeadSpec,
        *,
        learners: Mapping[str, Learner] | None = None,
        champion: str | None = None,
        scorecard: Scorecard | None = None,
        contest: Contest | None = None,
        drift: DriftWatch | None = None,
        hindsight: Hindsight | None = None,
    ) -> None:
        self.spec = spec
        self.learners: dict[str, Learner] = (
            {name: make(spec.features) for name, make in spec.candidates.items()} if learners is None else {**learners}
        )
        serving = next(iter(self.learners)) if champion is None else champion
        self.contest = Contest(tuple(self.learners), serving, head=spec.name) if contest is None else contest
        self.scorecard = Scorecard(whole_run=False) if scorecard is None else scorecard
        self.drift = DriftWatch(spec.features, spec.families) if drift is None else drift
        self.hindsight = Hindsight(spec.columns, spec.horizon_days) if hindsight is None else hindsight
        self.counts: Counter[str] = Counter()

    @property
    def champion(self) -> str:
        """The name of the learner that serves."""
        return self.contest.champion

    @property
    def model(self) -> Learner:
        """The champion."""
        return self.learners[self.champion]

    @property
    def learned(self) -> int:
        """Labels learned, ever."""
        return self.model.labels

    @property
    def cold_start(self) -> bool:
        """True until ``min_labels`` labels with both classes were learned."""
        return self._is_cold(self.model)

    def _is_cold(self, learner: Learner) -> bool:
        return learner.labels < self.spec.min_labels or not 0 < learner.positives < learner.labels

    def take(self, example: TrainingExample) -> list[Event]:
        """Score it as it was served; where it has features, test every learner on it, then let them learn."""
        self.scorecard.observe(
            example.as_of_ms, example.label_ms, example.probability, example.outcome, example.stage, example.tier
        )
        if example.features is None:
            self.counts["unlearned"] += 1
            return []
        if example.schema != self.spec.schema:
            self.counts["foreign_schema"] += 1
            return []
        # Everybody who looks at it reckons in float64: it is brought over once.
        vector = example.features.astype(np.float64)
        events = [*self._compared(example, vector), *self._watched(example, vector)]
        for learner in self.learners.values():
            learner.learn_vector(vector, example.outcome)
        self.counts["learned"] += 1
        return events

    def close_day(self, day_ms: int) -> list[Event]:
        """A cut is about to be made at the end of a day: it is the champion of then that serves by it."""
        if len(self.learners) > 1 and not any(map(self._is_cold, self.learners.values())):
            self.hindsight.note(day_ms, self.learners)
        return self._taken_over(self.contest.close(day_ms))

    def _compared(self, example: TrainingExample, vector: npt.NDArray[np.float64]) -> list[Event]:
        """Compare what the learners would have served, on an example that counts for it."""
        given = self.hindsight.given(example.as_of_ms, vector) if example.spaced else None
        if given is None:
            return []
        return self._taken_over(self.contest.observe(example.label_ms, given, example.outcome, spaced=True))

    def _taken_over(self, events: list[Event]) -> list[Event]:
        if events:
            self.drift.restart_errors()
        return events

    def _watched(self, example: TrainingExample, vector: npt.NDArray[np.float64]) -> list[Event]:
        """Look for drift; where there is one, all that learn are made to doubt what they have learned."""
        alarms = self.drift.observe(
            vector, self.model.probability(vector), example.outcome, example.label_ms, spaced=example.spaced
        )
        for alarm in alarms:
            for learner in self.learners.values():
                learner.widen(alarm.factor)
        return [alarm.event(self.spec.name) for alarm in alarms]

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, JSON-ready."""
        return {
            "horizon_days": self.spec.horizon_days,
            "columns": list(self.spec.columns),
            "schema": self.spec.schema,
            "cold_start": self.cold_start,
            "examples": self.learned,
            "champion": self.champion,
            "models": {name: learner.state() for name, learner in self.learners.items()},
            "counts": dict(sorted(self.counts.items())),
            "scorecard": self.scorecard.state(),
            "contest": self.contest.state(),
            "hindsight": self.hindsight.state(),
            "drift": self.drift.state(),
        }

    @classmethod
    def from_state(cls, spec: HeadSpec, state: Mapping[str, Any], *, whole_run: bool = False) -> Self:
        """The head that :meth:`state` was taken of; brought over, if that was made on another catalogue.

        Candidates that the state does not know begin anew; learners that the spec does not name any more are let go,
        unless one of them is the champion: it serves until a challenger takes over.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together, or of a foreign catalogue.
        """
        learners, champion = _learners(spec, state), str(state["champion"])
        head = cls(
            spec,
            learners=learners,
            champion=champion,
            scorecard=Scorecard.from_state(state["scorecard"], whole_run=whole_run),
            contest=_contest(spec, learners, champion, state.get("contest")),
            drift=_drift(spec, state.get("drift")),
            hindsight=_hindsight(spec, learners, state),
        )
        head.counts.update({str(name): int(count) for name, count in state["counts"].items()})
        return head

    def models_of(self, state: Mapping[str, Any]) -> tuple[dict[str, Learner], str]:
        """The learners and the champion's name of an earlier state.

        Raises
        ------
        ValueError, KeyError, TypeError
            As :meth:`from_state`.
        """
        learners, champion = _learners(self.spec, state), str(state["champion"])
        if champion not in learners:
            raise ValueError(f"champion {champion!r} is none of {', '.join(learners)}")
        return learners, champion

    def go_back(self, models: tuple[dict[str, Learner], str]) -> None:
        """Put earlier learners, and the champion of then, in the place of today's; both watches begin anew."""
        self.learners, champion = models
        self.contest = Contest(tuple(self.learners), champion, head=self.spec.name)
        self.drift.restart_errors()
        self.hindsight = Hindsight(self.spec.columns, self.spec.horizon_days)


def _learners(spec: HeadSpec, state: Mapping[str, Any]) -> dict[str, Learner]:
    stored: Mapping[str, Any] = state["models"]
    wanted = [*spec.candidates, *(name for name in stored if name == state["champion"] and name not in spec.candidates)]
    columns: Sequence[str] = [str(column) for column in state["columns"]]
    return {
        name: learner_of(spec.features, moved(stored[name], columns, spec.columns))
        if name in stored
        else spec.candidates[name](spec.features)
        for name in wanted
    }


def _contest(
    spec: HeadSpec, learners: Mapping[str, Learner], champion: str, state: Mapping[str, Any] | None
) -> Contest:
    """As it stood; a cut that was made before there were contests has none."""
    if state is None:
        return Contest(tuple(learners), champion, head=spec.name)
    contest = Contest.from_state(tuple(learners), state, head=spec.name)
    if contest.champion != champion:
        raise ValueError(f"champion {champion!r} serves, and the contest says {contest.champion!r}")
    return contest


def _hindsight(spec: HeadSpec, learners: Mapping[str, Learner], state: Mapping[str, Any]) -> Hindsight:
    """As it stood; what learners made of other features is no measure of what they would make of these."""
    if state["columns"] != list(spec.columns):
        return Hindsight(spec.columns, spec.horizon_days)
    return Hindsight.from_state(spec.columns, spec.horizon_days, state.get("hindsight", []), tuple(learners))


def _drift(spec: HeadSpec, state: Mapping[str, Any] | None) -> DriftWatch:
    """As it stood; a cut that was made before drift was watched has none."""
    if state is None:
        return DriftWatch(spec.features, spec.families)
    return DriftWatch.from_state(spec.features, state, spec.families)


def head_of(spec: HeadSpec, *, whole_run: bool = False) -> AnyHead:
    """A head that has learned nothing; with ``whole_run`` its scorecard keeps every label, for a run that ends."""
    return ValueHead(spec) if spec.name == VALUE else Head(spec, scorecard=Scorecard(whole_run=whole_run))


def head_from_state(spec: HeadSpec, state: Mapping[str, Any], *, whole_run: bool = False) -> AnyHead:
    """The head that a state was taken of.

    Raises
    ------
    ValueError, KeyError, TypeError
        As :meth:`Head.from_state`.
    """
    if spec.name == VALUE:
        return ValueHead.from_state(spec, state)
    return Head.from_state(spec, state, whole_run=whole_run)
