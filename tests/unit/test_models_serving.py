"""Serving: scores equal the learner's, reasons, and which cut an instant is scored with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models.churn import BayesianLogistic, sigmoid
from models.errors import SnapshotError
from models.head_spec import CHURN, HeadSpec
from models.serving import Cuts, ServingCut, empty_cut
from tests.support.training_logs import DAY, HOUR, START, cut_of

NAMES = ("recency", "frequency", "constant")
SPEC = HeadSpec(CHURN, NAMES, 30)


def model(labels: int = 400, seed: int = 4) -> BayesianLogistic:
    learner, rng = BayesianLogistic(NAMES), np.random.default_rng(seed)
    for _ in range(labels):
        recency, frequency = float(rng.exponential(30.0)), float(rng.integers(1, 9))
        churned = bool(rng.random() < sigmoid(0.05 * recency - 0.4 * frequency))
        learner.learn_vector([recency, frequency, 2.0], churned)
    return learner


def record(day_ms: int = START, labels: int = 400, seed: int = 4) -> dict[str, Any]:
    return cut_of(model(labels, seed), NAMES, day_ms=day_ms)


def same(day_ms: int, version: str) -> dict[str, Any]:
    return {"type": "same", "day": day_ms, "version": version}


VECTORS = [[float(r), float(f), float(c)] for r in (0, 3, 30, 900) for f in (0, 2, 8, 400) for c in (2, 5)]


GROUPS = (0, 1, 1)
"""A group of its own for the first feature."""


@pytest.mark.parametrize("vector", VECTORS)
def test_served_probability_equals_the_learners(vector: list[float]) -> None:
    served = ServingCut.from_record(record()).probability(vector)
    assert served == pytest.approx(model().probability(vector), abs=1e-12)


def test_batch_equals_one_by_one() -> None:
    cut = ServingCut.from_record(record())
    one_by_one = [cut.probability(vector) for vector in VECTORS]
    assert np.abs(cut.churn.probabilities(VECTORS) - one_by_one).max() < 1e-12


def test_carries_version_and_day_of_its_record() -> None:
    cut = ServingCut.from_record(record())
    assert (cut.version, cut.day_ms, cut.cold_start) == (record()["version"], START, False)


def test_a_part_is_the_weight_times_the_distance_from_the_average_customer() -> None:
    learner, cut = model(), ServingCut.from_record(record())
    deviation = math.sqrt(learner.squares[0] / learner.counts[0])
    made = cut.explained([60.0, 8.0, 2.0], GROUPS)
    assert made.usual == learner.means.tolist()
    assert made.sums[0] == pytest.approx(learner.weights[0] * (60.0 - learner.means[0]) / deviation)


def test_a_part_is_clipped_as_the_learner_clips() -> None:
    learner, cut = model(), ServingCut.from_record(record())
    assert cut.explained([1e9, 8.0, 2.0], GROUPS).sums[0] == pytest.approx(6.0 * learner.weights[0])


def test_the_average_customer_has_the_base_for_a_logit_and_nothing_else() -> None:
    learner, cut = model(), ServingCut.from_record(record())
    made = cut.explained(learner.means.tolist(), GROUPS)
    assert made.sums == [0.0, 0.0]
    assert made.base == learner.weights[-1]


def test_explained_gives_the_probability_that_is_served() -> None:
    cut, vector = ServingCut.from_record(record()), [900.0, 0.0, 2.0]
    assert cut.explained(vector, GROUPS).probability == cut.probability(vector)


def test_parts_are_summed_by_group() -> None:
    cut, vector = ServingCut.from_record(record()), [900.0, 0.0, 2.0]
    apart = cut.explained(vector, (0, 1, 2)).sums
    assert cut.explained(vector, GROUPS).sums == [apart[0], apart[1] + apart[2]]


def test_other_groups_of_the_same_cut_are_summed_anew() -> None:
    cut, vector = ServingCut.from_record(record()), [900.0, 0.0, 2.0]
    first, second = cut.explained(vector, GROUPS), cut.explained(vector, (1, 0, 0))
    assert first.sums == second.sums[::-1]


def test_groups_that_are_not_one_per_feature_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 3 features, got 2"):
        ServingCut.from_record(record()).explained([900.0, 0.0, 2.0], (0, 1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_is_not_finite_is_refused(value: float) -> None:
    cut = ServingCut.from_record(record())
    with pytest.raises(ValueError, match="feature 1 is"):
        cut.probability([1.0, value, 2.0])
    with pytest.raises(ValueError, match="feature 1 is"):
        cut.churn.probabilities([[1.0, 1.0, 2.0], [1.0, value, 2.0]])


def test_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 features, got 2"):
        ServingCut.from_record(record()).probability([1.0, 2.0])


def test_score_uses_the_last_midnight_at_least_one_hour_before() -> None:
    cuts = Cuts()
    first, second = record(START), record(START + DAY, seed=5)
    cuts.add(first)
    cuts.add(second)
    assert cuts.cut_at(START + DAY + HOUR - 1)[0].version == first["version"]
    assert cuts.cut_at(START + DAY + HOUR)[0].version == second["version"]


def test_missing_day_is_served_stale_by_the_one_before() -> None:
    cuts = Cuts()
    cuts.add(record(START))
    cut, stale = cuts.cut_at(START + 2 * DAY + HOUR)
    assert (cut.version, stale) == (record(START)["version"], True)


def test_day_on_which_nothing_was_learned_is_not_stale() -> None:
    cuts = Cuts()
    cuts.add(record(START))
    cuts.add(same(START + DAY, record(START)["version"]))
    cut, stale = cuts.cut_at(START + DAY + 5 * HOUR)
    assert (cut.version, stale) == (record(START)["version"], False)


def test_before_any_cut_the_empty_cold_one_serves_and_is_not_stale() -> None:
    cut, stale = Cuts().cut_at(START)
    assert (cut.version, cut.cold_start, stale) == ("none", True, False)


def test_before_the_first_cut_day_the_empty_cold_one_serves_and_is_not_stale() -> None:
    cuts = Cuts()
    cuts.add(record(START))
    cut, stale = cuts.cut_at(START)
    assert (cut.version, stale) == ("none", False)


def test_same_as_none_is_the_empty_cut() -> None:
    cuts = Cuts()
    cuts.add(same(START, "none"))
    assert cuts.cut_at(START + HOUR)[0].cold_start


def test_same_that_names_an_unknown_version_is_refused() -> None:
    with pytest.raises(SnapshotError, match="20110930-abcdef12, which is not there"):
        Cuts().add(same(START, "20110930-abcdef12"))


def test_record_of_unknown_type_is_refused() -> None:
    with pytest.raises(SnapshotError, match="unknown type 'tree'"):
        Cuts().add({"type": "tree"})


def test_cut_of_a_foreign_catalogue_is_refused() -> None:
    with pytest.raises(SnapshotError, match="no feature in common"):
        Cuts([HeadSpec(CHURN, ("other",), 30)]).add(record())


def test_cut_of_another_catalogue_serves_the_features_that_both_have() -> None:
    cuts = Cuts([HeadSpec(CHURN, ("new", "recency", "constant"), 30)])
    cuts.add(record())
    moved, as_it_was = cuts.cut_at(START + 2 * DAY)[0], ServingCut.from_record(record())
    usual = float(model().means[1])
    assert moved.probability([77.0, 60.0, 2.0]) == pytest.approx(as_it_was.probability([60.0, usual, 2.0]), abs=1e-12)


def test_day_without_a_record_is_not_there() -> None:
    cuts = Cuts()
    assert not cuts.has(START)
    cuts.add(record(START))
    assert cuts.has(START)
    assert not cuts.has(START + DAY)


def test_day_before_the_first_record_is_nothing_to_wait_for() -> None:
    cuts = Cuts()
    cuts.add(record(START))
    assert cuts.has(START - DAY)


def test_repeat_of_a_cut_changes_nothing() -> None:
    cuts = Cuts()
    cuts.add(record(START))
    cuts.add(record(START))
    assert cuts.cut_at(START + HOUR)[0].version == record(START)["version"]


def test_records_of_earlier_days_may_come_later() -> None:
    cuts = Cuts()
    cuts.add(record(START + DAY, seed=5))
    cuts.add(record(START))
    assert cuts.cut_at(START + HOUR)[0].version == record(START)["version"]


def test_old_cuts_are_let_go_and_a_long_quiet_one_stays() -> None:
    cuts = Cuts(keep_days=10)
    cuts.add(record(START))
    for day in range(1, 40):
        cuts.add(same(START + day * DAY, record(START)["version"]))
    assert cuts.cut_at(START + 39 * DAY + HOUR)[0].version == record(START)["version"]
    assert not cuts.has(START + 5 * DAY)


def test_frontier_remembers_the_furthest_day() -> None:
    cuts = Cuts()
    assert cuts.frontier_ms is None
    for day in (START + DAY, START):
        cuts.add({"type": "frontier", "day": day})
    assert cuts.frontier_ms == START + DAY


def test_the_empty_cut_finds_everybody_average() -> None:
    assert empty_cut().explained([1.0, 2.0], (0, 1)) == (0.5, 0.0, [0.0, 0.0], [1.0, 2.0])
