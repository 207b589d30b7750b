"""The batch model beside which Ebbtide is judged: LightGBM on regular snapshots of the engine's own features.

Snapshots stand a sixth of a horizon apart, back from the last whose labels were known at the cut; the model is scored
on the features as of the cut itself. It comes with the dependency group ``study``.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from streams.core.cleaning import clean, cleaning_policy
from streams.core.events import DAY_MS, Event, Kind
from streams.core.feature_vector import vector
from streams.core.fold import Fold
from streams.core.hashing import stable_hash
from streams.core.policy import Compiled
from streams.core.state import State
from streams.policies.reader import read_policy
from streams.replay.files import open_log
from streams.replay.sources import FileSource
from tests.quality.bars import Shop
from tests.quality.figures import Scores
from tests.quality.labels import instant

SEEDS: Final = 5
A_HORIZON: Final = 6
"""Snapshots per horizon."""
_READ_AS_OF_MS: Final = 1_800_000_000_000
_SETTINGS: Final = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.5,
    "num_threads": 1,
    "verbose": -1,
}
_TREES: Final = 200


def installed() -> bool:
    """Whether LightGBM can be imported."""
    return find_spec("lightgbm") is not None


class Histories:
    """The clean events of a log, user by user, and their features as of any instant."""

    def __init__(self, log: Path, horizon_days: int) -> None:
        policy = read_policy(None)
        self._compiled = Compiled(policy)
        self._fold = Fold(self._compiled, horizon_days * DAY_MS)
        self._events: dict[str, list[Event]] = {}
        self._bought: dict[str, list[int]] = {}
        for event in _clean_events(log):
            self._events.setdefault(event.user_id, []).append(event)
        for user, events in self._events.items():
            events.sort(key=lambda event: event.sort_key)
            self._bought[user] = [
                e.ts for e in events if e.kind == Kind.PURCHASE and any(x.quantity > 0 for x in e.lines)
            ]

    def rows(self, instants: list[int], look_back_ms: int) -> Iterator[tuple[int, str, list[float]]]:
        """Instant, user and features of everybody with a purchase in the look-back of each instant (ascending)."""
        for user, events in self._events.items():
            state, done, key = State(), 0, stable_hash(user)
            bought = self._bought[user]
            for at in instants:
                while done < len(events) and events[done].ts <= at:
                    self._fold.advance(state, events[done].ts - 1, key)
                    self._fold.apply(state, events[done], key)
                    done += 1
                before = bisect_right(bought, at)
                if before and bought[before - 1] > at - look_back_ms and state.orders:
                    self._fold.advance(state, at, key)
                    yield at, user, vector(state, at, self._compiled)

    def churned(self, user: str, at: int, horizon_ms: int) -> bool:
        """Whether nothing is bought in the horizon after an instant."""
        bought = self._bought[user]
        after = bisect_right(bought, at)
        return after == len(bought) or bought[after] > at + horizon_ms


def _clean_events(log: Path) -> Iterator[Event]:
    policy = cleaning_policy(read_policy(None))
    for row in FileSource([open_log(log)], _READ_AS_OF_MS).rows():
        if row.fault is None and row.kind is not None:
            event = clean(
                row.raw,
                row.kind,
                position=row.position,
                record_id=row.record_id,
                published_ms=row.published_ms,
                policy=policy,
                from_file=True,
            )
            if isinstance(event, Event):
                yield event


def refitted(histories: Histories, shop: Shop, cut: str, users: list[str]) -> Scores:
    """Mean score of five seeds for each user at a cut; nan for whom there is none."""
    import lightgbm

    at, horizon = round(instant(cut).timestamp() * 1000), shop.horizon_days * DAY_MS
    step = horizon // A_HORIZON
    most = 2 * 365 * DAY_MS // step
    snapshots = [at - horizon - number * step for number in reversed(range(most))]
    matrix: list[list[float]] = []
    labels: list[bool] = []
    asked: dict[str, list[float]] = {}
    for taken, user, features in histories.rows([*snapshots, at], shop.look_back_days * DAY_MS):
        if taken == at:
            asked[user] = features
        else:
            matrix.append(features)
            labels.append(histories.churned(user, taken, horizon))
    rows, outcomes = np.array(matrix), np.array(labels, dtype=np.int8)
    wanted = np.array([asked[user] for user in users if user in asked])
    total = np.zeros(len(wanted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(SEEDS):
            booster = lightgbm.train({**_SETTINGS, "seed": seed}, lightgbm.Dataset(rows, outcomes), _TREES)
            total += np.asarray(booster.predict(wanted, num_threads=1))
    scores = np.full(len(users), np.nan)
    scores[[at for at, user in enumerate(users) if user in asked]] = total / SEEDS
    return scores
