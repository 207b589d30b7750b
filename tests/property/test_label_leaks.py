"""Outcomes permuted across users within a maturity week cannot be ranked; a leak would rank them."""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
import pytest

from streams.core.instants import parse_instant
from streams.replay.files import open_log
from streams.replay.sources import FileSource
from tests.support.offline_runs import PUBLISHED_MS, Body, SomeUsers, run_offline
from tests.support.permutations import (
    Served,
    label_week,
    learnable,
    learned_and_served,
    permuted,
    ranking,
    with_leak,
)
from tests.support.shared_logs import real_log

HORIZON_DAYS: Final = 30
FEW_LABELS: Final = 200
MOST_ERRORS: Final = 4.0


def test_the_standard_error_is_that_over_all_orders_of_the_outcomes() -> None:
    scores = (0.1, 0.4, 0.4, 0.7, 0.9)
    every = [
        ranking(Served(p, k in chosen, "week") for k, p in enumerate(scores)).auc
        for chosen in itertools.combinations(range(5), 2)
    ]
    assert np.mean(every) == pytest.approx(0.5)
    one = ranking(Served(p, k < 2, "week") for k, p in enumerate(scores))
    assert one.standard_error == pytest.approx(float(np.std(every)))


def test_pairs_of_different_weeks_are_not_compared() -> None:
    served = [Served(0.1, False, 1), Served(0.2, True, 1), Served(0.8, False, 2), Served(0.9, True, 2)]
    assert ranking(served).auc == 1.0
    assert ranking(served).pairs == 2


@pytest.fixture(scope="module")
def examples() -> list[Body]:
    """One customer in 48 of a real shop's first seven months."""
    source = SomeUsers(FileSource([open_log(real_log("cdnow"))], PUBLISHED_MS), 48)
    with pytest.MonkeyPatch.context() as patched:
        kept = run_offline(
            source, patched, horizon_days=HORIZON_DAYS, until=parse_instant("1997-07-31"), only_examples=True
        )
    return learnable(kept.examples)


@pytest.mark.data
def test_permuted_outcomes_keep_each_weeks_base_rate_and_nothing_else(examples: list[Body]) -> None:
    changed = permuted(examples, 1)
    assert [body["id"] for body in changed] == [body["id"] for body in examples]
    moved = sum(a["churned"] != b["churned"] for a, b in zip(changed, examples, strict=True))
    assert moved > len(examples) / 8
    for week in {label_week(body) for body in examples}:
        before = [body["churned"] for body in examples if label_week(body) == week]
        assert sorted(before) == sorted(body["churned"] for body in changed if label_week(body) == week)


@pytest.mark.data
def test_permuted_outcomes_cannot_be_ranked(examples: list[Body]) -> None:
    found = ranking(learned_and_served(permuted(examples, 1), HORIZON_DAYS, min_labels=FEW_LABELS))
    assert found.standard_error < 0.03
    assert abs(found.errors_from_half) <= MOST_ERRORS


@pytest.mark.data
def test_a_feature_that_knows_the_outcome_is_found_out(examples: list[Body]) -> None:
    found = ranking(learned_and_served(with_leak(permuted(examples, 1), 2), HORIZON_DAYS, min_labels=FEW_LABELS))
    assert found.errors_from_half > 2 * MOST_ERRORS


@pytest.mark.data
def test_true_outcomes_are_ranked_well_through_the_same_lane(examples: list[Body]) -> None:
    found = ranking(learned_and_served(examples, HORIZON_DAYS, min_labels=FEW_LABELS))
    assert found.auc > 0.65
    assert not math.isnan(found.standard_error)
