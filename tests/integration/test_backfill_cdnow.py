"""Churn on a classic of buy-till-you-die models (cdnow): one joining cohort, most of whom never come back."""

from __future__ import annotations

import pytest

from tests.support.backfills import backfill, discrimination
from tests.support.shared_logs import real_log

pytestmark = [pytest.mark.data, pytest.mark.slow, pytest.mark.xdist_group("cdnow"), pytest.mark.timeout(900)]


def test_churn_is_told_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    log = real_log("cdnow")
    ran = backfill([log], tmp_path_factory.mktemp("cdnow") / "out", horizon_days=90, until="1998-03-31")
    found = discrimination(ran, log, "1998-03-31", horizon_days=90, look_back_days=450)
    assert found.scored == found.customers
    assert found.auc >= 0.83
    assert found.auc > found.recency_auc
