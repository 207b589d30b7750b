"""Nothing lost, nothing counted twice: workers killed and frozen on both brokers, held against a recount."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.live_runs import Found, found, publish

EVENTS = 40_000


@pytest.fixture
def fleet(kafka_first: RunningBroker, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of(kafka_first.settings(partitions=2, session_timeout_s=6.0, heartbeat_s=1.0), tmp_path) as fleet:
        yield fleet


def assert_exact(outcome: Found) -> None:
    assert outcome.state == outcome.wanted
    assert set(outcome.outputs) == outcome.published


def test_faust_517_killed_with_and_without_its_disk_a_worker_counts_every_event_once(fleet: Fleet) -> None:
    """A kill repeats outputs, with transactions or without; here a repeat has the same id, and nothing counts twice."""
    publishing = threading.Thread(target=publish, args=(fleet.settings, 0, EVENTS), kwargs={"rate": 4_000.0})
    publishing.start()
    for wiped in (False, True, False):
        worker = fleet.start("one")
        time.sleep(5.0)
        worker.kill()
        if wiped:
            fleet.wipe("one")
    publishing.join()
    worker = fleet.start("one")
    fleet.until_counted(EVENTS)
    assert worker.stop() == 0
    outcome = found(fleet.settings)
    assert_exact(outcome)
    assert outcome.portraits == outcome.wanted


def test_faust_502_workers_that_come_and_go_count_every_event_once(fleet: Fleet) -> None:
    """FAUST.md 11, 27 (#502): a rebalance redelivers; revoked batches are dropped without hanging the group."""
    publishing = threading.Thread(target=publish, args=(fleet.settings, 0, EVENTS), kwargs={"rate": 3_000.0})
    publishing.start()
    staying = fleet.start("staying")
    fleet.until_said(staying, "Reading partitions [0, 1]")
    guest = fleet.start("guest")
    fleet.until_said(guest, "Reading partitions [")
    assert guest.stop() == 0
    publishing.join()
    fleet.until_counted(EVENTS)
    assert staying.stop() == 0
    assert_exact(found(fleet.settings))


def test_frozen_past_its_session_a_worker_does_no_harm_and_leaves(fleet: Fleet) -> None:
    publish(fleet.settings, 0, 2_000)
    zombie = fleet.start("zombie")
    fleet.until_counted(2_000)
    publishing = threading.Thread(target=publish, args=(fleet.settings, 2_000, EVENTS), kwargs={"rate": 4_000.0})
    publishing.start()
    time.sleep(2.0)
    zombie.freeze()
    successor = fleet.start("successor")
    publishing.join()
    fleet.until_counted(EVENTS)
    zombie.thaw()
    assert zombie.wait(30) != 0
    publish(fleet.settings, EVENTS + 2_000, 2_000)
    fleet.until_counted(EVENTS + 4_000)
    assert successor.stop() == 0
    outcome = found(fleet.settings)
    assert_exact(outcome)
    assert outcome.shadowed == 0
