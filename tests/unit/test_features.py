"""The catalogue: what it promises of its columns, and what a waiting score keeps of them."""

from __future__ import annotations

import struct

import pytest

from streams.core.bends import bends
from streams.core.features import BENT, CATALOGUE, NAMES, OBSERVED, completed, packed, unpacked

SILENCE, GAP, TENURE = 3.5, 2.0, 4.0
HABITS = {"recency_days": SILENCE, "usual_gap_days": GAP, "tenure_days": TENURE, "purchase_days": 1.25}


def observed(**values: float) -> list[float]:
    return [values.get(feature.name, 0.0) for feature in OBSERVED]


def bent(**values: float) -> dict[str, float]:
    return dict(zip((feature.name for feature in BENT), bends(observed(**values)), strict=True))


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_bends_are_taken_of_the_columns_that_they_are_named_after() -> None:
    found = bent(**HABITS, one_time=1.0, order_days_90d=0.5, no_rhythm=1.0)
    assert found["recency_squared"] == SILENCE**2
    assert found["recency_x_tenure"] == SILENCE * TENURE
    assert found["recency_x_purchase_days"] == SILENCE * 1.25
    assert found["recency_x_days_90d"] == SILENCE * 0.5
    assert (found["recency_one_time"], found["tenure_one_time"]) == (SILENCE, TENURE)
    assert found["recency_no_rhythm"] == SILENCE
    assert found["overdue"] == SILENCE - GAP
    assert found["overdue_x_purchase_days"] == (SILENCE - GAP) * 1.25


def test_differences_are_taken_of_the_columns_that_they_are_named_after() -> None:
    found = bent(recency_days=3.0, mean_gap_days=1.0, longest_gap_days=2.0, last_gap_days=1.5, typical_gap_days=0.5)
    assert (found["overdue_mean"], found["overdue_longest"], found["gap_trend"]) == (2.0, 1.0, 0.5)
    assert found["overdue_deviations"] == (3.0 - 0.5) / 0.5
    assert bent(recency_days=3.0, gap_log_spread=1.5)["overdue_deviations"] == 1.5


def test_a_hinge_is_nothing_up_to_its_knot_and_the_rest_beyond() -> None:
    found = bent(**HABITS)
    assert (found["recency_over_19d"], found["recency_over_54d"]) == (0.5, 0.0)
    assert (found["overdue_over_100pct"], found["overdue_over_270pct"], found["overdue_over_740pct"]) == (1.5, 0.5, 0.0)


def test_a_waiting_score_keeps_the_observed_columns_only() -> None:
    assert len(packed([0.0] * len(CATALOGUE))) == 4 * len(OBSERVED) < 4 * len(CATALOGUE)


def test_what_was_kept_is_completed_to_the_vector() -> None:
    kept = observed(**HABITS)
    whole = [*kept, *bends(kept)]
    found = completed(packed(whole))
    assert found is not None
    assert unpacked(found) == pytest.approx(whole, rel=1e-6)


def test_what_another_catalogue_kept_is_not_learned() -> None:
    assert completed(struct.pack("<3f", 1.0, 2.0, 3.0)) is None
