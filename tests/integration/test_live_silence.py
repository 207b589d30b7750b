"""Promise 4, live: a user who does nothing crosses a threshold within seconds of the deadline, by the wall clock."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.core.events import DAY_MS, SECOND_MS
from streams.replay.files import open_log
from streams.replay.publisher import publish
from streams.topics import SEGMENT_CHANGES
from tests.support.brokers import RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.live_runs import read_topic, wait_until

AT_RISK_MS = 60 * DAY_MS
"""Two gaps of the default policy's shop, for a customer with one order."""
GRACE_MINUTES = 0.05


@pytest.fixture
def fleet(embedded_broker: RunningBroker, tmp_path: Path) -> Iterator[Fleet]:
    settings = embedded_broker.settings(
        partitions=1, session_timeout_s=6.0, heartbeat_s=1.0, state_dir=tmp_path / "here/s"
    )
    with fleet_of(settings, tmp_path) as fleet:
        yield fleet


def changes_of(fleet: Fleet, user_id: str) -> list[dict[str, Any]]:
    bodies = [json.loads(record.value) for record in read_topic(fleet.settings, SEGMENT_CHANGES)]
    return [body for body in bodies if body["user_id"] == user_id and body["dimension"] == "lifecycle"]


def test_a_silent_customer_becomes_at_risk_without_any_further_event(fleet: Fleet, tmp_path: Path) -> None:
    worker = fleet.start("worker", counting=False, environment={"EBBTIDE_GRACE_MINUTES": str(GRACE_MINUTES)})
    fleet.until_said(worker, "Reading partitions [")
    now = time.time_ns() // 1_000_000
    deadline = now + 4 * SECOND_MS
    log = tmp_path / "log.jsonl"
    rows = [
        {"event_type": "purchase", "user_id": "ada", "ts": deadline - AT_RISK_MS, "item_id": "i", "price": 9.0},
        {"event_type": "click", "user_id": "bob", "ts": now, "item_id": "i", "action": "view"},
    ]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    publish([open_log(log)], fleet.settings, resume_path=tmp_path / "resume.json")

    wait_until(lambda: len(changes_of(fleet, "ada")) >= 2, "ada's second change", [worker.log], 60.0)
    bought, slipped = changes_of(fleet, "ada")[:2]
    assert (bought["current"], bought["cause"]["kind"]) == ("new_customer", "event")
    assert (slipped["current"], slipped["cause"]["kind"], slipped["mode"]) == ("at_risk", "silence", "live")
    assert slipped["as_of"] == slipped["cause"]["deadline"]
    assert worker.stop() == 0
