"""Promise 3, live: records shuffled within the grace give the settled profiles, labels and model of the sorted log."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams.core.events import DAY_MS, MINUTE_MS
from streams.demo.shop import Arrival, Shop
from streams.policies.reader import read_policy
from streams.replay.offline import OfflineRun, RunOptions
from streams.replay.publisher import publish
from streams.replay.records import RawRecord
from streams.replay.result_folder import ResultFolder
from streams.replay.shards import OneShard
from streams.replay.sources import FileSource
from streams.topics import MODEL_CUTS, TRAINING_EXAMPLES
from tests.support.brokers import RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.live_runs import read_topic
from tests.support.live_settled import live_settled

HORIZON_DAYS = 7
DISPLACED_MS = 9 * MINUTE_MS
FAR_FUTURE_MS = 4_000_000_000_000


class ArrivalsLog:
    """Arrivals as an event log, in the order given."""

    def __init__(self, arrivals: list[Arrival], name: str) -> None:
        self._arrivals = arrivals
        self.path = Path(name)
        self.digest = name.ljust(64, "0")
        self.rows = len(arrivals)
        self.in_order = True
        self.extra_columns: tuple[str, ...] = ()

    def records(self) -> Iterator[RawRecord]:
        for row, arrival in enumerate(self._arrivals):
            yield RawRecord(row, arrival.kind, arrival.ts, arrival.raw, None)


@dataclass(frozen=True)
class Truth:
    """What the sorted log gives offline."""

    settled: dict[str, bytes]
    labels: dict[str, Any]
    version: str


def in_order() -> list[Arrival]:
    arrivals = [one for one in Shop(seed=11, days=40, users=120).arrivals() if isinstance(one.raw, dict)]
    return sorted(arrivals, key=lambda one: (one.ts, one.kind))


def label_of(body: dict[str, Any]) -> tuple[Any, ...]:
    outcome = body["churned"] if body["head"] == "churn" else body["bought"]
    return (body["as_of"], body["label_at"], outcome, body["features"], body["stage"], body["tier"])


def offline(arrivals: list[Arrival], until: int, out: Path) -> Truth:
    options = RunOptions(horizon_days=HORIZON_DAYS, policy=read_policy(None), until=until)
    with ResultFolder(out) as folder:
        shards = OneShard(options)
        run = OfflineRun(
            FileSource([ArrivalsLog(arrivals, "sorted")], FAR_FUTURE_MS), folder, options, lambda _: None, shards
        )
        run.run()
    engine = shards.engine
    bodies = [json.loads(line) for line in (out / "training-examples.jsonl").read_text().splitlines()]
    return Truth(
        settled={user_id: engine.settled(user_id) or b"" for user_id in list(engine.users())},
        labels={body["id"]: label_of(body) for body in bodies},
        version=json.loads((out / "model.json").read_text())["version"],
    )


@pytest.fixture
def fleet(broker: RunningBroker, tmp_path: Path) -> Iterator[Fleet]:
    settings = broker.settings(
        partitions=2, session_timeout_s=6.0, heartbeat_s=1.0, horizon_days=HORIZON_DAYS, state_dir=tmp_path / "here/s"
    )
    with fleet_of(settings, tmp_path) as fleet:
        yield fleet


def test_a_log_shuffled_within_the_grace_gives_the_same_settled_profiles_labels_and_model(
    fleet: Fleet, tmp_path: Path
) -> None:
    arrivals = in_order()
    until = (arrivals[-1].ts // DAY_MS + 1) * DAY_MS
    truth = offline(arrivals, until, tmp_path / "out")
    dice = random.Random(5)
    shuffled = sorted(arrivals, key=lambda one: one.ts + dice.randrange(DISPLACED_MS))
    assert shuffled != arrivals

    publish([ArrivalsLog(shuffled, "shuffled")], fleet.settings, resume_path=tmp_path / "resume.json")
    environment = {"LIVE_CLOCK": "log", "LIVE_UNTIL": str(until), "LIVE_TRAINER": "1"}
    worker = fleet.start("worker", counting=False, environment=environment)
    assert worker.wait(150) == 0, worker.log.read_text()[-3000:]

    examples = [json.loads(record.value) for record in read_topic(fleet.settings, TRAINING_EXAMPLES)]
    labels = {body["id"]: label_of(body) for body in examples if body["type"] == "example"}
    assert len(labels) > 100
    assert labels == truth.labels
    assert live_settled(fleet.settings, until, horizon_days=HORIZON_DAYS) == truth.settled
    final = json.loads(read_topic(fleet.settings, MODEL_CUTS)[-1].value)
    assert (final["final"], final["version"]) == (True, truth.version)
