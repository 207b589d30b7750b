"""A worker at info level, fed bad, hostile and fatal records that all carry a marker: no line of its log has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from streams.child_process import end_with_parent
from streams.provisioning import ensure_topics
from streams.replay.connections import new_producer
from streams.settings import Settings
from streams.topics import CLICKS, DEAD_LETTERS, PURCHASES, SEARCHES, USER_PROFILES, topic_name
from tests.support.brokers import RunningBroker
from tests.support.checkout import CHECKOUT
from tests.support.live_runs import read_topic, wait_until
from tests.support.variables import variables

MARKER = "wilhelmina.marker"
USER = f"{MARKER}@example.com"
TS = 1_700_000_000_000

BAD = [
    (CLICKS, f'{{"user_id": "{USER}", "ts"'),
    (CLICKS, f'"{USER}"'),
    (CLICKS, USER),
    (CLICKS, json.dumps([USER])),
    (CLICKS, json.dumps({"user_id": {"email": USER}, "ts": TS})),
    (CLICKS, json.dumps({"user_id": f"\0{USER}", "ts": TS})),
    (CLICKS, json.dumps({"user_id": USER * 500, "ts": TS})),
    (CLICKS, json.dumps({"user_id": USER, "ts": USER})),
    (CLICKS, json.dumps({"user_id": USER, "ts": -1})),
    (CLICKS, json.dumps({"user_id": USER, "ts": TS, "action": {USER: USER}})),
    (SEARCHES, json.dumps({"user_id": USER, "ts": TS, "query": {USER: USER}})),
    (SEARCHES, json.dumps({"user_id": USER, "ts": 2**62, "query": USER})),
    (PURCHASES, json.dumps({"user_id": USER, "ts": TS, "price": USER, "quantity": 1})),
    (PURCHASES, json.dumps({"user_id": USER, "ts": TS, "lines": {USER: USER}})),
    (PURCHASES, json.dumps({"user_id": USER, "ts": TS, "lines": [USER]})),
]
GOOD = [
    (CLICKS, json.dumps({"user_id": USER, "ts": TS, "action": "view", "item_id": USER, "event_id": USER})),
    (SEARCHES, json.dumps({"user_id": USER, "ts": TS + 1, "query": USER})),
    (PURCHASES, json.dumps({"user_id": USER, "ts": TS + 2, "item_id": USER, "price": 1.5, "quantity": 1})),
]
FATAL = [(CLICKS, json.dumps({"user_id": f"{USER}-stumble", "ts": TS + 3, "item_id": "i", "event_id": USER}))]


def send(settings: Settings, records: list[tuple[str, str]]) -> None:
    producer = new_producer(settings, "test")
    try:
        for topic, value in records:
            sent = producer.send(topic_name(topic, settings), value=value.encode(), key=USER.encode(), partition=0)
            sent.get(timeout=60)
    finally:
        producer.close()


def test_no_line_of_a_workers_log_quotes_a_record_not_even_when_it_ends_by_a_bug(
    embedded_broker: RunningBroker, tmp_path: Path
) -> None:
    settings = embedded_broker.settings(partitions=1)
    ensure_topics(settings)
    given = variables(settings) | {
        "EBBTIDE_STATE_DIR": str(tmp_path / "state"),
        "EBBTIDE_HTTP_PORT": "0",
        "EBBTIDE_LOG_LEVEL": "info",
    }
    log = tmp_path / "worker.log"
    with log.open("ab") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.support.stumbling_worker"],
            cwd=CHECKOUT,
            env={**os.environ, **given},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGKILL),  # it waits for a broker that is gone, for ever
        )
    try:
        send(settings, BAD)
        send(settings, GOOD)
        wait_until(lambda: len(read_topic(settings, DEAD_LETTERS)) >= len(BAD), "all bad records set aside", [log])
        wait_until(lambda: bool(read_topic(settings, USER_PROFILES)), "a portrait", [log], 120.0)
        send(settings, FATAL)
        assert worker.wait(120) == 70
    finally:
        worker.kill()
        worker.wait()
    said = log.read_text()
    assert "partition 0" in said.partition("A fault in Ebbtide")[2]
    assert "KeyError: (message left out" in said
    assert MARKER not in said
