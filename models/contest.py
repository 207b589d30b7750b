"""Champion and challengers: which of several learners serves, changed only on evidence.

Every learner is tested on the same examples, by what it would have served when they were scored
(:mod:`models.hindsight`). What is compared is the log loss; what a challenger must show is that it is lower than the
champion's beyond what chance explains, however long one looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from models.eprocess import EProcess
from models.instants import instant_text
from models.model_events import event_id
from models.snapshots import DAY_MS

Event = dict[str, Any]

ENOUGH: Final = 100.0
"""Evidence for a takeover, per challenger: without a better one, a takeover ever comes with 1 % at most."""
BOUND: Final = 0.25
"""Nats of log loss: examples on which two learners could differ by more count for less, so that none can."""
FULL_DAY: Final = 50
"""Examples of a day below which the day counts for less, as if the rest had been ties: a few users, seen again and
again, would pass for the shop."""
_UNIT: Final = 1 << 40
"""Losses are added up in whole numbers of 2^-40: exact, so that the order within a day does not matter."""
_LEAST_PROBABILITY: Final = 1e-15


def _losses(probability: float) -> tuple[float, float]:
    """Log loss if the outcome is false and if it is true, in nats."""
    return -math.log(max(1.0 - probability, _LEAST_PROBABILITY)), -math.log(max(probability, _LEAST_PROBABILITY))


def bounded_difference(champion: float, challenger: float, outcome: bool) -> float:
    """How much less the challenger lost than the champion on one example, in [-1, 1].

    The difference of the log losses over ``BOUND``, or over the larger of the two differences that the two outcomes
    would have made, where that is more. That divisor is known before the outcome, so who is equally good on average
    scores zero on average; clipping the difference itself would favour who is often slightly better and sometimes
    far off.

    >>> bounded_difference(0.5, 0.6, True)
    0.729...
    >>> bounded_difference(0.01, 0.99, False)
    -1.0
    """
    of_champion, of_challenger = _losses(champion), _losses(challenger)
    if_false, if_true = of_champion[0] - of_challenger[0], of_champion[1] - of_challenger[1]
    return (if_true if outcome else if_false) / max(BOUND, abs(if_false), abs(if_true))


class _Challenger:
    """A challenger's case against the champion since the contest began anew."""

    def __init__(self) -> None:
        self.process = EProcess()
        self.lost = 0
        """Log loss of all examples, in units."""
        self.won_today = 0
        """Bounded differences of the open day, in units."""

    def state(self) -> dict[str, Any]:
        return {"process": self.process.state(), "lost": self.lost, "won_today": self.won_today}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        challenger = cls()
        challenger.process = EProcess.from_state(state["process"])
        challenger.lost, challenger.won_today = int(state["lost"]), int(state["won_today"])
        return challenger


class Contest:
    """Who serves, among learners that are tested on the same examples.

    Per challenger an e-process (:class:`models.eprocess.EProcess`) bets, at the end of each day on which labels
    became known, on the mean bounded difference of that day's examples. One that reaches ``ENOUGH`` × the number of
    challengers takes over; then all evidence is void, and the former champion is a challenger. Only ``spaced``
    examples count: no two of one user whose labels look into the same days, as those repeat each other.

    A day reaches from after one midnight (UTC) up to the next, as a cut does. It ends with the first example of a later
    one, or with :meth:`close`. Late examples, of a day that has ended, are counted and not evidence. The order of
    examples within a day does not matter, to the bit.

    Parameters
    ----------
    names
        The learners, in a fixed order (it decides between equals).
    champion
        The one that serves at the beginning.
    head
        What events say it is about.

    Attributes
    ----------
    champion
        The name of the learner that serves.

    Raises
    ------
    ValueError
        The champion is none of the names, or a name comes twice.

    Examples
    --------
    >>> contest, day = Contest(["plain", "sharp"], "plain"), 86_400_000
    >>> for label in range(50 * 100):
    ...     for event in contest.observe(label * day // 100, {"plain": 0.5, "sharp": 0.8}, True, spaced=True):
    ...         print(event["from"], event["to"], event["days"], contest.champion)
    plain sharp 33 sharp
    """

    def __init__(self, names: Sequence[str], champion: str, *, head: str = "churn") -> None:
        if len(set(names)) != len(names):
            raise ValueError(f"a learner is named twice: {', '.join(names)}")
        self._names = tuple(names)
        self._head = head
        self._day: int | None = None
        """The end (ms) of the last day that brought an example."""
        self._ended = False
        self.late = 0
        self.restart(champion)

    def restart(self, champion: str) -> None:
        """Somebody serves from now on; what was evidence until now is none any more.

        Raises
        ------
        ValueError
            It is none of the learners.
        """
        if champion not in self._names:
            raise ValueError(f"champion {champion!r} is none of {', '.join(self._names)}")
        self.champion = champion
        self._challengers = {name: _Challenger() for name in self._names if name != champion}
        self._lost = 0
        """The champion's log loss of all examples, in units."""
        self._examples, self._examples_today = 0, 0

    @property
    def enough(self) -> float:
        """The evidence at which a challenger takes over."""
        return ENOUGH * max(len(self._challengers), 1)

    def observe(self, label_ms: int, probabilities: Mapping[str, float], outcome: bool, *, spaced: bool) -> list[Event]:
        """Compare the learners on one example, by what they gave before its outcome could be known.

        Parameters
        ----------
        label_ms
            When the label became known.
        probabilities
            By learner: what it gave the outcome that is true.
        outcome
            What happened.
        spaced
            Whether the example counts: no other of the same user within the horizon does.

        Returns
        -------
        list
            The takeover that the end of the day before brought, if one did.

        Raises
        ------
        ValueError
            A learner's probability is missing, no number, or not within 0 and 1: that learner is broken.
        """
        for name in self._names:
            if not 0.0 <= probabilities.get(name, math.nan) <= 1.0:
                raise ValueError(f"learner {name} of {self._head} gave {probabilities.get(name)!r} for a probability")
        if not spaced or not self._challengers:
            return []
        day = -(-label_ms // DAY_MS) * DAY_MS
        if self._day is not None and (day < self._day or (day == self._day and self._ended)):
            self.late += 1
            return []
        events = self.close(day - 1)
        self._day, self._ended = day, False
        champion = probabilities[self.champion]
        self._lost += round(_losses(champion)[outcome] * _UNIT)
        for name, challenger in self._challengers.items():
            challenger.lost += round(_losses(probabilities[name])[outcome] * _UNIT)
            challenger.won_today += round(bounded_difference(champion, probabilities[name], outcome) * _UNIT)
        self._examples_today += 1
        return events

    def close(self, instant_ms: int) -> list[Event]:
        """Time has come to an instant: if the open day ended by then, its examples are bet on.

        Returns
        -------
        list
            The takeover that it brought, if one did.
        """
        if self._day is None or self._ended or self._day > instant_ms:
            return []
        self._ended = True
        for challenger in self._challengers.values():
            challenger.process.update(challenger.won_today / (_UNIT * max(self._examples_today, FULL_DAY)))
            challenger.won_today = 0
        self._examples += self._examples_today
        self._examples_today = 0
        best = max(self._challengers, key=lambda name: self._challengers[name].process.log_value)
        if self._challengers[best].process.log_value < math.log(self.enough):
            return []
        event = self._takeover(best, self._day)
        self.restart(best)
        return [event]

    def evidence(self) -> dict[str, dict[str, float]]:
        """Per challenger what speaks for it since the contest began anew.

        ``e_value`` (it takes over at ``needed``), ``days`` and ``examples`` that it rests on, and how much lower its
        ``log_loss`` is per example (``better_by``, nats), on the days that have ended and the open one.
        """
        return {name: self._case(name) for name in self._challengers}

    def state(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {
            "champion": self.champion,
            "day": self._day,
            "ended": self._ended,
            "late": self.late,
            "lost": self._lost,
            "examples": self._examples,
            "examples_today": self._examples_today,
            "challengers": {name: challenger.state() for name, challenger in self._challengers.items()},
        }

    @classmethod
    def from_state(cls, names: Sequence[str], state: Mapping[str, Any], *, head: str = "churn") -> Self:
        """The contest that :meth:`state` was taken of, to the bit.

        Among other learners than those of the state it begins anew, with the same champion.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together, or whose champion is none of the learners.
        """
        contest = cls(names, str(state["champion"]), head=head)
        contest.late = int(state["late"])
        if state["day"] is not None:
            contest._day, contest._ended = int(state["day"]), bool(state["ended"])
        stored: Mapping[str, Any] = state["challengers"]
        if stored.keys() != contest._challengers.keys():
            return contest
        contest._challengers = {name: _Challenger.from_state(stored[name]) for name in contest._challengers}
        contest._lost = int(state["lost"])
        contest._examples, contest._examples_today = int(state["examples"]), int(state["examples_today"])
        if min(contest._examples, contest._examples_today) < 0:
            raise ValueError("a contest counts less than no example")
        return contest

    def _takeover(self, to: str, at_ms: int) -> Event:
        return {
            "type": "takeover",
            "id": event_id("takeover", self._head, at_ms, self.champion, to),
            "head": self._head,
            "at": instant_text(at_ms),
            "from": self.champion,
            "to": to,
            **self._case(to),
        }

    def _case(self, name: str) -> dict[str, float]:
        challenger = self._challengers[name]
        examples = self._examples + self._examples_today
        log_loss, of_champion = (units / (_UNIT * max(examples, 1)) for units in (challenger.lost, self._lost))
        return {
            "e_value": challenger.process.value,
            "needed": self.enough,
            "days": challenger.process.days,
            "examples": examples,
            "log_loss": log_loss,
            "champion_log_loss": of_champion,
            "better_by": (self._lost - challenger.lost) / (_UNIT * max(examples, 1)),
        }


def evidence_of(head: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What speaks for each challenger of a head, as a cut holds it: :meth:`Contest.evidence`; {} where none competes.

    Raises
    ------
    ValueError, KeyError, TypeError
        As :meth:`Contest.from_state`.
    """
    state = head.get("contest")
    return {} if state is None else Contest.from_state(tuple(head["models"]), state).evidence()
