"""What the latency benchmark sends, and how outputs are known again: without Kafka."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace

import pytest

from streams.core.instants import parse_instant
from streams.settings import Settings
from tests.bench.live_load import STRANGER_EVERY, Plan, as_live, plan
from tests.bench.output_watch import sighting
from tests.bench.reference_logs import W1

LOG = replace(W1.scaled(400), id="load")
RATE = 200.0


@pytest.fixture(scope="module")
def made() -> Plan:
    """Two seconds of load, an hour ahead."""
    return plan(LOG, RATE, Settings(topic_prefix="p."), wait_s=3_600.0)


def test_every_event_of_the_log_is_sent_to_its_topic_once(made: Plan) -> None:
    ids = [json.loads(record.value)["event_id"] for record in made.records]
    assert ids == [f"load-{number}" for number in range(400)]
    assert {record.topic for record in made.records} == {"p.clicks", "p.searches", "p.purchases"}


def test_events_happen_when_they_are_to_be_sent(made: Plan) -> None:
    times = [json.loads(record.value)["ts"] for record in made.records]
    assert times[200] - times[0] == pytest.approx(1_000, abs=1)
    assert abs(times[0] - (time.time() + 3_600) * 1_000) < 60_000


def test_keys_are_users(made: Plan) -> None:
    assert all(json.loads(record.value)["user_id"].encode() == record.key for record in made.records)


def test_one_event_in_twenty_is_the_first_of_somebody_new(made: Plan) -> None:
    users = Counter(record.key for record in made.records)
    new = [record for record in made.records if b"-new-" in record.key]
    assert len(new) == len(made.strangers) == 400 // STRANGER_EVERY
    assert all(users[record.key] == 1 for record in new)


def test_what_is_due_while_warming_up_does_not_count(made: Plan) -> None:
    counted = made.counted(1.0)
    assert "load-199" not in counted
    assert "load-200" in counted


def test_an_order_of_the_load_is_no_order_of_the_history() -> None:
    row = {"event_type": "purchase", "event_id": "w1-7", "user_id": "u", "ts": 1, "order_id": "o7"}
    assert as_live(row, 7, "load", 5)["order_id"] == "load-o7"


def test_a_segment_change_is_known_by_its_event(made: Plan) -> None:
    body = {"id": "o", "user_id": "u", "as_of": "2026-01-01T00:00:00.000Z", "cause": {"event_id": "load-3"}}
    assert made.intended_s[sighting(body, 0.0).cause] == made.begin_s + 3 / RATE


def test_a_score_is_known_by_user_and_instant(made: Plan) -> None:
    event = json.loads(made.records[3].value)
    as_of = next(cause for cause in made.intended_s if cause.startswith(f"{event['user_id']} at ")).split(" at ")[1]
    assert parse_instant(as_of) == event["ts"]
    seen = sighting({"id": "o", "user_id": event["user_id"], "as_of": as_of}, 0.0)
    assert made.intended_s[seen.cause] == made.begin_s + 3 / RATE


def test_an_output_of_silence_has_no_event_of_ours(made: Plan) -> None:
    body = {"id": "o", "user_id": "u", "as_of": "2020-01-01T00:00:00.000Z", "cause": {"kind": "silence"}}
    assert sighting(body, 0.0).cause not in made.intended_s
