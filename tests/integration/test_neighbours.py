"""A worker among bad neighbours, in short (`make neighbours` is the long version, with figures).

One worker starts on Apache Kafka behind a day's backlog of three topics, published one after the other, among it a
producer whose clock is a year ahead, records no broker would take back with headers added, and orders of thousands of
lines of one user.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams.core.events import DAY_MS, MINUTE_MS, Kind
from streams.core.instants import parse_instant
from streams.policies.reader import read_policy
from streams.replay.offline import OfflineRun, RunOptions
from streams.replay.records import RawRecord
from streams.replay.result_folder import ResultFolder
from streams.replay.shards import OneShard
from streams.replay.sources import FileSource
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, LATE_EVENTS
from tests.neighbours.load import Lag, Sent, event, memory_mb, now_ms, publish, wait_applied
from tests.support.brokers import RunningBroker
from tests.support.fleets import fleet_of
from tests.support.live_runs import read_topic
from tests.support.live_settled import live_settled

pytestmark = pytest.mark.kafka

COUNT = 3_000
YEAR_MS = 365 * DAY_MS
CEILING_MB = 600
KINDS = {"clicks": Kind.CLICK, "searches": Kind.SEARCH, "purchases": Kind.PURCHASE}


class LogOf:
    """Published records as an event log in time order."""

    def __init__(self, records: list[Sent]) -> None:
        self._bodies = [(json.loads(record.value or b""), KINDS[record.topic]) for record in records]
        self._bodies.sort(key=lambda one: (one[0]["ts"], one[1]))
        self.path, self.digest, self.rows = Path("published"), "published".ljust(64, "0"), len(records)
        self.in_order, self.extra_columns = True, ()

    def records(self) -> Iterator[RawRecord]:
        for row, (body, kind) in enumerate(self._bodies):
            yield RawRecord(row, kind, parse_instant(body["ts"]), body, None)


@dataclass(frozen=True)
class Aftermath:
    """What was there once the worker had applied everything."""

    settings: Settings
    good: list[Sent]
    until: int
    peak_mb: float


def a_day(at: int) -> list[Sent]:
    """A day of three topics, each out of order by up to a minute."""
    dice = random.Random(4)
    fields: dict[str, Any] = {"action": "view", "query": "q", "item_id": "i", "price": 2.0, "category": "tea"}
    topics = ("clicks", "clicks", "searches", "purchases")
    instants = [at - DAY_MS + n * (DAY_MS // COUNT) - dice.randrange(MINUTE_MS) for n in range(COUNT)]
    day = [
        event(topics[n % 4], f"u{dice.randrange(100)}", ts, event_id=f"e{n}", **fields) for n, ts in enumerate(instants)
    ]
    line = {"item_id": "item-" + "x" * 30, "price": 1.5, "quantity": 2}
    return day + [
        event("purchases", "bulk", at - MINUTE_MS + n, event_id=f"l{n}", order_id=f"o{n}", lines=[line] * 2_500)
        for n in range(12)
    ]


def bad_ones(at: int) -> list[Sent]:
    """What must end as dead letters."""
    wrong = event("clicks", "u1", at + YEAR_MS, action="view")
    return [
        wrong,
        wrong._replace(timestamp=at + YEAR_MS),
        Sent("searches", b"big", b" " * 990_000),
        Sent("searches", b"k" * 200_000, b"{", [("trace", b"t" * 90_000)] * 8),
    ]


@pytest.fixture(scope="module")
def aftermath(apache_kafka: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    folder = tmp_path_factory.mktemp("neighbours")
    settings = apache_kafka.settings(
        partitions=2, session_timeout_s=6.0, heartbeat_s=1.0, horizon_days=7, state_dir=folder / "here/s"
    )
    at = now_ms()
    good, bad = a_day(at), bad_ones(at)
    with fleet_of(settings, folder) as fleet:
        for topic in ("purchases", "searches", "clicks"):
            publish(settings, [record for record in [*bad, *good] if record.topic == topic])
        worker = fleet.start("worker", counting=False)
        wait_applied(Lag(settings), lambda: worker.process.poll() is None, 150.0)
        peak = memory_mb(worker.process.pid)[1]
        assert worker.stop() == 0, worker.log.read_text()[-3_000:]
    return Aftermath(settings, good, at + DAY_MS, peak)


def test_every_bad_record_is_a_dead_letter_whatever_its_size_and_timestamp(aftermath: Aftermath) -> None:
    letters = [dict(record.headers) for record in read_topic(aftermath.settings, DEAD_LETTERS)]
    reasons = Counter(headers["__streams.errors.exception"].decode() for headers in letters)
    assert reasons == {"future": 2, "oversized": 1, "not_json": 1}


def test_nothing_becomes_late_that_was_not(aftermath: Aftermath) -> None:
    assert read_topic(aftermath.settings, LATE_EVENTS) == []


def test_profiles_are_those_of_a_backfill_of_the_same_day(aftermath: Aftermath, tmp_path: Path) -> None:
    options = RunOptions(horizon_days=7, policy=read_policy(None), until=aftermath.until)
    with ResultFolder(tmp_path / "out") as out:
        shards = OneShard(options)
        run = OfflineRun(FileSource([LogOf(aftermath.good)], aftermath.until), out, options, lambda _: None, shards)
        run.run()
    engine = shards.engine
    expected = {user_id: engine.settled(user_id) for user_id in list(engine.users())}
    assert live_settled(aftermath.settings, aftermath.until, horizon_days=7) == expected


def test_memory_stays_below_its_ceiling(aftermath: Aftermath) -> None:
    assert aftermath.peak_mb < CEILING_MB
