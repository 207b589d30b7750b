"""A million labels of worlds that do not change: at most one alarm in each. ``-s`` prints how many there were."""

from __future__ import annotations

from itertools import islice

import pytest

from models.drift import DriftWatch
from tests.support.drifting_streams import names, overlapping_labels, stationary_labels

MILLION = 1_000_000
FAMILIES = {"x0": "recency", "x1": "money", "x2": "basket", "x3": "basket"}


def told(world: str, watch: DriftWatch) -> int:
    alarms = sum(watch.alarms.values())
    print(f"\n{world}: {alarms} alarms in {watch.labels:,} labels {dict(watch.alarms)}")
    return alarms


@pytest.mark.long
@pytest.mark.parametrize(
    ("world", "seed", "season", "carry"),
    [
        ("independent labels", 0, 0.0, 0.0),
        ("independent labels", 3, 0.0, 0.0),
        ("a weekly wave of 0.3 deviations", 1, 0.3, 0.0),
        ("labels that follow each other, r = 0.9", 2, 0.0, 0.9),
    ],
)
def test_a_million_stationary_labels_give_at_most_one_alarm(world: str, seed: int, season: float, carry: float) -> None:
    watch = DriftWatch(names(4), FAMILIES)
    labels = stationary_labels(seed, season=season, carry=carry)
    for number, (vector, probability, outcome) in enumerate(islice(labels, MILLION)):
        watch.observe(vector, probability, outcome, number)
    assert told(world, watch) <= 1


@pytest.mark.long
@pytest.mark.parametrize(("users", "horizon_weeks"), [(4_000, 4), (4_000, 13)])
def test_a_million_overlapping_labels_of_the_same_users_give_at_most_one_alarm(users: int, horizon_weeks: int) -> None:
    watch = DriftWatch(["x"])
    labels = overlapping_labels(7, users=users, weeks=1_040, horizon_weeks=horizon_weeks)
    for number, (probability, outcome, spaced) in enumerate(islice(labels, MILLION)):
        watch.observe([0.0], probability, outcome, number, spaced=spaced)
    assert told(f"{users:,} users, horizon of {horizon_weeks} weeks", watch) <= 1
    assert watch.labels == MILLION
