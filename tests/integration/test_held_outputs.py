"""A producer's bad day against a live worker: held, kept over a kill -9, released here and discarded there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.core.events import HOUR_MS
from streams.hold_notices import DISCARD, RELEASE
from streams.policies.reader import read_policy
from streams.replay.backfill import run_backfill
from streams.replay.files import open_log
from streams.replay.offline import RunOptions
from streams.replay.output_holds import PartitionHold, chosen, decide, standing
from streams.replay.publisher import publish
from tests.support.brokers import RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.live_runs import LiveWorker, read_topic, wait_until

USERS = 80
DECIDED = ("segment-changes", "churn-risk")
ENVIRONMENT = {"EBBTIDE_HOLD_LEAST_USERS": "20"}


@pytest.fixture
def fleet(embedded_broker: RunningBroker, tmp_path: Path) -> Iterator[Fleet]:
    settings = embedded_broker.settings(
        partitions=2, session_timeout_s=6.0, heartbeat_s=1.0, state_dir=tmp_path / "here/s"
    )
    with fleet_of(settings, tmp_path) as fleet:
        yield fleet


def log_of(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def clicks(at_ms: int, name: str) -> list[dict[str, Any]]:
    return [
        {"event_type": "click", "event_id": f"{name}{n}", "user_id": f"u{n}", "ts": at_ms + n, "action": "view"}
        for n in range(USERS)
    ]


def false_orders(at_ms: int) -> list[dict[str, Any]]:
    return [
        {
            "event_type": "purchase",
            "event_id": f"p{n}",
            "user_id": f"u{n}",
            "ts": at_ms + n,
            "price": 9.0,
            "quantity": 1,
        }
        for n in range(USERS)
    ]


def told(fleet: Fleet, partition: int) -> dict[str, dict[str, Any]]:
    """What was told in a partition, by id; a repeat says the same."""
    bodies: dict[str, dict[str, Any]] = {}
    for record in (record for name in DECIDED for record in read_topic(fleet.settings, name)):
        if record.partition == partition:
            body = json.loads(record.value)
            assert bodies.setdefault(body["id"], body) == body
    return bodies


def holding(fleet: Fleet) -> list[PartitionHold]:
    return [one for one in standing(fleet.settings) if one.hold is not None]


def until(worker: LiveWorker, reached: Any, what: str) -> None:
    wait_until(reached, what, [worker.log], 120.0)


def expected(folder: Path, paths: list[Path]) -> dict[str, dict[str, Any]]:
    options = RunOptions(horizon_days=30, policy=read_policy(None))
    out = folder / "out"
    run_backfill([open_log(path) for path in paths], out, options, started_ms=time.time_ns() // 1_000_000)
    lines = [line for name in DECIDED for line in (out / f"{name}.jsonl").read_text().splitlines()]
    return {body["id"]: body for body in map(json.loads, lines)}


def test_a_bad_day_is_held_over_a_kill_and_decided_while_nobody_owns_it(fleet: Fleet, tmp_path: Path) -> None:
    begin = time.time_ns() // 1_000_000 - 3 * HOUR_MS
    good = log_of(tmp_path, "good", clicks(begin, "c"))
    bad = log_of(tmp_path, "bad", false_orders(begin + HOUR_MS))
    settings = fleet.settings
    worker = fleet.start("worker", counting=False, environment=ENVIRONMENT)
    publish([open_log(good)], settings, resume_path=tmp_path / "good.resume")
    until(worker, lambda: len(told(fleet, 0)) + len(told(fleet, 1)) == USERS, "first stages")
    publish([open_log(bad)], settings, resume_path=tmp_path / "bad.resume")

    def held_whole() -> bool:
        held = read_topic(settings, "held-outputs")
        users = {json.loads(record.value)["user_id"] for name in DECIDED for record in read_topic(settings, name)}
        return len(holding(fleet)) == 2 and len(held) > USERS and len(users) == USERS

    until(worker, held_whole, "both partitions hold")
    plain = expected(tmp_path, [good, bad])
    held = {json.loads(record.value)["id"]: record.partition for record in read_topic(settings, "held-outputs")}
    assert {one.partition for one in holding(fleet)} == {0, 1}
    assert all(one.share > 0.5 and one.body["transitions"] for one in holding(fleet))
    assert set(held).isdisjoint(told(fleet, 0) | told(fleet, 1))

    worker.kill()
    fleet.wipe("worker")
    now_ms = time.time_ns() // 1_000_000
    decide(settings, chosen(standing(settings), [0]), RELEASE, now_ms)
    decide(settings, chosen(standing(settings), [1]), DISCARD, now_ms)
    worker = fleet.start("worker", counting=False, environment=ENVIRONMENT)
    until(worker, lambda: not holding(fleet), "both decisions are carried out")

    of_partition = {body["user_id"]: 0 for body in told(fleet, 0).values()}
    assert set(told(fleet, 0)) == {key for key, body in plain.items() if body["user_id"] in of_partition}
    assert {key for key, partition in held.items() if partition == 1}.isdisjoint(told(fleet, 1))
    portraits = {
        record.key.decode(): json.loads(record.value)["lifecycle"]["stage"]
        for record in read_topic(settings, "user-profiles")
    }
    assert portraits == {f"u{n}": "new_customer" for n in range(USERS)}

    later = log_of(tmp_path, "later", clicks(begin + 2 * HOUR_MS, "d"))
    publish([open_log(later)], settings, resume_path=tmp_path / "later.resume")
    until(worker, lambda: len(holding(fleet)) == 1, "what was discarded and not mended is held again")
    assert worker.stop() == 0
    (again,) = holding(fleet)
    assert (again.partition, again.body["transitions"][0][:2]) == (1, ["visitor", "new_customer"])
