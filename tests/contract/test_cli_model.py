"""``ebbtide model`` against a broker: what cuts there are and hold, and a rollback that a trainer carries out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from models.trainer import Trainer
from streams.cli.app import main
from streams.codec import encode
from streams.core.features import SCHEMA
from streams.model_records import TOPIC_OF, learn, new_trainer, record_key
from streams.provisioning import ensure_topics
from streams.replay.connections import new_producer
from streams.replay.finished_topics import FinishedTopics
from streams.replay.model_history import from_topics
from streams.settings import Settings
from streams.topics import CATALOGUE, MODEL_EVENTS, TRAINING_EXAMPLES, topic_name
from tests.support.brokers import RunningBroker
from tests.support.catalogue_examples import catalogue_example
from tests.support.training_logs import DAY, START, Body, mark
from tests.support.variables import variables

Ebbtide = Callable[..., tuple[int, str, str]]


class LiveTrainer:
    """A trainer over the topics of a broker, as ``ebbtide trainer`` drives it, one look at a time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.trainer: Trainer = new_trainer(1, 30)
        self.read = 0

    def look(self) -> None:
        for record in FinishedTopics(self.settings, [TRAINING_EXAMPLES]).records({(TRAINING_EXAMPLES, 0): self.read}):
            self.publish(learn(self.trainer, json.loads(record.value or b""), record.offset, 0))
            self.read = record.offset + 1

    def publish(self, records: list[dict[str, Any]]) -> None:
        send(self.settings, [(TOPIC_OF[one["type"]], record_key(one), encode(one)) for one in records])


def send(settings: Settings, records: list[tuple[str, bytes, bytes]]) -> None:
    producer = new_producer(settings, "test")
    for name, key, value in records:
        producer.send(topic_name(name, settings), key=key, value=value, partition=0).get(timeout=30)
    producer.close()


def days() -> list[Body]:
    """Two days of examples, each closed by a mark."""
    assert len(SCHEMA) > 3
    first = [catalogue_example(n, START + n) for n in range(30)]
    second = [catalogue_example(n, START + DAY + n) for n in range(30, 60)]
    return [*first, mark(START + DAY + 1), *second, mark(START + 2 * DAY + 1)]


@pytest.fixture(scope="module")
def trainer(embedded_broker: RunningBroker) -> LiveTrainer:
    settings = embedded_broker.settings(partitions=1, ack_timeout_s=30.0)
    ensure_topics(settings, tuple(CATALOGUE))
    send(settings, [(TRAINING_EXAMPLES, b"k", json.dumps(body).encode()) for body in days()])
    trainer = LiveTrainer(settings)
    trainer.look()
    return trainer


@pytest.fixture
def ebbtide(
    trainer: LiveTrainer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> Ebbtide:
    monkeypatch.chdir(tmp_path)
    for name, value in variables(trainer.settings).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["model", *arguments])
        captured = capsys.readouterr()
        return int(str(ended.value.code or 0)), captured.out, captured.err

    return run


def versions(trainer: LiveTrainer) -> list[str]:
    return [cut.version for cut in from_topics(trainer.settings).cuts]


def test_list_shows_every_cut_with_its_champions(trainer: LiveTrainer, ebbtide: Ebbtide) -> None:
    code, out, _ = ebbtide("list")
    assert code == 0
    assert all(version in out for version in versions(trainer))
    assert "churn: champion" in out


def test_show_tells_the_heaviest_weights_of_the_newest_cut(trainer: LiveTrainer, ebbtide: Ebbtide) -> None:
    code, out, _ = ebbtide("show", "--most", "5")
    assert code == 0
    assert f"{versions(trainer)[-1]}  churn, 30 d ahead: posterior, 60 labels, still too little to serve" in out


def test_diff_tells_the_labels_learned_in_between(trainer: LiveTrainer, ebbtide: Ebbtide) -> None:
    code, out, _ = ebbtide("diff", *versions(trainer)[:2])
    assert code == 0
    assert "churn: champion posterior, 30 → 60 labels" in out


def test_a_version_that_is_not_there_is_named_with_those_that_are(trainer: LiveTrainer, ebbtide: Ebbtide) -> None:
    code, out, err = ebbtide("show", "19990101-00000000")
    assert (code, out) == (1, "")
    assert "No model cut has the version '19990101-00000000'." in err
    assert versions(trainer)[-1] in err


def test_rollback_only_shows_what_it_would_do_without_yes(trainer: LiveTrainer, ebbtide: Ebbtide) -> None:
    code, _, err = ebbtide("rollback", versions(trainer)[0])
    assert code == 1
    assert "Nothing was done." in err
    assert not from_topics(trainer.settings).events


def test_rollback_is_carried_out_by_the_trainer_and_put_on_record(trainer: LiveTrainer, ebbtide: Ebbtide) -> None:
    good = versions(trainer)[0]
    code, _, err = ebbtide("rollback", good, "--yes", "--by", "ann", "--wait", "0")
    assert code == 1
    assert "The trainer has not answered yet" in err
    trainer.look()
    [event] = from_topics(trainer.settings).events
    assert (event["type"], event["as_of_version"], event["by"]) == ("rollback", good, "ann")
    assert f"rolled back to {good} by ann; serves as {event['to']}" in ebbtide("list")[1]
    assert [record.key for record in FinishedTopics(trainer.settings, [MODEL_EVENTS]).records()] == [
        event["id"].encode()
    ]
