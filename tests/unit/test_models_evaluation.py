"""Prequential metrics against oracles that count pairs and walk groups by hand."""

from __future__ import annotations

import json
import math
import random

import pytest

from models.evaluation import Scorecard, calibration_error, exact_auc, metrics_of, reliability_bins

Labels = list[tuple[float, bool]]


def labels(n: int, seed: int = 1, grain: int = 20) -> Labels:
    """Scores on a coarse grid, so that ties abound, and outcomes that follow them loosely."""
    draw = random.Random(seed)
    scores = [draw.randrange(grain + 1) / grain for _ in range(n)]
    return [(p, draw.random() < 0.2 + 0.6 * p) for p in scores]


def auc_by_pairs(pairs: Labels) -> float:
    churned = [p for p, y in pairs if y]
    returned = [p for p, y in pairs if not y]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in churned for b in returned)
    return won / (len(churned) * len(returned))


def split(pairs: Labels) -> tuple[list[float], list[bool]]:
    return [p for p, _ in pairs], [y for _, y in pairs]


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


def fed(pairs: Labels, **parameters: int | bool) -> Scorecard:
    card = Scorecard(**parameters)  # type: ignore[arg-type]  # window: int, whole_run: bool
    for number, (p, y) in enumerate(pairs):
        card.observe(number, number + 10, p, y, "loyal" if number % 2 else "at_risk", "gold" if y else None)
    return card


def test_window_is_the_last_scored_labels_only() -> None:
    pairs = labels(300)
    assert fed(pairs, window=50).summary()["window"] == {"size": 50, **metrics_of(*split(pairs[-50:]))}


def test_overall_is_exact_over_the_whole_run() -> None:
    pairs = labels(300)
    assert fed(pairs, window=50).summary()["overall"] == metrics_of(*split(pairs))


def test_bounded_scorecard_says_the_same_about_the_window() -> None:
    pairs = labels(333)
    bounded, whole = fed(pairs, window=50, whole_run=False), fed(pairs, window=50)
    assert bounded.summary()["window"] == whole.summary()["window"]


def test_bounded_scorecard_keeps_counts_log_loss_and_brier_overall() -> None:
    pairs = labels(333)
    bounded, whole = fed(pairs, window=50, whole_run=False).summary()["overall"], metrics_of(*split(pairs))
    assert set(bounded) == {"n", "base_rate", "log_loss", "brier"}
    assert all(bounded[name] == pytest.approx(whole[name], rel=1e-12) for name in bounded)


def test_cold_score_is_counted_and_not_judged() -> None:
    card = fed([(0.5, True), (0.5, False)])
    before = card.summary()
    card.observe(0, 99, None, True, "loyal", None)
    after = card.summary()
    assert (after["labels"], after["scored"], after["cold"]) == (3, 2, 1)
    assert after["window"] == before["window"]
    assert after["base_rate"] == 2 / 3


def test_groups_show_the_mean_score_beside_what_came() -> None:
    card = Scorecard()
    card.observe(0, 1, 0.8, True, "at_risk", "gold")
    card.observe(0, 1, 0.6, False, "at_risk", None)
    card.observe(0, 1, None, True, "at_risk", None)
    assert card.summary()["by_stage"]["at_risk"] == {
        "labels": 3,
        "churned_ratio": 2 / 3,
        "scored": 2,
        "scored_churned_ratio": 0.5,
        "mean_probability": 0.7,
    }


def test_summary_of_nothing_is_unknown_not_zero() -> None:
    summary = Scorecard().summary()
    assert summary["labels"] == 0
    assert [summary["window"][k] for k in ("auc", "log_loss", "brier", "ece", "base_rate")] == [None] * 5


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_probability_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="within 0 and 1"):
        Scorecard().observe(0, 1, probability, True, "loyal", None)


def test_state_survives_json_and_goes_on_the_same() -> None:
    pairs, more = labels(120), labels(60, seed=9)
    card = fed(pairs, window=50, whole_run=False)
    restored = Scorecard.from_state(json.loads(json.dumps(card.state())), whole_run=False)
    for p, y in more:
        card.observe(0, 500, p, y, "loyal", None)
        restored.observe(0, 500, p, y, "loyal", None)
    assert restored.summary() == card.summary()


def test_restored_scorecard_does_not_claim_the_whole_run() -> None:
    restored = Scorecard.from_state(fed(labels(120), window=50).state())
    assert "auc" not in restored.summary()["overall"]


def test_state_with_a_lost_score_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in number"):
        Scorecard.from_state({**fed(labels(9)).state(), "kept": 10})
