"""What scorers hold: the serving part of each cut, and which cut an instant is scored with."""

from __future__ import annotations

import math
import struct
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import SnapshotError
from models.snapshots import DAY_MS, LAST_INSTANT, verify

HOUR_MS: Final = 3_600_000
NO_VERSION: Final = "none"
"""Version of the model before anything was learned."""

Matrix = npt.NDArray[np.float64]


def floor_day(instant_ms: int) -> int:
    """The midnight (UTC) at or before an instant."""
    return instant_ms - instant_ms % DAY_MS


class Contribution(NamedTuple):
    """What one feature adds to the logit against the average customer."""

    feature: int
    contribution: float
    usual: float
    """The training mean of the feature, in the unit of the feature vector."""


class ServingCut:
    """A frozen model, reduced to what a score needs: fast, and a few kilobytes.

    Parameters
    ----------
    version, day_ms, cold_start
        Name, the instant (ms) up to which labels were learned, and whether that is still too little.
    means, deviations, weights
        Per feature: training mean, training standard deviation (0 if it never varied), weight per deviation.
    intercept
        Logit of the average customer.
    clip
        Inputs are held within this many deviations of the mean, as they were when learning.
    """

    __slots__ = (
        "_intercept",
        "_limit",
        "_lower",
        "_means",
        "_pack",
        "_slopes",
        "_upper",
        "cold_start",
        "day_ms",
        "version",
    )

    def __init__(
        self,
        version: str,
        day_ms: int,
        cold_start: bool,
        means: Sequence[float],
        deviations: Sequence[float],
        weights: Sequence[float],
        intercept: float,
        clip: float,
    ) -> None:
        self.version = version
        self.day_ms = day_ms
        self.cold_start = cold_start
        self._means: Matrix = np.array(means, dtype=np.float64)
        # The clip is moved from deviations to the feature's own unit: one division less per score.
        self._upper: Matrix = np.array(deviations, dtype=np.float64) * clip
        self._lower: Matrix = -self._upper
        self._slopes: Matrix = np.array(
            [w / s if s > 0.0 else 0.0 for w, s in zip(weights, deviations, strict=True)], dtype=np.float64
        )
        self._intercept = intercept
        self._limit = len(self._means)
        self._pack = struct.Struct(f"={self._limit}d").pack

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ServingCut:
        """The serving part of a verified cut.

        Raises
        ------
        SnapshotError
            If the model inside is of an unknown kind or its parts do not fit each other.
        """
        model = record["model"]
        try:
            if model["kind"] != "bayesian_logistic":
                raise ValueError(f"unknown model {model['kind']!r}")
            *weights, intercept = (float(value) for value in model["weights"])
            if not len(weights) == len(model["means"]) == len(record["features"]):
                raise ValueError("weights, means and features differ in number")
            deviations = [
                math.sqrt(square / max(count, 1.0))
                for square, count in zip(model["squares"], model["counts"], strict=True)
            ]
            return cls(
                record["version"],
                record["day"],
                record["cold_start"],
                [float(mean) for mean in model["means"]],
                deviations,
                weights,
                intercept,
                float(model["clip"]),
            )
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise SnapshotError(
                f"Model cut {record['version']} does not hold together ({error}).",
                "Restore it from a copy, or retrain.",
            ) from error

    def probability(self, features: Sequence[float]) -> float:
        """Probability of churn for one feature vector, in catalogue order.

        Raises
        ------
        ValueError
            If the vector has the wrong length or holds a value that is not finite.
        """
        return self._probability(self._terms(features))

    def explained(self, features: Sequence[float], most: int) -> tuple[float, list[Contribution]]:
        """:meth:`probability` and :meth:`contributions` at the price of one.

        Raises
        ------
        ValueError
            As :meth:`probability`.
        """
        terms = self._terms(features)
        return self._probability(terms), self._highest(terms, most)

    def probabilities(self, matrix: npt.ArrayLike) -> Matrix:
        """Probabilities for many vectors, one per row; equal to :meth:`probability` within 1e-12."""
        x = np.asarray(matrix, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self._limit:
            raise ValueError(f"expected rows of {self._limit} features, got shape {x.shape}")
        if not np.isfinite(x).all():
            row = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
            self._refuse(x[row].tolist())
        held = np.maximum(np.minimum(x - self._means, self._upper), self._lower)
        logits = self._intercept + np.add.reduce(held * self._slopes, axis=1)
        odds = np.exp(-np.abs(logits))
        result: Matrix = np.where(logits >= 0.0, 1.0, odds) / (1.0 + odds)
        return result

    def contributions(self, features: Sequence[float], most: int) -> list[Contribution]:
        """The features that raise the risk most against the average customer: only positive ones, highest first."""
        return self._highest(self._terms(features), most)

    def _highest(self, terms: Matrix, most: int) -> list[Contribution]:
        order = np.argsort(-terms, kind="stable")[:most]
        return [Contribution(int(i), float(terms[i]), float(self._means[i])) for i in order if terms[i] > 0.0]

    def _probability(self, terms: Matrix) -> float:
        logit = self._intercept + float(np.add.reduce(terms))
        if logit >= 0.0:
            return 1.0 / (1.0 + math.exp(-logit))
        odds = math.exp(logit)
        return odds / (1.0 + odds)

    def _terms(self, features: Sequence[float]) -> Matrix:
        """What each feature adds to the logit."""
        if not math.isfinite(sum(features)):
            self._refuse(features)
        try:
            packed = self._pack(*features)
        except struct.error as error:
            raise ValueError(f"expected {self._limit} features, got {len(features)}: {error}") from error
        terms = np.frombuffer(packed) - self._means
        np.minimum(terms, self._upper, out=terms)
        np.maximum(terms, self._lower, out=terms)
        np.multiply(terms, self._slopes, out=terms)
        return terms

    @staticmethod
    def _refuse(features: Sequence[float]) -> None:
        """Name the values that are not finite (finite values whose sum overflows are let through)."""
        bad = [f"feature {i} is {value}" for i, value in enumerate(features) if not math.isfinite(value)]
        if bad:
            raise ValueError("not finite: " + ", ".join(bad[:5]))


class EmptyCut:
    """The model before anything was learned: always cold, knows no reasons, and serves any feature count."""

    __slots__ = ()
    version: Final = NO_VERSION
    day_ms: Final = 0
    cold_start: Final = True

    def probability(self, features: Sequence[float]) -> float:
        """One half: nothing is known."""
        return 0.5

    def contributions(self, features: Sequence[float], most: int) -> list[Contribution]:
        """No reasons."""
        return []

    def explained(self, features: Sequence[float], most: int) -> tuple[float, list[Contribution]]:
        """One half, for no reason."""
        return 0.5, []


def empty_cut() -> EmptyCut:
    """The cold cut that serves until the first day on which something was learned."""
    return EmptyCut()


class Cuts:
    """The cuts known to a scorer, by day, from the records of ``model-cuts``.

    Parameters
    ----------
    schema, horizon_days
        What the program computes and predicts; a cut of another one is refused. None accepts any.
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

    def __init__(self, schema: str | None = None, horizon_days: int | None = None, *, keep_days: int = 400) -> None:
        if keep_days < 1:
            raise ValueError(f"keep_days must be at least 1, not {keep_days}")
        self._schema, self._horizon_days, self._keep_ms = schema, horizon_days, keep_days * DAY_MS
        self._days: list[int] = []
        self._cuts: dict[int, ServingCut | EmptyCut] = {}
        self._first: int | None = None
        self._empty = empty_cut()
        self.frontier_ms: int | None = None
        """The last day that drained partitions were told to follow to; None if none was."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in one record: a cut, a ``same`` day, or a frontier. A repeat of a day takes its place.

        Raises
        ------
        SnapshotError
            On a cut that :func:`models.snapshots.verify` refuses, a ``same`` that names an unknown version, or
            a record of unknown type.
        """
        match record.get("type"):
            case "cut":
                cut = ServingCut.from_record(verify(dict(record), schema=self._schema, horizon_days=self._horizon_days))
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
        at = bisect_right(self._days, wanted) - 1
        cut = self._cuts[self._days[at]] if at >= 0 else self._empty
        return cut, self._first is not None and wanted > self._first and wanted not in self._cuts

    @property
    def newest_day_ms(self) -> int | None:
        """The last day that has a record; None before the first."""
        return self._days[-1] if self._days else None

    def _put(self, day_ms: int, cut: ServingCut | EmptyCut) -> None:
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
