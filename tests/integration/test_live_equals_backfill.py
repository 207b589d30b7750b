"""One arithmetic: the same log, published and consumed with ``--clock log --until``, gives what backfill gives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.core.instants import parse_instant
from streams.live.accounts import waiting_in
from streams.policies.reader import read_policy
from streams.replay.backfill import run_backfill
from streams.replay.files import open_log
from streams.replay.offline import RunOptions
from streams.replay.publisher import publish
from streams.topics import MODEL_CUTS, MODEL_SCORECARD, TRAINING_EXAMPLES
from tests.support.brokers import RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.live_runs import read_topic
from tests.support.live_settled import live_stored
from tests.support.recomputed_scorecards import assert_recomputed, judged
from tests.support.shared_logs import real_log

UNTIL = "1997-01-24T00:00:00Z"
HORIZON_DAYS = 2
"""So short that the model has learned enough to serve before the end, and labels of what it served are known."""
OUTPUTS = ("segment-changes", "churn-risk", "purchase-propensity", "customer-value", "late-events")
SCORED = {"churn": "churn-risk", "propensity": "purchase-propensity"}

pytestmark = pytest.mark.data


@pytest.fixture
def fleet(broker: RunningBroker, tmp_path: Path) -> Iterator[Fleet]:
    settings = broker.settings(
        partitions=2, session_timeout_s=6.0, heartbeat_s=1.0, horizon_days=HORIZON_DAYS, state_dir=tmp_path / "here/s"
    )
    with fleet_of(settings, tmp_path) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def backfilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("backfill") / "out"
    options = RunOptions(horizon_days=HORIZON_DAYS, policy=read_policy(None), until=parse_instant(UNTIL))
    run_backfill([open_log(real_log("cdnow"), print)], out, options, started_ms=time.time_ns() // 1_000_000)
    return out


def run_live(fleet: Fleet, workers: int, killed: bool) -> None:
    publish([open_log(real_log("cdnow"), print)], fleet.settings, resume_path=fleet.folder / "resume.json")
    until = str(parse_instant(UNTIL))
    base = {"LIVE_CLOCK": "log", "LIVE_UNTIL": until}
    running = [
        fleet.start(f"worker-{n}", counting=False, environment={**base, **({"LIVE_TRAINER": "1"} if n == 0 else {})})
        for n in range(workers)
    ]
    if killed:
        victim = running[-1]
        fleet.until_said(victim, "Reading partitions [")
        time.sleep(2.0)
        victim.kill()
        running[-1] = fleet.start(victim.log.stem, counting=False, environment=base)
    for worker in running:
        assert worker.wait(150) == 0, worker.log.read_text()[-3000:]


def without_place(body: dict[str, Any]) -> dict[str, Any]:
    body.pop("source", None)
    for name in ("topic", "partition", "offset"):
        body.get("cause", {}).pop(name, None)
    return body


def live_outputs(fleet: Fleet, topic: str) -> dict[str, Any]:
    return {
        dict(record.headers)["ce_id"].decode(): without_place(json.loads(record.value))
        for record in read_topic(fleet.settings, topic)
    }


def offline_outputs(folder: Path, topic: str) -> dict[str, Any]:
    bodies = [json.loads(line) for line in (folder / f"{topic}.jsonl").read_text().splitlines()]
    return {body["id"]: without_place(body) for body in bodies}


def bodies(fleet: Fleet, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in read_topic(fleet.settings, topic)]


def assert_scorecards(fleet: Fleet, backfilled: Path) -> None:
    """Live figures are those of the published scores and labels; every score is accounted for, as offline."""
    cards = {body["head"]: body for body in bodies(fleet, MODEL_SCORECARD)}
    examples = bodies(fleet, TRAINING_EXAMPLES)
    offline = json.loads((backfilled / "scorecard.json").read_text())["heads"]
    profiles = live_stored(fleet.settings)
    assert cards["churn"]["scored"] > 1_000
    for head, topic in SCORED.items():
        scores = bodies(fleet, topic)
        assert_recomputed(cards[head], judged(head, scores, examples))
        account = cards[head]["observations"]
        assert account == {**offline[head]["observations"], "partitions": fleet.settings.partitions}
        if head == "churn":  # of propensities some are told and not kept
            assert account["opened"] == len({(one["user_id"], one["as_of"]) for one in scores if one["scheduled"]})
        assert account["pending"] == sum(waiting_in(key.encode(), value)[head] for key, value in profiles.items())


@pytest.mark.parametrize(
    ("workers", "killed"),
    [
        pytest.param(1, False, id="one-worker", marks=pytest.mark.long),
        pytest.param(2, True, id="two-workers-and-a-kill"),
    ],
)
def test_live_outputs_portraits_and_model_equal_backfills(
    fleet: Fleet, backfilled: Path, workers: int, killed: bool
) -> None:
    run_live(fleet, workers, killed)
    for topic in OUTPUTS:
        assert live_outputs(fleet, topic) == offline_outputs(backfilled, topic)
    portraits = {
        record.key.decode(): json.loads(record.value) for record in read_topic(fleet.settings, "user-profiles")
    }
    lines = (backfilled / "profiles.jsonl").read_text().splitlines()
    assert portraits == {body["user_id"]: body for body in map(json.loads, lines)}
    final = json.loads(read_topic(fleet.settings, MODEL_CUTS)[-1].value)
    assert final["final"]
    assert final["version"] == json.loads((backfilled / "model.json").read_text())["version"]
    assert_scorecards(fleet, backfilled)
