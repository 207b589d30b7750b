"""What a run must leave behind: the fault-free run, which is the same log in one process without Kafka."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition

from streams.core.engine import PartitionEngine
from streams.live.fence import RESERVED, ChangelogRecord, Restore, writer_of
from streams.policies.reader import read_policy
from streams.replay.offline import OfflineRun, RunOptions
from streams.replay.result_folder import ResultFolder
from streams.replay.shards import OneShard
from streams.replay.sources import FileSource
from streams.settings import Settings
from streams.topics import (
    CHANGELOG,
    CHURN_RISK,
    DEAD_LETTERS,
    LATE_EVENTS,
    MODEL_CUTS,
    SEGMENT_CHANGES,
    TRAINING_EXAMPLES,
    USER_PROFILES,
    topic_name,
)
from tests.chaos.shop_days import DaysLog

TOLD: Final = (SEGMENT_CHANGES, CHURN_RISK)
FAR_FUTURE_MS: Final = 4_000_000_000_000
_PLACE: Final = ("topic", "partition", "offset")

Body = dict[str, Any]


@dataclass(slots=True)
class Left:
    """What a run left behind."""

    settled: dict[str, bytes]
    """Settled profiles, by user."""
    told: dict[str, list[Body]]
    """Outputs in the order of each partition, by topic, repeats included."""
    labels: list[Body]
    """Training examples, repeats included."""
    portraits: dict[str, Body]
    model: str
    """Version of the final model, which names its content; empty where there is none."""
    learned: int
    """Examples that it learned, once each."""
    late: int = 0
    dead: int = 0
    refused: int = 0
    """Changelog records that do not count: a zombie's."""
    shadowed: int = 0
    """Keys whose last record does not count."""
    beyond: list[str] = field(default_factory=list)
    """Inputs whose committed offset is not their end."""


def fault_free(load: DaysLog, until_ms: int, horizon_days: int, folder: Path) -> Left:
    """The run that nothing happened to."""
    options = RunOptions(horizon_days=horizon_days, policy=read_policy(None), until=until_ms)
    with ResultFolder(folder) as results:
        shards = OneShard(options)
        run = OfflineRun(FileSource([load], FAR_FUTURE_MS), results, options, lambda progress: None, shards)
        run.run()
    engine = shards.engine

    def lines(name: str) -> list[Body]:
        path = folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    model = json.loads((folder / "model.json").read_text())
    return Left(
        settled={user_id: engine.settled(user_id) or b"" for user_id in list(engine.users())},
        told={topic: [without_place(body) for body in lines(topic)] for topic in TOLD},
        labels=lines(TRAINING_EXAMPLES),
        portraits={body["user_id"]: without_place(body) for body in lines("profiles")},
        model=model["version"],
        learned=model.get("examples", 0),
        late=len(lines(LATE_EVENTS)),
        dead=len(lines(DEAD_LETTERS)),
    )


def left_behind(settings: Settings, until_ms: int, horizon_days: int, committed: dict[tuple[str, int], int]) -> Left:
    """What a live run left in Kafka: profiles from the changelog, read by the restore rule."""

    def bodies(name: str) -> list[Body]:
        records = read_topic(settings, name)
        return [without_place(json.loads(record.value)) for record in records if record.value is not None]

    stored, refused, shadowed = restored(settings)
    engine = PartitionEngine(read_policy(None), stored, horizon_days=horizon_days, mode="replay")
    engine.watermark = until_ms + 1
    cuts = [body for body in bodies(MODEL_CUTS) if body["type"] == "cut"]
    final = cuts[-1] if cuts and cuts[-1]["final"] else None
    return Left(
        settled={user_id: engine.settled(user_id) or b"" for user_id in stored},
        told={topic: bodies(topic) for topic in TOLD},
        labels=[body for body in bodies(TRAINING_EXAMPLES) if body["type"] == "example"],
        portraits={body["user_id"]: body for body in bodies(USER_PROFILES)},
        model=final["version"] if final else "",
        learned=final.get("examples", 0) if final else 0,
        late=len(bodies(LATE_EVENTS)),
        dead=len(read_topic(settings, DEAD_LETTERS)),
        refused=refused,
        shadowed=shadowed,
        beyond=not_at_end(settings, committed),
    )


def restored(settings: Settings) -> tuple[dict[str, bytes], int, int]:
    """Profiles as the next owner would restore them; records that do not count; keys whose last one does not."""
    stored: dict[str, bytes] = {}
    refused = shadowed = 0
    changelog = read_topic(settings, CHANGELOG)
    for partition in range(settings.partitions):
        restore = Restore()
        entries = [
            ChangelogRecord(record.offset, record.key, record.value, writer_of(record.headers))
            for record in changelog
            if record.partition == partition
        ]
        for key, value in restore.counted(entries):
            if key.startswith(RESERVED):
                continue
            if value is None:
                stored.pop(key.decode(), None)
            else:
                stored[key.decode()] = value
        refused += restore.refused
        shadowed += len(restore.shadowed)
    return stored, refused, shadowed


def read_topic(settings: Settings, name: str) -> list[Any]:
    """Everything in a topic up to its present end, by partition and offset."""
    consumer = _consumer(settings)
    try:
        return _read(consumer, topic_name(name, settings))
    finally:
        consumer.close()


def not_at_end(settings: Settings, committed: dict[tuple[str, int], int]) -> list[str]:
    """Inputs whose committed offset is behind their end, or ahead of it."""
    consumer = _consumer(settings)
    try:
        ends = consumer.end_offsets([TopicPartition(*place) for place in committed])
        places = {(tp.topic, tp.partition): end for tp, end in ends.items()}
    finally:
        consumer.close()
    return [
        f"{topic}, partition {partition}: committed {committed[topic, partition]}, end {end}"
        for (topic, partition), end in sorted(places.items())
        if committed[topic, partition] != end
    ]


def _consumer(settings: Settings) -> Any:
    return KafkaConsumer(bootstrap_servers=settings.brokers, enable_auto_commit=False, auto_offset_reset="earliest")


def _read(consumer: Any, topic: str) -> list[Any]:
    tps = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(tps)
    ends = consumer.end_offsets(tps)
    consumer.seek_to_beginning(*tps)
    records: list[Any] = []
    while any(consumer.position(tp) < ends[tp] for tp in tps):
        for portion in consumer.poll(timeout_ms=500).values():
            records += portion
    return sorted(records, key=lambda record: (record.partition, record.offset))


def without_place(body: Body) -> Body:
    """A body without where its cause stood, which no two runs share."""
    body.pop("source", None)
    for name in _PLACE:
        body.get("cause", {}).pop(name, None)
    return body


def by_id(bodies: Sequence[Body]) -> dict[str, Body]:
    """Bodies by id, the last one of each."""
    return {body["id"]: body for body in bodies}
