"""What learners would have served when an example was scored."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import pytest

from models.churn import BayesianLogistic
from models.hindsight import HOUR_MS, WEEK_MS, Hindsight
from models.snapshots import DAY_MS

COLUMNS: Final = ("recency", "spend")
START: Final = 2_000 * WEEK_MS
VECTOR: Final = np.array([3.0, 0.5], dtype=np.float32)


def taught(model: BayesianLogistic, labels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(labels):
        vector = rng.normal(0.0, 2.0, 2)
        model.learn_vector(vector, bool(vector[0] + rng.normal() > 0.0))


def remembered(days: int, *, horizon_days: int = 30) -> tuple[Hindsight, list[float]]:
    """A learner that learns every day, and what it gave at the end of each."""
    hindsight, model, gave = Hindsight(COLUMNS, horizon_days), BayesianLogistic(COLUMNS), []
    for day in range(days):
        taught(model, 3, day)
        hindsight.note(START + day * DAY_MS, {"one": model})
        gave.append(model.probability(VECTOR))
    return hindsight, gave


def test_a_score_is_tested_by_the_learner_of_the_week_before_it() -> None:
    hindsight, gave = remembered(40)
    found = hindsight.given(START + 9 * DAY_MS + HOUR_MS, VECTOR)
    assert found is not None
    assert found["one"] == pytest.approx(gave[7], rel=1e-12)


def test_what_was_learned_less_than_an_hour_before_is_not_served() -> None:
    hindsight, gave = remembered(40)
    found = hindsight.given(START + 14 * DAY_MS + HOUR_MS - 1, VECTOR)
    assert found is not None
    assert found["one"] == pytest.approx(gave[7], rel=1e-12)


def test_nothing_is_given_for_a_score_before_the_first_memory() -> None:
    assert remembered(40)[0].given(START, VECTOR) is None


@pytest.mark.parametrize(("horizon_days", "most"), [(1, 3), (7, 3), (30, 7), (60, 7), (90, 7), (365, 8)])
def test_no_more_is_remembered_than_scores_ask_for(horizon_days: int, most: int) -> None:
    assert len(remembered(900, horizon_days=horizon_days)[0].state()) <= most


@pytest.mark.parametrize("horizon_days", [1, 7, 30, 60, 90])
def test_whatever_waits_for_its_label_is_remembered(horizon_days: int) -> None:
    hindsight, _ = remembered(400, horizon_days=horizon_days)
    now = START + 399 * DAY_MS
    assert all(hindsight.given(now - days * DAY_MS + HOUR_MS, VECTOR) is not None for days in range(horizon_days + 1))


def test_a_state_gives_the_same_bits() -> None:
    hindsight, _ = remembered(40)
    again = Hindsight.from_state(COLUMNS, 30, json.loads(json.dumps(hindsight.state())), ["one"])
    for day in range(40):
        at = START + day * DAY_MS
        assert again.given(at, VECTOR) == hindsight.given(at, VECTOR)
    assert again.state() == hindsight.state()


def test_what_is_remembered_of_other_learners_is_let_go() -> None:
    assert Hindsight.from_state(COLUMNS, 30, remembered(40)[0].state(), ["one", "other"]).state() == []


def test_a_damaged_memory_is_refused() -> None:
    state = remembered(1)[0].state()
    state[0]["learners"]["one"]["weights"] = "AAAAAAAA+H8="
    with pytest.raises(ValueError, match="3 finite numbers"):
        Hindsight.from_state(COLUMNS, 30, state, ["one"])
