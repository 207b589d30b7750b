"""Churn on a classic of buy-till-you-die models (cdnow): one joining cohort, most of whom never come back."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.backfills import Discrimination, backfill, discrimination
from tests.support.shared_logs import real_log

pytestmark = [pytest.mark.data, pytest.mark.long, pytest.mark.timeout(900)]

CUT = "1998-03-31"


def told_apart(log: Path, folder: Path) -> Discrimination:
    ran = backfill([log], folder, horizon_days=90, until=CUT)
    return discrimination(ran, log, CUT, horizon_days=90, look_back_days=450)


def assert_above_the_bar(found: Discrimination) -> None:
    assert found.scored == found.customers
    assert found.auc >= 0.83
    assert found.auc > found.recency_auc


def test_churn_of_every_third_customer_is_told_apart(tmp_path: Path) -> None:
    """A third of the weekly scores in a third of the time; `make quality` has the whole cohort."""
    third = tmp_path / "third.parquet"
    pl.read_parquet(real_log("cdnow")).filter(pl.col("user_id").cast(pl.Int64) % 3 == 1).write_parquet(third)
    assert_above_the_bar(told_apart(third, tmp_path / "out"))
