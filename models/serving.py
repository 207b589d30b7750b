"""What scorers hold: the serving part of each cut, and which cut an instant is scored with."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.errors import SnapshotError
from models.head_spec import CHURN, PROPENSITY, VALUE, HeadSpec
from models.linear_scorer import Explanation, LinearScorer
from models.schema import moved
from models.snapshots import DAY_MS, LAST_INSTANT, verify
from models.value_scorer import ValueScorer

HOUR_MS: Final = 3_600_000
NO_VERSION: Final = "none"
"""Version of the model before anything was learned."""


def floor_day(instant_ms: int) -> int:
    """The midnight (UTC) at or before an instant."""
    return instant_ms - instant_ms % DAY_MS


class ServingCut:
    """One cut, reduced to what scores need.

    Parameters
    ----------
    version, day_ms
        Name, and the instant (ms) up to which labels were learned.
    churn
        Scores the churn head.
    propensity
        Scores the propensity head; None where the cut has none.
    spend
        Scores the value head; None where the cut has none.
    """

    __slots__ = ("churn", "cold_start", "day_ms", "explained", "probability", "propensity", "spend", "version")

    def __init__(
        self,
        version: str,
        day_ms: int,
        churn: LinearScorer,
        propensity: LinearScorer | None = None,
        spend: ValueScorer | None = None,
    ) -> None:
        self.version = version
        self.day_ms = day_ms
        self.churn = churn
        self.propensity = propensity
        self.spend = spend
        self.cold_start = churn.cold_start
        self.probability = churn.probability
        """Probability of churn."""
        self.explained = churn.explained

    @classmethod
    def from_record(cls, record: Mapping[str, Any], specs: Mapping[str, HeadSpec] | None = None) -> ServingCut:
        """The serving part of a verified cut, brought over to the catalogues of ``specs`` where it has others.

        Raises
        ------
        SnapshotError
            If a model inside is of an unknown kind, its parts do not fit each other, or its catalogue is foreign.
        """
        try:
            wanted, heads = specs or {}, record["heads"]
            scorers = {name: _scorer(head, wanted.get(name)) for name, head in heads.items() if name != VALUE}
            spend = _value_scorer(heads[VALUE], wanted.get(VALUE)) if VALUE in heads else None
            return cls(record["version"], record["day"], scorers[CHURN], scorers.get(PROPENSITY), spend)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise SnapshotError(
                f"Model cut {record['version']} does not hold together ({error}).",
                "Restore it from a copy, or retrain.",
            ) from error


def _scorer(head: Mapping[str, Any], spec: HeadSpec | None) -> LinearScorer:
    """The champion of a head."""
    model, columns = head["models"][head["champion"]], head["columns"]
    if spec is not None:
        model, columns = moved(model, columns, spec.columns), spec.columns
    return LinearScorer.from_state(columns, model, cold_start=head["cold_start"])


def _value_scorer(head: Mapping[str, Any], spec: HeadSpec | None) -> ValueScorer:
    """The models of the value head."""
    own = HeadSpec(VALUE, tuple(str(column) for column in head["columns"]), int(head["horizon_days"]))
    return ValueScorer.from_state(own if spec is None else spec, head)


class EmptyCut:
    """The model before anything was learned: always cold, knows no reasons, and serves any feature count."""

    __slots__ = ()
    version: Final = NO_VERSION
    day_ms: Final = 0
    cold_start: Final = True
    propensity: Final = None
    spend: Final = None

    def probability(self, features: Sequence[float]) -> float:
        """One half: nothing is known."""
        return 0.5

    def explained(self, features: Sequence[float], groups: Sequence[int]) -> Explanation:
        """One half, for no reason: everybody is average."""
        return Explanation(0.5, 0.0, [0.0] * (max(groups, default=-1) + 1), list(features))


def empty_cut() -> EmptyCut:
    """The cold cut that serves until the first day on which something was learned."""
    return EmptyCut()


class Cuts:
    """The cuts known to a scorer, by day, from the records of ``model-cuts``.

    Parameters
    ----------
    specs
        What the program computes and predicts: a cut of other catalogues is brought over, one of another horizon is
        refused. Without any, a cut is taken as it is.
    keep_days
        Days for which cuts are kept, counted back from the newest.

    Examples
    --------
    >>> cuts = Cuts()
    >>> cuts.add({"type": "same", "day": 86_400_000, "version": "none"})
    >>> cut, stale = cuts.cut_at(2 * 86_400_000)
    >>> cut.version, stale
    ('none', False)
    """

    def __init__(self, specs: Sequence[HeadSpec] = (), *, keep_days: int = 400) -> None:
        if keep_days < 1:
            raise ValueError(f"keep_days must be at least 1, not {keep_days}")
        self._specs = {spec.name: spec for spec in specs}
        self._horizons = {spec.name: spec.horizon_days for spec in specs}
        self._keep_ms = keep_days * DAY_MS
        self._days: list[int] = []
        self._cuts: dict[int, ServingCut | EmptyCut] = {}
        self._first: int | None = None
        self._empty = empty_cut()
        self._asked: int | None = None
        """The midnight that was asked for last: a day's scores ask for the same one."""
        self._answer: tuple[ServingCut | EmptyCut, bool] = (self._empty, False)
        self.frontier_ms: int | None = None
        """The last day that drained partitions were told to follow to; None if none was."""

    def add(self, record: Mapping[str, Any], *, own: bool = False) -> None:
        """Take in one record: a cut, a ``same`` day, or a frontier. A repeat of a day takes its place.

        Parameters
        ----------
        record
            As it was published.
        own
            It comes straight from a trainer of this process, and is not verified once more.

        Raises
        ------
        SnapshotError
            On a cut that :func:`models.snapshots.verify` refuses, a ``same`` that names an unknown version, or
            a record of unknown type.
        """
        match record.get("type"):
            case "cut":
                known = record if own else verify(dict(record), horizons=self._horizons)
                cut = ServingCut.from_record(known, self._specs)
                self._put(cut.day_ms, cut)
            case "same":
                day_ms = _day_of(record)
                self._put(day_ms, self._named(str(record.get("version")), day_ms))
            case "frontier":
                day_ms = _day_of(record)
                self.frontier_ms = day_ms if self.frontier_ms is None else max(self.frontier_ms, day_ms)
            case other:
                raise SnapshotError(
                    f"A record of model-cuts has the unknown type {other!r}.", "Upgrade Ebbtide, or check the topic."
                )

    def has(self, day_ms: int) -> bool:
        """Whether the cut of a day is known, or the day lies before the first that is: nothing was learned then."""
        return day_ms in self._cuts or (self._first is not None and day_ms < self._first)

    def cut_at(self, instant_ms: int) -> tuple[ServingCut | EmptyCut, bool]:
        """The newest cut of the last midnight at least one hour before the instant, and whether it is stale.

        Stale: that midnight has no record yet. Before the first midnight that has one, and while no day was
        ever cut, the empty cold cut serves and is not stale.
        """
        wanted = floor_day(instant_ms - HOUR_MS)
        if wanted == self._asked:
            return self._answer
        at = bisect_right(self._days, wanted) - 1
        cut = self._cuts[self._days[at]] if at >= 0 else self._empty
        stale = self._first is not None and wanted > self._first and wanted not in self._cuts
        self._asked, self._answer = wanted, (cut, stale)
        return self._answer

    @property
    def newest_day_ms(self) -> int | None:
        """The last day that has a record; None before the first."""
        return self._days[-1] if self._days else None

    def _put(self, day_ms: int, cut: ServingCut | EmptyCut) -> None:
        self._asked = None
        if day_ms not in self._cuts:
            insort(self._days, day_ms)
        self._cuts[day_ms] = cut
        self._first = day_ms if self._first is None else min(self._first, day_ms)
        oldest = self._days[-1] - self._keep_ms
        while self._days[0] < oldest:
            del self._cuts[self._days.pop(0)]

    def _named(self, version: str, day_ms: int) -> ServingCut | EmptyCut:
        """The cut that a ``same`` record goes on serving: as a rule that of the day before."""
        if version == NO_VERSION:
            return self._empty
        at = bisect_right(self._days, day_ms) - 1
        if at >= 0 and self._cuts[self._days[at]].version == version:
            return self._cuts[self._days[at]]
        for day in reversed(self._days):
            if self._cuts[day].version == version:
                return self._cuts[day]
        raise SnapshotError(
            f"model-cuts says that day {day_ms} has the same model as cut {version}, which is not there.",
            "Read model-cuts from its beginning; if that cut is gone, start a new model.",
        )


def _day_of(record: Mapping[str, Any]) -> int:
    day_ms = record.get("day")
    if not isinstance(day_ms, int) or not 0 <= day_ms <= LAST_INSTANT:
        raise SnapshotError(
            f"A record of model-cuts with the type {record['type']!r} names no day.",
            "See who else writes to the topic.",
        )
    return day_ms
