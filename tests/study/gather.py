"""Gathers what the study learns from: the real engine over a real log, and the features of every score it takes.

A scorer that always answers stands in for the model, and writes down what it was asked. Labels are recomputed from the
raw file. What is gathered is kept in a folder and used again until log, catalogue or this module change.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from models.study.examples import UNKNOWN, StudyCut, StudySet
from streams.core.cleaning import clean, cleaning_policy
from streams.core.engine import PartitionEngine
from streams.core.events import DAY_MS, HOUR_MS, Event, Kind
from streams.core.features import CATALOGUE, SCHEMA
from streams.core.hashing import stable_hash
from streams.core.instants import parse_instant
from streams.core.ports import Step
from streams.core.risk import CHURN_RISK
from streams.core.schedule import sampled
from streams.policies.reader import read_policy
from streams.replay.files import open_log
from streams.replay.sources import FileSource
from tests.support.scorers import FixedScorer

FORMAT: Final = 1
"""Raised when what is gathered changes its meaning."""
STARTED_MS: Final = 1_800_000_000_000
_COLUMNS: Final = ("matrix", "at_ms", "user_hash", "sampled", "outcomes")
HABITS: Final = ("morning_share", "evening_share", "weekend_share", "weekday_concentration", "same_weekday_share")
"""Calendar habits of a user's purchases: not in the catalogue, gathered so that the study can say what they add."""


class StudyLog(NamedTuple):
    """One log of the study: the file, the horizon and look-back in days, the cuts, and one user in how many."""

    file: str
    horizon_days: int
    look_back_days: int
    cuts: tuple[str, ...]
    one_user_in: int = 1


LOGS: Final = {
    "cd": StudyLog("cdnow", 90, 450, ("1998-03-31",), 6),
    "or": StudyLog("online_retail_2011", 60, 180, ("2011-08-31", "2011-09-30")),
    "cj": StudyLog("complete_journey_dev", 30, 90, ("2017-09-30", "2017-11-15")),
}


class _Asked(FixedScorer):
    """A cut that writes down the features it is asked about."""

    note: Callable[[Any], None]

    def explained(self, features: Any, *arguments: Any, **named: Any) -> Any:
        self.note(features)
        return super().explained(features, *arguments, **named)


class _Recorder:
    """Answers every score, and keeps its instant and features; the version it answers with is the row's number."""

    def __init__(self) -> None:
        self.features = array("f")
        self.at: list[int] = []
        self._instant = 0

    def cut_at(self, instant_ms: int) -> tuple[_Asked, bool]:
        """A cut named after the row that would be written next."""
        self._instant = instant_ms
        cut = _Asked(0.5, version=str(len(self.at)))
        object.__setattr__(cut, "note", self._note)
        return cut, False

    def _note(self, features: Any) -> None:
        self.at.append(self._instant)
        self.features.extend(features)


class _Habits:
    """Hours and weekdays of each user's purchases so far."""

    def __init__(self) -> None:
        self._hours: dict[str, list[int]] = {}
        self._weekdays: dict[str, list[int]] = {}

    def bought(self, user_id: str, ts: int) -> None:
        """Count one purchase."""
        self._hours.setdefault(user_id, [0] * 24)[ts // HOUR_MS % 24] += 1
        self._weekdays.setdefault(user_id, [0] * 7)[(ts // DAY_MS + 3) % 7] += 1

    def of(self, user_id: str, at: int) -> list[float]:
        """The figures of :data:`HABITS`, as of an instant."""
        hours, days = self._hours[user_id], self._weekdays[user_id]
        total = sum(hours)
        return [
            (sum(hours[5:11]) + 0.5) / (total + 2.0),
            (sum(hours[17:23]) + 0.5) / (total + 2.0),
            (days[5] + days[6] + 0.5) / (total + 1.75),
            sum((count / total) ** 2 for count in days),
            (days[(at // DAY_MS + 3) % 7] + 0.2) / (total + 1.4),
        ]


def gathered(name: str, data: Path, kept: Path, one_user_in: int = 1, tell: Callable[[str], None] = print) -> StudySet:
    """The study set of a log: as kept, or gathered now and kept.

    Parameters
    ----------
    name
        Of :data:`LOGS`.
    data, kept
        The folder with the logs, and that of what was gathered.
    one_user_in
        A smaller shop for a quick look: one user in so many, beyond what the log's own entry says.
    """
    log = LOGS[name]
    share = log.one_user_in * one_user_in
    path = data / f"{log.file}.parquet"
    stamp = f"{FORMAT} {log} {share} {path.stat().st_size} {SCHEMA}".encode()
    place = kept / f"{name}-{sha256(stamp).hexdigest()[:12]}.npz"
    if not place.is_file():
        tell(f"{name}: running the engine over {path.name}")
        kept.mkdir(parents=True, exist_ok=True)
        _write(place, _gather(name, log, path, share))
    found = _read(place)
    tell(f"{name}: {len(found.at_ms):,} scores, {len(found.examples):,} examples, {len(found.features)} features")
    return found


def _events(path: Path, share: int) -> Iterator[Event]:
    """The clean events of a log, of one user in so many."""
    policy = cleaning_policy(read_policy(None))
    for row in FileSource([open_log(path)], STARTED_MS).rows():
        if row.fault is not None or row.kind is None:
            continue
        event = clean(
            row.raw,
            row.kind,
            position=row.position,
            record_id=row.record_id,
            published_ms=row.published_ms,
            policy=policy,
            from_file=True,
        )
        if isinstance(event, Event) and stable_hash(event.user_id) % share == 0:
            yield event


class _Gathering:
    """One run of the engine, event by event, with the rows that the recorder wrote and whose each one is."""

    def __init__(self, log: StudyLog) -> None:
        self.recorder, self.habits = _Recorder(), _Habits()
        self.engine = PartitionEngine(
            read_policy(None), {}, horizon_days=log.horizon_days, mode="replay", redelivered=False
        )
        self.users: list[str] = []
        self.scheduled: list[bool] = []
        self.extra = array("f")
        self.bought: dict[str, list[int]] = {}
        """When each user's purchases were, in order."""

    def apply(self, event: Event) -> None:
        """One event: first the deadlines before it, then its own score if it opened an order."""
        self._deadlines(self.engine.process([event], self.recorder))
        if event.kind == Kind.PURCHASE and any(line.quantity > 0 for line in event.lines):
            self.bought.setdefault(event.user_id, []).append(event.ts)
            self.habits.bought(event.user_id, event.ts)
        while len(self.users) < len(self.recorder.at):
            self._row(event.user_id, scheduled=False)

    def end(self) -> None:
        """The deadlines up to the newest event."""
        self._deadlines(self.engine.advance(self.engine.newest, self.recorder))

    def _deadlines(self, step: Step) -> None:
        for output in step.outputs:
            if output.topic == CHURN_RISK and output.body["scheduled"]:
                if output.body["model"]["version"] != str(len(self.users)):
                    raise AssertionError(f"score {len(self.users)} is not the one that was told")
                self._row(output.user_id, scheduled=True)

    def _row(self, user_id: str, *, scheduled: bool) -> None:
        self.extra.extend(self.habits.of(user_id, self.recorder.at[len(self.users)]))
        self.users.append(user_id)
        self.scheduled.append(scheduled)


def _gather(name: str, log: StudyLog, path: Path, share: int) -> StudySet:
    run = _Gathering(log)
    for event in _events(path, share):
        run.apply(event)
    run.end()
    horizon, end = log.horizon_days * DAY_MS, run.engine.newest
    at, hashes = run.recorder.at, [stable_hash(user) for user in run.users]
    scores = len(at)
    catalogue = np.frombuffer(run.recorder.features, dtype=np.float32).reshape(scores, -1)
    extra = np.frombuffer(run.extra, dtype=np.float32).reshape(scores, -1)
    last: dict[str, list[int]] = {}
    outcomes = np.full(scores, UNKNOWN, dtype=np.int8)
    for row, (user, instant) in enumerate(zip(run.users, at, strict=True)):
        last.setdefault(user, []).append(row)
        if instant + horizon <= end:
            outcomes[row] = not _returned(run.bought[user], instant, horizon)
    return StudySet(
        name,
        log.horizon_days,
        (*(feature.name for feature in CATALOGUE), *HABITS),
        (*(feature.family for feature in CATALOGUE), *("calendar" for _ in HABITS)),
        np.concatenate([catalogue, extra], axis=1),
        np.array(at, dtype=np.int64),
        np.array(hashes, dtype=np.int64),
        np.array([s and sampled(h, t) for s, h, t in zip(run.scheduled, hashes, at, strict=True)]),
        outcomes,
        tuple(_cut(f"{name} {text}", text, log, run.bought, last, at) for text in log.cuts),
    )


def _cut(
    name: str, text: str, log: StudyLog, bought: dict[str, list[int]], rows: dict[str, list[int]], at: list[int]
) -> StudyCut:
    """The last score at or before an instant of everybody with a purchase in the look-back."""
    instant = parse_instant(text)
    assert instant is not None
    chosen: list[int] = []
    outcomes: list[bool] = []
    for user, purchases in bought.items():
        before = bisect_right(purchases, instant)
        scored = bisect_right([at[row] for row in rows[user]], instant)
        if before and scored and purchases[before - 1] > instant - log.look_back_days * DAY_MS:
            chosen.append(rows[user][scored - 1])
            outcomes.append(not _returned(purchases, instant, log.horizon_days * DAY_MS))
    return StudyCut(name, np.array(chosen, dtype=np.int64), np.array(outcomes, dtype=np.bool_))


def _returned(purchases: list[int], instant: int, horizon: int) -> bool:
    after = bisect_right(purchases, instant)
    return after < len(purchases) and purchases[after] <= instant + horizon


def _write(place: Path, study: StudySet) -> None:
    """Whole or not at all."""
    cuts = {f"{part}_{n}": getattr(cut, part) for n, cut in enumerate(study.cuts) for part in ("rows", "outcomes")}
    told = {
        "name": study.name,
        "horizon_days": study.horizon_days,
        "features": study.features,
        "families": study.families,
        "cuts": [cut.name for cut in study.cuts],
    }
    unfinished = place.with_suffix(".unfinished.npz")
    np.savez(
        unfinished,
        allow_pickle=False,
        told=np.array(json.dumps(told)),
        **{column: getattr(study, column) for column in _COLUMNS},
        **cuts,
    )
    unfinished.replace(place)


def _read(place: Path) -> StudySet:
    with np.load(place, allow_pickle=False) as kept:
        told = json.loads(str(kept["told"]))
        return StudySet(
            name=told["name"],
            horizon_days=told["horizon_days"],
            features=tuple(told["features"]),
            families=tuple(told["families"]),
            cuts=tuple(StudyCut(cut, kept[f"rows_{n}"], kept[f"outcomes_{n}"]) for n, cut in enumerate(told["cuts"])),
            **{column: kept[column] for column in _COLUMNS},
        )
