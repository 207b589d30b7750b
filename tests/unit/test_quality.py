"""The figures that scores are judged by, and the bars: by hand, or by another method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.quality.bars import SHOPS, Reference, of_cut, of_mean
from tests.quality.figures import Figures, calibration_error, calibration_excess, figures_of, shifted
from tests.quality.labels import as_served, customers

GOOD = Figures(1_000, 1.0, 0.1, 0.81, 0.09, 0.0, 0.01, 0.0)
BESIDE = Reference(0.81, 0.09, 0.02, 0.01)


def test_equal_scores_stay_in_one_bin() -> None:
    p, y = np.full(100, 0.3), np.arange(100) < 30
    assert calibration_error(p, y) == pytest.approx(0.0)


def test_bins_of_equal_mass_are_weighted_by_their_number() -> None:
    p = np.repeat([0.1, 0.5], 10)
    y = np.array([True] * 10 + [False] * 10)
    assert calibration_error(p, y, bins=2) == pytest.approx((0.9 + 0.5) / 2)


def test_a_shift_meets_the_base_rate_and_keeps_the_order() -> None:
    p = np.linspace(0.05, 0.6, 50)
    moved = shifted(p, 0.7)
    assert moved.mean() == pytest.approx(0.7)
    assert (np.diff(moved) > 0).all()


def test_calibrated_scores_have_no_excess_however_few_they_are() -> None:
    dice = np.random.default_rng(3)
    p = dice.beta(2, 5, 800)
    found = [calibration_excess(p, dice.random(800) < p, simulations=50) for _ in range(20)]
    assert abs(float(np.mean(found))) < 0.005


def test_scores_pushed_to_the_ends_have_an_excess() -> None:
    dice = np.random.default_rng(4)
    p = dice.beta(2, 2, 3_000)
    y = dice.random(3_000) < p
    assert calibration_excess(p**3 / (p**3 + (1 - p) ** 3), y, simulations=50) > 0.05


def test_a_shift_of_all_scores_is_bias_and_no_excess() -> None:
    dice = np.random.default_rng(5)
    p = dice.beta(2, 3, 5_000)
    found = figures_of(shifted(p, 0.6), dice.random(5_000) < p)
    assert found.bias == pytest.approx(0.2, abs=0.02)
    assert found.ece == pytest.approx(0.2, abs=0.02)
    assert found.excess < 0.01


def test_who_has_no_score_lowers_the_share_alone() -> None:
    found = figures_of(np.array([0.2, np.nan, 0.8, 0.4]), np.array([False, True, True, False]))
    assert (found.customers, found.share, found.auc) == (4, 0.75, 1.0)


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, 0),
        ({"auc": 0.8049}, 1),
        ({"brier": 0.0921}, 1),
        ({"bias": -0.031}, 1),
        ({"excess": 0.021}, 1),
        ({"share": 0.979}, 1),
    ],
)
def test_each_bar_is_missed_on_its_own(change: dict[str, Any], missed: int) -> None:
    assert sum(not verdict.holds for verdict in of_cut("x", BESIDE, GOOD._replace(**change))) == missed


def test_the_mean_must_be_above_and_not_equal() -> None:
    assert not of_mean([(BESIDE, GOOD)]).holds
    assert of_mean([(BESIDE, GOOD._replace(auc=0.82))]).holds


def test_the_references_are_those_that_were_fixed() -> None:
    cuts = [reference for shop in SHOPS for reference in shop.references.values()]
    assert sum(reference.auc for reference in cuts) / len(cuts) == pytest.approx(0.8106)
    assert [reference.brier for reference in cuts] == [0.0900, 0.2061, 0.2140, 0.0852, 0.0870]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rows = [
        ("ann", "purchase", "2024-01-10T10:00:00Z", 1, 5.0),
        ("ann", "purchase", "2024-02-10T10:00:00Z", 1, 5.0),
        ("bob", "purchase", "2024-01-20T12:00:00Z", 1, 5.0),
        ("bob", "purchase", "2024-02-05T10:00:00Z", -1, 5.0),
        ("cat", "purchase", "2023-06-01T10:00:00Z", 1, 5.0),
        ("dan", "click", "2024-01-20T10:00:00Z", None, None),
    ]
    place = tmp_path / "log.parquet"
    names = ("user_id", "event_type", "ts", "quantity", "price")
    pl.DataFrame(rows, schema=list(names), orient="row").write_parquet(place)
    return place


def test_customers_bought_in_the_look_back_and_a_refund_is_no_return(log: Path) -> None:
    found = customers(log, "2024-01-31", horizon_days=30, look_back_days=60)
    assert (found.users, found.churned.tolist()) == (["ann", "bob"], [False, True])
    assert found.silence_days.tolist() == pytest.approx([20 + 14 / 24, 10.5])


def test_the_last_score_before_the_cut_is_the_one_served(tmp_path: Path) -> None:
    told = [
        {"user_id": "ann", "as_of": "2024-01-30T10:00:00.000Z", "seq": 4, "probability": 0.4},
        {"user_id": "ann", "as_of": "2024-01-30T10:00:00.000Z", "seq": 5, "probability": 0.5},
        {"user_id": "ann", "as_of": "2024-02-01T10:00:00.000Z", "seq": 6, "probability": 0.9},
        {"user_id": "bob", "as_of": "2024-01-01T10:00:00.000Z", "seq": 1, "probability": None},
    ]
    (tmp_path / "churn-risk.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    served = as_served(tmp_path, ["ann", "bob", "cat"], "2024-01-31")
    assert served[0] == 0.5
    assert np.isnan(served[1:]).all()
