"""Nothing lost, nothing counted twice: workers killed and frozen on both brokers, held against a recount."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streams.provisioning import ensure_topics
from streams.settings import Settings
from tests.support.brokers import RunningBroker
from tests.support.live_runs import Found, LiveWorker, counted, found, publish, wait_until

EVENTS = 40_000


class Fleet:
    """The workers of one test."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.workers: list[LiveWorker] = []

    def start(self, name: str) -> LiveWorker:
        settings = replace(self.settings, state_dir=self.folder / "state" / name)
        worker = LiveWorker(settings, self.folder / f"{name}.log")
        self.workers.append(worker)
        return worker

    def wipe(self, name: str) -> None:
        shutil.rmtree(self.folder / "state" / name, ignore_errors=True)

    def until_counted(self, events: int) -> None:
        wait_until(
            lambda: counted(self.settings) >= events, f"{events} events counted", [w.log for w in self.workers], 90
        )


@pytest.fixture
def fleet(broker: RunningBroker, tmp_path: Path) -> Iterator[Fleet]:
    settings = broker.settings(partitions=2, session_timeout_s=6.0, heartbeat_s=1.0)
    ensure_topics(settings)
    fleet = Fleet(settings, tmp_path)
    yield fleet
    for worker in fleet.workers:
        worker.end()


def assert_exact(outcome: Found) -> None:
    assert outcome.state == outcome.wanted
    assert set(outcome.outputs) == outcome.published


def test_killed_with_and_without_its_disk_a_worker_counts_every_event_once(fleet: Fleet) -> None:
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
