"""``ebbtide scorecard`` against a broker, and the trainer's loop that writes what it reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.cli.app import main
from streams.core.messages import BODIES
from streams.live.exits import Exits
from streams.live.trainer_loop import TrainerLoop
from streams.provisioning import ensure_topics
from streams.replay.connections import new_producer
from streams.replay.finished_topics import FinishedTopics
from streams.settings import Settings
from streams.topics import CATALOGUE, MODEL_SCORECARD, TRAINING_EXAMPLES, topic_name
from tests.support.brokers import RunningBroker
from tests.support.catalogue_examples import catalogue_example
from tests.support.training_logs import DAY, START, mark
from tests.support.variables import variables

TALLY = {"since": 0, "heads": {"churn": {"opened": 50, "churned": 12, "returned": 18, "erased": 0}}}
UNTIL = START + 2 * DAY


class Installation:
    """A trainer that ran to the end of a log."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.told: list[dict[str, Any]] = []

    def learn(self) -> None:
        bodies = [catalogue_example(n, START + n) for n in range(30)]
        bodies += [{**mark(START + DAY + 1), "tally": TALLY}, {**mark(UNTIL, until=UNTIL), "tally": TALLY}]
        producer = new_producer(self.settings, "test")
        for body in bodies:
            name = topic_name(TRAINING_EXAMPLES, self.settings)
            producer.send(name, key=b"k", value=json.dumps(body).encode(), partition=0).get(timeout=30)
        producer.close()
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = TrainerLoop(self.settings, Exits(), on_scorecards=self.told.extend)
        await loop.start()
        try:
            await asyncio.wait_for(loop.finished.wait(), 60)
        finally:
            await loop.stop()

    def published(self) -> list[dict[str, Any]]:
        return [
            json.loads(record.value or b"") for record in FinishedTopics(self.settings, [MODEL_SCORECARD]).records()
        ]


@pytest.fixture(scope="module")
def installation(embedded_broker: RunningBroker) -> Installation:
    installation = Installation(embedded_broker.settings(partitions=1, ack_timeout_s=30.0))
    ensure_topics(installation.settings, tuple(CATALOGUE))
    installation.learn()
    return installation


@pytest.fixture
def ebbtide(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)
    for name, value in variables(installation.settings).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["scorecard", *arguments])
        captured = capsys.readouterr()
        return int(str(ended.value.code or 0)), captured.out, captured.err

    return run


def test_the_last_cut_of_a_run_has_its_scorecards_published(installation: Installation) -> None:
    newest = {body["head"]: body for body in installation.published()}
    assert (newest["churn"]["labels"], newest["churn"]["as_of"]) == (30, "2011-01-28T00:00:00.000Z")


def test_what_is_published_is_what_its_type_says(installation: Installation) -> None:
    for body in installation.published():
        msgspec.convert(body, BODIES[MODEL_SCORECARD])


def test_metrics_are_told_what_was_published(installation: Installation) -> None:
    assert installation.told == installation.published()


def test_the_account_of_the_marks_is_published(installation: Installation) -> None:
    (churn,) = [body for body in installation.published() if body["head"] == "churn"][-1:]
    assert (churn["observations"]["opened"], churn["observations"]["pending"]) == (50, 20)


def test_without_a_folder_the_topic_is_shown(ebbtide: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = ebbtide("--head", "churn")
    assert code == 0
    assert "churn: who churned within 30 d" in out
    assert "50 scheduled = 12 churned + 18 returned + 0 erased + 20 pending." in out


def test_json_is_the_newest_record_of_each_head(
    installation: Installation, ebbtide: Callable[..., tuple[int, str, str]]
) -> None:
    _, out, _ = ebbtide("--json")
    newest = {body["head"]: body for body in installation.published()}
    assert {body["head"]: body for body in map(json.loads, out.splitlines())} == newest


def test_before_the_first_cut_there_is_nothing_to_show(
    embedded_broker: RunningBroker, ebbtide: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = embedded_broker.settings(partitions=1)
    ensure_topics(settings, [MODEL_SCORECARD])
    monkeypatch.setenv("EBBTIDE_TOPIC_PREFIX", settings.topic_prefix)
    code, _, err = ebbtide()
    assert code == 1
    assert "There is no scorecard yet" in err
