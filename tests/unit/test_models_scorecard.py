"""The scorecard against figures taken by hand over the labels it was given."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from models.evaluation import metrics_of
from models.scorecard import Scorecard
from tests.support.scored_labels import Labels, labels, split


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
    group = card.summary()["by_stage"]["at_risk"]
    assert group.pop("window")["n"] == 2
    assert group == {
        "labels": 3,
        "positive_ratio": 2 / 3,
        "scored": 2,
        "scored_positive_ratio": 0.5,
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


STAGES, TIERS = ("at_risk", "loyal", "growing"), (None, "gold", "silver")


def mixed(n: int, seed: int = 3) -> list[tuple[float | None, bool, str, str | None]]:
    draw = random.Random(seed)
    return [
        (None if draw.random() < 0.1 else p, y, draw.choice(STAGES), draw.choice(TIERS)) for p, y in labels(n, seed)
    ]


def test_figures_of_a_stage_are_those_of_its_scores_within_the_window() -> None:
    card, seen = Scorecard(60), mixed(200)
    for number, (p, y, stage, tier) in enumerate(seen):
        card.observe(number, number + 10, p, y, stage, tier)
    window = [(p, y, stage) for p, y, stage, _ in seen if p is not None][-60:]
    for stage in STAGES:
        expected = metrics_of(*split([(p, y) for p, y, of in window if of == stage]))
        assert card.summary()["by_stage"][stage]["window"] == expected


def test_who_has_no_tier_is_a_group_of_their_own() -> None:
    card = Scorecard()
    card.observe(0, 1, 0.5, True, "loyal", None)
    assert list(card.summary()["by_tier"]) == ["none"]


@pytest.mark.parametrize("by", ["by_stage", "by_tier", "by_cold_start"])
def test_groups_add_up_to_all_labels(by: str) -> None:
    card = Scorecard(50)
    for number, (p, y, stage, tier) in enumerate(mixed(200)):
        card.observe(number, number + 10, p, y, stage, tier)
    summary = card.summary()
    groups = summary[by].values()
    assert sum(group["labels"] for group in groups) == summary["labels"]
    assert sum(group["scored"] for group in groups) == summary["scored"]
    assert sum(group["window"]["n"] for group in groups) == summary["window"]["n"]


def test_cold_scores_are_a_group_without_figures_of_probabilities() -> None:
    card = Scorecard()
    card.observe(0, 1, None, True, "loyal", None)
    card.observe(0, 1, 0.25, False, "loyal", None)
    groups = card.summary()["by_cold_start"]
    assert (groups["cold"]["labels"], groups["cold"]["positive_ratio"], groups["cold"]["window"]["auc"]) == (1, 1, None)
    assert (groups["served"]["labels"], groups["served"]["mean_probability"]) == (1, 0.25)


def test_more_combinations_of_stage_and_tier_than_there_are_codes_become_other() -> None:
    card = Scorecard()
    for number in range(400):
        card.observe(0, 1, 0.5, True, f"stage-{number}", "gold")
    groups = card.summary()["by_stage"]
    assert (len(groups), groups["other"]["labels"]) == (256, 400 - 255)


def state_of_format_1() -> dict[str, Any]:
    """What the release before wrote for 0.8 churned (at_risk, gold), 0.6 returned and one cold (at_risk, none)."""
    return {
        "window": 50,
        "probabilities": "mpmZmZmZ6T8zMzMzMzPjPw==",
        "outcomes": "gA==",
        "kept": 2,
        "labels": 3,
        "churned": 2,
        "scored": 2,
        "scored_churned": 1,
        "log_loss": 1.1394342831883648,
        "brier": 0.39999999999999997,
        "first_as_of": 0,
        "last_label": 1,
        "groups": {
            "stage": {"at_risk": [3, 2, 2, 1, 1.4]},
            "tier": {"gold": [1, 1, 1, 1, 0.8], "none": [2, 1, 1, 0, 0.6]},
        },
    }


def test_a_state_of_format_1_keeps_its_figures() -> None:
    summary = Scorecard.from_state(state_of_format_1(), whole_run=False).summary()
    window = metrics_of([0.8, 0.6], [True, False])
    assert summary["window"] == {"size": 50, **window}
    assert [summary[name] for name in ("labels", "positives", "scored", "cold")] == [3, 2, 2, 1]
    assert summary["by_stage"]["unknown"]["mean_probability"] == pytest.approx(0.7)


@pytest.mark.parametrize("broken", [{"codes": ""}, {"strata": []}, {"outcomes": ""}])
def test_a_state_that_does_not_hold_together_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the kept"):
        Scorecard.from_state({**fed(labels(9)).state(), **broken})
