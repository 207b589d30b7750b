"""Sayings: what can be said of a customer about each feature, in words that somebody who runs a shop reads.

A saying is made of a customer's feature vector alone, so it repeats with it. It is a *reason* only where the customer
differs from the average in the direction that speaks for leaving: a marketer who reads "4 orders in 90 days; the
average customer 2" as a reason for leaving would rightly trust nothing else. What the model learned to weigh the other
way round is told as what it is (:mod:`streams.core.reasons`). The words themselves are in
:mod:`streams.core.phrases`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import expm1
from typing import Final, NamedTuple, Protocol

from streams.core.features import CATALOGUE, NAMES
from streams.core.told_facts import earlier
from streams.core.wording import ago, every

Vector = Sequence[float]
EITHER: Final = 0
MORE: Final = 1
LESS: Final = -1
NOTICED: Final = 0.1
"""A difference (for what enters as a logarithm, about a tenth) from which on somebody would speak of it."""
SEEN: Final = 0.05
"""What a figure must have moved by since the last score."""
_AVERAGES_KEPT: Final = 64
"""Means of a feature whose words are kept: cuts that serve at the same time are few."""
_RECENCY: Final = NAMES.index("recency_days")
_GAP: Final = NAMES.index("usual_gap_days")
_NO_RHYTHM: Final = NAMES.index("no_rhythm")


def natural(index: int, vector: Vector) -> float:
    """The value of a feature in its unit."""
    return CATALOGUE[index].natural(vector[index])


def has_rhythm(vector: Vector) -> bool:
    """Whether the usual gap is the customer's own."""
    return vector[_NO_RHYTHM] < 0.5


def always(_: Vector) -> bool:
    """Can be said of everybody."""
    return True


class Saying(Protocol):
    """What can be said about a feature."""

    @property
    def feature(self) -> int:
        """Its index in the catalogue."""

    def reason(self, vector: Vector, usual: Vector, least: float) -> str | None:
        """The saying as a reason for leaving; None where it is none, or the difference is less than ``least``."""

    def plain(self, vector: Vector, usual: Vector) -> str | None:
        """The saying as a mere fact; None where it cannot be said."""

    def moved(self, now: Vector, then: Sequence[float]) -> int | None:
        """Whether what is different from the facts told last speaks for leaving (1), against it (-1) or for
        neither (0); None where nothing is to be seen."""

    def change(self, now: Vector, then: Sequence[float]) -> str | None:
        """The saying about what has moved; None where in words nothing is different, or it cannot be said."""


class _Average(NamedTuple):
    """The average customer's side of a saying: every customer of a day is held against the same one."""

    figure: str
    told: str
    """What follows the fact; empty where it is no figure to hold against anybody."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A saying that holds the customer against the average.

    Parameters
    ----------
    feature, log
        Its index in the catalogue, and whether it enters as a logarithm.
    speaks
        What speaks for leaving: ``MORE`` than the average, ``LESS``, or ``EITHER``, as the model finds it.
    figure, short
        The value as people say it; the same where it has been said of what.
    fact, average
        A sentence with a gap for the figure; what follows it, with a gap for the average customer's.
    holds
        Whether it can be said of a customer at all.
    counts
        Whether it counts things: then an average below one half is no figure to hold against anybody.
    """

    feature: int
    log: bool
    speaks: int
    figure: Callable[[float], str]
    short: Callable[[float], str]
    fact: str
    average: str
    holds: Callable[[Vector], bool] = always
    counts: bool = False
    averages: dict[float, _Average] = field(default_factory=dict, compare=False, repr=False)
    """Of the last models, by their mean of the feature."""

    def reason(self, vector: Vector, usual: Vector, least: float) -> str | None:
        """See :class:`Saying`."""
        away = vector[self.feature] - usual[self.feature]
        if abs(away) < least or (self.speaks and away * self.speaks <= 0.0):
            return None
        text, different = self._against(vector, usual)
        return text if different else None

    def plain(self, vector: Vector, usual: Vector) -> str | None:
        """See :class:`Saying`."""
        return self._against(vector, usual)[0]

    def moved(self, now: Vector, then: Sequence[float]) -> int | None:
        """See :class:`Saying`."""
        value = now[self.feature]
        moved = value - earlier(self.feature, now, then)
        if -SEEN < moved < SEEN:
            return None
        return self.speaks if moved > 0.0 else -self.speaks

    def change(self, now: Vector, then: Sequence[float]) -> str | None:
        """See :class:`Saying`."""
        if not self.holds(now):
            return None
        value = now[self.feature]
        before = self._natural(earlier(self.feature, now, then))
        mine = self.figure(self._natural(value))
        if mine == self.figure(before):
            return None
        return f"{self.fact.format(mine)}; {self.short(before)} at the last score"

    def _natural(self, value: float) -> float:
        return expm1(value) if self.log else value

    def _against(self, vector: Vector, usual: Vector) -> tuple[str | None, bool]:
        if not self.holds(vector):
            return None, False
        average = self._average(usual[self.feature])
        mine = self.figure(self._natural(vector[self.feature]))
        fact = self.fact.format(mine)
        if mine == average.figure:
            return fact, False
        return (f"{fact}; {average.told}" if average.told else fact), True

    def _average(self, mean: float) -> _Average:
        known = self.averages.get(mean)
        if known is None:
            if len(self.averages) >= _AVERAGES_KEPT:
                self.averages.clear()
            value = self._natural(mean)
            told = "" if self.counts and value < 0.5 else self.average.format(self.short(value))
            known = self.averages[mean] = _Average(self.figure(value), told)
        return known


@dataclass(frozen=True, slots=True)
class Own:
    """A saying that holds the customer against their own past.

    Parameters
    ----------
    feature
        The feature it is about.
    told
        The sentence; None where it is no reason for leaving.
    fact
        A mere fact about the same; None where there is none.
    """

    feature: int
    told: Callable[[Vector], str | None]
    fact: Callable[[Vector], str | None]

    def reason(self, vector: Vector, usual: Vector, least: float) -> str | None:
        """See :class:`Saying`."""
        return self.told(vector)

    def plain(self, vector: Vector, usual: Vector) -> str | None:
        """See :class:`Saying`."""
        return self.fact(vector)

    def moved(self, now: Vector, then: Sequence[float]) -> int | None:
        """Silence against the usual gap, now and then."""
        silent, gap = earlier(_RECENCY, now, then), earlier(_GAP, now, then)
        moved = now[_RECENCY] - now[_GAP] - silent + gap
        if -SEEN < moved < SEEN:
            return None
        return MORE if moved > 0.0 else LESS

    def change(self, now: Vector, then: Sequence[float]) -> str | None:
        """Silence against the usual gap, now and then."""
        silent, gap = earlier(_RECENCY, now, then), earlier(_GAP, now, then)
        mine, before = ago(expm1(now[_RECENCY])), ago(expm1(silent))
        usually, once = every(expm1(now[_GAP])), every(expm1(gap))
        if (mine, usually) == (before, once):
            return None
        if not has_rhythm(now):
            return f"last order {mine}; {before} at the last score"
        at_last = before if usually == once else f"{before}, usually {once},"
        return f"last order {mine}, usually {usually}; {at_last} at the last score"
