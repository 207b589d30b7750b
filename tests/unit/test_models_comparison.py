"""What is inside a cut, and what differs between two."""

from __future__ import annotations

import math

import pytest

from models.comparison import differences, weights_of
from tests.support.training_logs import DAY, FEATURES, SPEC, START, cut_of, example, plain_loop

BODIES = [example(n, START + n, schema=SPEC.schema) for n in range(60)]
EARLY, LATE = plain_loop(BODIES[:30], START + DAY), plain_loop(BODIES, START + DAY)


def test_the_heaviest_weight_comes_first() -> None:
    weights = [abs(one.weight) for one in weights_of(cut_of(LATE)["heads"]["churn"])]
    assert weights == sorted(weights, reverse=True)


def test_a_weight_has_its_posterior_deviation_and_the_features_mean() -> None:
    found = {one.feature: one for one in weights_of(cut_of(LATE)["heads"]["churn"])}
    assert found["frequency"].spread == pytest.approx(math.sqrt(LATE.covariance[1, 1]))
    assert (found["frequency"].weight, found["frequency"].mean) == (LATE.weights[1], LATE.means[1])


def test_a_difference_has_every_feature_of_either_cut() -> None:
    [found] = differences(cut_of(EARLY), cut_of(LATE))
    assert {move.feature for move in found.moves} == set(FEATURES)
    moves = {move.feature: move.by for move in found.moves}
    assert moves["spend"] == pytest.approx(LATE.weights[2] - EARLY.weights[2])


def test_a_feature_that_is_new_weighed_nothing_before() -> None:
    [found] = differences(cut_of(EARLY), cut_of(LATE, ("recency", "frequency", "other")))
    assert {(move.feature, move.before is None, move.after is None) for move in found.moves} >= {
        ("spend", False, True),
        ("other", True, False),
    }


def test_a_head_that_one_cut_lacks_has_no_champion_there() -> None:
    [found] = differences({"heads": {}}, cut_of(LATE))
    assert (found.champion, found.examples) == ((None, "posterior"), (0, LATE.labels))
