"""Faults of Faust and aiokafka that only a broker shows, each cured; numbers are those of FAUST.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.live_runs import found, publish

SESSION_S = 45.0


@pytest.fixture
def fleet(kafka_first: RunningBroker, tmp_path: Path) -> Iterator[Fleet]:
    settings = kafka_first.settings(partitions=2, session_timeout_s=SESSION_S, heartbeat_s=1.0)
    with fleet_of(settings, tmp_path) as fleet:
        yield fleet


def test_faust_596_and_17_no_record_is_skipped_after_a_restart_that_needs_no_session_timeout(fleet: Fleet) -> None:
    """Stock Faust skips 3 to 72 events per partition at every restart, then its commits stick.

    Every start waits 30 s at most for records, well below the session timeout: the worker before it left the group.
    """
    for restart in range(2):
        publish(fleet.settings, 2_000 * restart, 2_000)
        worker = fleet.start("one")
        fleet.until_counted(2_000 * (restart + 1), 30.0)
        assert worker.stop() == 0
    outcome = found(fleet.settings)
    assert outcome.state == outcome.wanted
    assert sorted(outcome.outputs) == sorted(outcome.published)
    assert outcome.portraits == outcome.wanted
