"""Metrics of probabilities against oracles that count pairs and draw by lot, and against scikit-learn."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise, permutations

import pytest

from models.evaluation import calibration_error, exact_auc, metrics_of, reliability_bins, top_decile_lift
from tests.support.scored_labels import Labels, labels, split


def auc_by_pairs(pairs: Labels) -> float:
    churned = [p for p, y in pairs if y]
    returned = [p for p, y in pairs if not y]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in churned for b in returned)
    return won / (len(churned) * len(returned))


@pytest.mark.parametrize("seed", range(5))
def test_auc_equals_counting_every_pair(seed: int) -> None:
    pairs = labels(200, seed)
    assert exact_auc(*split(pairs)) == pytest.approx(auc_by_pairs(pairs), abs=1e-15)


def test_auc_of_equal_scores_is_one_half() -> None:
    assert exact_auc([0.3] * 4, [True, False, False, True]) == 0.5


def test_auc_of_one_class_is_unknown() -> None:
    assert exact_auc([0.1, 0.9], [True, True]) is None


def test_auc_of_nothing_is_unknown() -> None:
    assert exact_auc([], []) is None


def test_metrics_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    p, y = split(labels(3_000, grain=997))
    ours = metrics_of(p, y)
    assert ours["auc"] == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-12)
    assert ours["brier"] == pytest.approx(metrics.brier_score_loss(y, p), abs=1e-12)
    inside = [(a, b) for a, b in zip(p, y, strict=True) if 0.0 < a < 1.0]
    assert metrics_of(*split(inside))["log_loss"] == pytest.approx(metrics.log_loss(*split(inside)[::-1]), abs=1e-12)


def test_log_loss_of_a_sure_and_wrong_score_is_finite() -> None:
    assert metrics_of([1.0], [False])["log_loss"] == pytest.approx(15 * math.log(10))


def test_bins_hold_equal_numbers_where_no_scores_tie() -> None:
    bins = reliability_bins([i / 100 for i in range(100)], [False] * 100)
    assert [b["n"] for b in bins] == [10] * 10


def test_bins_never_split_equal_scores() -> None:
    bins = reliability_bins([0.1] * 55 + [0.2] * 45, [True] * 100)
    assert [(b["n"], b["lowest"], b["highest"]) for b in bins] == [(55, 0.1, 0.1), (45, 0.2, 0.2)]


def test_bins_count_everyone_once() -> None:
    assert sum(b["n"] for b in reliability_bins(*split(labels(997)))) == 997


def test_fewer_scores_than_bins_give_one_bin_each() -> None:
    assert [b["n"] for b in reliability_bins([0.1, 0.2, 0.3], [True, False, True])] == [1, 1, 1]


def test_calibration_error_weights_bins_by_size() -> None:
    bins = reliability_bins([0.1] * 75 + [0.9] * 25, [False] * 75 + [True] * 25)
    assert calibration_error(bins) == pytest.approx(0.75 * 0.1 + 0.25 * 0.1)


def test_calibration_error_of_a_calibrated_score_is_zero() -> None:
    assert metrics_of([0.25] * 4, [True, False, False, False])["ece"] == 0.0


def lift_by_lot(pairs: Labels) -> Fraction:
    """The mean over every order in which equal scores could have been drawn."""
    size = -(-len(pairs) // 10)
    positives = sum(y for _, y in pairs)
    held = [
        sum(pairs[at][1] for at in order[:size])
        for order in permutations(range(len(pairs)))
        if all(pairs[a][0] >= pairs[b][0] for a, b in pairwise(order))
    ]
    return Fraction(sum(held), len(held)) / size / Fraction(positives, len(pairs))


@pytest.mark.parametrize("seed", range(4))
def test_lift_is_the_mean_over_every_way_to_draw_among_equal_scores(seed: int) -> None:
    pairs = [*labels(6, seed, grain=1), (0.5, True)]
    assert top_decile_lift(*split(pairs)) == float(lift_by_lot(pairs))


def test_lift_of_a_perfect_ranking_is_one_over_the_base_rate() -> None:
    assert top_decile_lift([i / 100 for i in range(100)], [i >= 80 for i in range(100)]) == 5.0


def test_lift_counts_a_part_of_a_tied_group_in_proportion() -> None:
    # 20 users, the best two asked for: one alone at the top, and one of three who are equal, two of them positive.
    scores = [0.9, 0.8, 0.8, 0.8, *[0.1] * 16]
    outcomes = [True, True, True, False, *[False] * 16]
    assert top_decile_lift(scores, outcomes) == pytest.approx((1 + 2 / 3) / 2 / (3 / 20), abs=1e-15)


def test_lift_without_a_positive_is_unknown() -> None:
    assert top_decile_lift([0.1, 0.2], [False, False]) is None


def test_lift_of_equal_scores_is_one() -> None:
    assert top_decile_lift([0.3] * 47, [n % 3 == 0 for n in range(47)]) == 1.0
