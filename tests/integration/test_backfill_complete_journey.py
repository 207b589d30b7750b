"""Churn on a real log of households (complete_journey_dev): above the bar, and above silence alone."""

from __future__ import annotations

import pytest

from tests.quality.money import purses
from tests.quality.value import CASES, at_cuts
from tests.support.backfills import Ran, backfill, discrimination
from tests.support.shared_logs import real_log

pytestmark = [pytest.mark.data, pytest.mark.long, pytest.mark.timeout(1_800)]

NAME = "complete_journey_dev"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return backfill([real_log(NAME)], tmp_path_factory.mktemp("journey") / "out", until="2017-11-15")


@pytest.mark.parametrize("at", ["2017-09-30", "2017-11-15"])
def test_churn_is_told_apart(ran: Ran, at: str) -> None:
    found = discrimination(ran, real_log(NAME), at, horizon_days=30, look_back_days=90)
    assert found.scored == found.customers
    assert found.auc >= 0.85
    assert found.auc > found.recency_auc


def test_the_run_ends_at_until(ran: Ran) -> None:
    assert ran.summary["watermark"] == "2017-11-15T00:00:00.000Z"
    assert ran.summary["event_time"]["to"] <= "2017-11-15T00:00:00.000Z"


def test_expected_spend_is_as_good_as_the_bars_ask(ran: Ran) -> None:
    """Total within a tenth, error below that of the own mean, ranking above that by past spend, at both cuts."""
    (case,) = (case for case in CASES if case.log == NAME)
    found = at_cuts(case, ran.folder, purses(real_log(NAME)))
    assert [row.name for row in found] == list(case.cuts)
    assert all(row.n > 1_300 for row in found)
    assert [row.held for row in found] == [(True, True, True)] * 2
