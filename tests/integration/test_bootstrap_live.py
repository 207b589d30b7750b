"""History by backfill, then live: bootstrapped workers read the whole log, and nothing is told or counted twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams.cli.app import main
from streams.replay.content_hash import ContentHash
from streams.replay.files import open_log
from streams.replay.publisher import publish
from streams.settings import Settings
from streams.topics import MODEL_CUTS, MODEL_SCORECARD, SEGMENT_CHANGES, USER_PROFILES
from tests.support.backfills import Ran, backfill, instant, shop_rows
from tests.support.brokers import RunningBroker
from tests.support.fleets import fleet_of
from tests.support.live_runs import LiveWorker, read_topic
from tests.support.live_settled import live_settled
from tests.support.variables import variables

HISTORY_ENDS = "2024-03-15T12:00:00Z"
UNTIL = "2024-04-20T05:30:00Z"
HORIZON_DAYS = 5
pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

OUTPUTS = ("segment-changes", "churn-risk", "purchase-propensity", "customer-value", "late-events")
KILLED = """
import os, signal, sys
from streams.replay.handed_over import HandedOver
from streams.cli.app import main

profiles = HandedOver.profiles

def until_killed(self):
    for number, one in enumerate(profiles(self)):
        if number == 25:
            os.kill(os.getpid(), signal.SIGKILL)
        yield one

HandedOver.profiles = until_killed
main(sys.argv[1:])
"""
"""``ebbtide`` that is killed amid the profiles."""


@dataclass(frozen=True, slots=True)
class Story:
    """What was backfilled, and what the live topics hold in the end."""

    settings: Settings
    first: Ran
    whole: Ran
    log: Path
    refused: str
    """What a worker said that came too early."""
    told: list[dict[str, Any]]
    """Segment changes before any worker ran."""
    said: str
    """What the worker said that went on."""


@pytest.fixture(scope="module")
def story(apache_kafka: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    here = tmp_path_factory.mktemp("bootstrap")
    log = here / "shop.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in shop_rows()))
    first = backfill([log], here / "first", horizon_days=HORIZON_DAYS, until=HISTORY_ENDS, handover=True)
    whole = backfill([log], here / "whole", horizon_days=HORIZON_DAYS, until=UNTIL)
    settings = apache_kafka.settings(partitions=2, session_timeout_s=6.0, heartbeat_s=1.0, horizon_days=HORIZON_DAYS)
    with fleet_of(settings, here) as fleet, pytest.MonkeyPatch.context() as patched:
        for name, value in variables(settings).items():
            patched.setenv(name, value)
        command = [sys.executable, "-c", KILLED, "bootstrap", str(first.folder)]
        killed = subprocess.run(command, check=False, cwd=here, capture_output=True, text=True)
        assert killed.returncode == -9, killed.stderr
        early = fleet.start("early", counting=False)
        assert early.wait(60) == 1, early.log.read_text()[-3000:]
        with pytest.raises(SystemExit) as ended:
            main(["bootstrap", str(first.folder)])
        assert not ended.value.code
        told = [json.loads(record.value) for record in read_topic(settings, SEGMENT_CHANGES)]
        publish([open_log(log, print)], settings, resume_path=here / "resume.json")
        going_on = {"LIVE_CLOCK": "log", "LIVE_UNTIL": str(instant(UNTIL)), "LIVE_TRAINER": "1"}
        worker: LiveWorker = fleet.start("worker", counting=False, environment=going_on)
        assert worker.wait(150) == 0, worker.log.read_text()[-3000:]
        yield Story(settings, first, whole, log, early.log.read_text(), told, worker.log.read_text())


def without_place(body: dict[str, Any]) -> dict[str, Any]:
    body.pop("source", None)
    for name in ("topic", "partition", "offset"):
        body.get("cause", {}).pop(name, None)
    return body


def told_in(ran: Ran, topic: str) -> dict[str, dict[str, Any]]:
    return {body["id"]: without_place(body) for body in ran.lines(topic)}


def bodies(story: Story, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in read_topic(story.settings, topic)]


def test_a_worker_that_came_amid_it_was_refused_with_what_to_do(story: Story) -> None:
    assert "is being loaded by `ebbtide bootstrap`, or that was interrupted" in story.refused
    assert "Run it again with the same folder" in story.refused


@pytest.mark.parametrize("topic", OUTPUTS)
def test_workers_tell_what_the_history_had_not_told_and_nothing_else(story: Story, topic: str) -> None:
    live = {body["id"]: without_place(body) for body in bodies(story, topic) if not by_bootstrap(body)}
    before, wanted = told_in(story.first, topic), told_in(story.whole, topic)
    assert live == {name: body for name, body in wanted.items() if name not in before}


def by_bootstrap(body: dict[str, Any]) -> bool:
    return bool(body.get("cause", {}).get("kind") == "policy")


def test_the_bootstrap_told_where_each_user_stands_once_whatever_was_cut_off(story: Story) -> None:
    stands = {
        (user_id, dimension, value)
        for user_id, body in story.first.profiles().items()
        for dimension, value in (
            ("lifecycle", body["lifecycle"]["stage"]),
            ("value_tier", body["value"]["tier"]),
            ("risk_band", None if body["risk"] is None else body["risk"]["band"]),
        )
        if value is not None
    }
    told = {body["id"]: (body["user_id"], body["dimension"], body["current"]) for body in story.told}
    assert sorted(told.values()) == sorted(stands)
    assert {(body["previous"], body["cause"]["kind"]) for body in story.told} == {(None, "policy")}


def test_portraits_are_those_of_the_whole_log(story: Story) -> None:
    live = {record.key.decode(): json.loads(record.value) for record in read_topic(story.settings, USER_PROFILES)}
    assert live == story.whole.profiles()


def test_settled_profiles_are_those_of_the_whole_log_byte_by_byte(story: Story) -> None:
    settled = live_settled(story.settings, instant(UNTIL), horizon_days=HORIZON_DAYS)
    found = ContentHash()
    for line in (story.whole.folder / "profiles.jsonl").read_bytes().splitlines(keepends=True):
        found.add(line + settled[json.loads(line)["user_id"]])
    assert found.hex() == story.whole.summary["hashes"]["profiles"]


def test_the_final_model_is_that_of_the_whole_log(story: Story) -> None:
    final = bodies(story, MODEL_CUTS)[-1]
    wanted = json.loads((story.whole.folder / "model.json").read_text())
    assert (final["final"], final["version"]) == (True, wanted["version"])


def test_every_score_of_before_and_after_is_accounted_for(story: Story) -> None:
    cards = {body["head"]: body["observations"] for body in bodies(story, MODEL_SCORECARD)}
    offline = json.loads((story.whole.folder / "scorecard.json").read_text())["heads"]
    for head, card in cards.items():
        assert card == {**offline[head]["observations"], "partitions": story.settings.partitions}
