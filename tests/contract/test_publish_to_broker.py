"""Publishing to a real broker: every row arrives once, in order, in the partition its user belongs to. And once more,
mended, what was rejected."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from streams import codec
from streams.child_process import free_port
from streams.core.errors import BrokerError, TopicError
from streams.core.events import INPUT_TOPICS
from streams.provisioning import ensure_topics
from streams.replay import publisher
from streams.replay.files import open_log
from streams.replay.outgoing import partition_of
from streams.replay.publisher import publish
from streams.replay.redrive_desk import stored_ledger
from streams.settings import Settings
from tests.support.brokers import RunningBroker
from tests.support.event_logs import write_log
from tests.support.redriven_letters import LEASE_MS, LETTERS, ONCE, Cut, CutDesk, redrive_all, redriven, write_letters

PARTITIONS = 4


@pytest.fixture
def settings(broker: RunningBroker) -> Settings:
    """Topics that nobody has used."""
    return broker.settings(partitions=PARTITIONS)


def rows(count: int) -> list[dict[str, Any]]:
    types = ("click", "search", "purchase")
    return [{"event_type": types[n % 3], "user_id": f"u{n % 17}", "ts": 1_600_000_000_000 + n} for n in range(count)]


def arrived(settings: Settings) -> dict[tuple[str, int], list[tuple[bytes, dict[str, Any]]]]:
    """(topic, partition) -> (key, body) of every record, in the order of offsets."""
    partitions = [TopicPartition(settings.topic_prefix + name, n) for name in INPUT_TOPICS for n in range(PARTITIONS)]
    consumer = KafkaConsumer(
        bootstrap_servers=settings.brokers, auto_offset_reset="earliest", consumer_timeout_ms=1_500
    )
    try:
        consumer.assign(partitions)
        found: dict[tuple[str, int], list[tuple[bytes, dict[str, Any]]]] = {}
        for record in consumer:
            place = (record.topic.removeprefix(settings.topic_prefix), record.partition)
            found.setdefault(place, []).append((record.key, codec.decode(record.value)))
        return found
    finally:
        consumer.close()


def test_every_row_arrives_once_in_order_where_its_user_belongs(settings: Settings, tmp_path: Path) -> None:
    log = open_log(write_log(tmp_path / "log.jsonl", rows(3_000)))
    report = publish([log], settings, resume_path=tmp_path / "progress.json")
    found = arrived(settings)
    assert report.acknowledged == 3_000
    assert report.by_topic == {"clicks": 1_000, "searches": 1_000, "purchases": 1_000}
    ids = [body["event_id"] for bodies in found.values() for _, body in bodies]
    assert len(ids) == len(set(ids)) == 3_000
    for (_, partition), bodies in found.items():
        instants = [body["ts"] for _, body in bodies]
        assert instants == sorted(instants)
        assert all(key == body["user_id"].encode() for key, body in bodies)
        assert all(partition_of(key, PARTITIONS) == partition for key, _ in bodies)


def test_publishing_again_sends_nothing(settings: Settings, tmp_path: Path) -> None:
    log = open_log(write_log(tmp_path / "log.jsonl", rows(30)))
    publish([log], settings, resume_path=tmp_path / "progress.json")
    report = publish([log], settings, resume_path=tmp_path / "progress.json")
    assert (report.resumed, report.acknowledged) == (30, 0)
    assert sum(map(len, arrived(settings).values())) == 30


def test_publishing_again_on_request_repeats_the_same_ids(settings: Settings, tmp_path: Path) -> None:
    log = open_log(write_log(tmp_path / "log.jsonl", rows(30)))
    publish([log], settings, resume_path=tmp_path / "progress.json")
    publish([log], settings, resume_path=tmp_path / "progress.json", again=True)
    ids = [body["event_id"] for bodies in arrived(settings).values() for _, body in bodies]
    assert (len(ids), len(set(ids))) == (60, 30)


def test_topics_with_other_partitions_are_refused(settings: Settings, tmp_path: Path) -> None:
    ensure_topics(Settings(brokers=settings.brokers, partitions=2, topic_prefix=settings.topic_prefix), INPUT_TOPICS)
    log = open_log(write_log(tmp_path / "log.jsonl", rows(3)))
    with pytest.raises(TopicError):
        publish([log], settings, resume_path=tmp_path / "progress.json")
    assert not (tmp_path / "progress.json").exists()


def test_no_broker_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(write_log(tmp_path / "log.jsonl", rows(3)))
    nowhere = Settings(brokers=f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(publisher, "ensure_topics", partial(ensure_topics, timeout_s=1.0))
    with pytest.raises(BrokerError, match="No Kafka broker answered"):
        publish([log], nowhere, resume_path=tmp_path / "progress.json")
    assert not (tmp_path / "progress.json").exists()


def test_what_a_redrive_had_sent_when_it_was_cut_off_is_found_in_the_input_and_nothing_is_sent_twice(
    settings: Settings,
) -> None:
    write_letters(settings)
    with pytest.raises(Cut):
        redrive_all(settings, CutDesk)
    assert set(stored_ledger(settings, LEASE_MS).unsure) != set()
    report = redrive_all(settings, run="two")
    assert (report.found, report.sent.total()) == (LETTERS, 0)
    assert redriven(settings) == ONCE
