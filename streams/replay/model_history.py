"""The cuts of a model and what happened to it: on the topics, or in a finished backfill; and the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from models.errors import ModelError
from models.model_events import event_id
from models.snapshots import verify
from streams.codec import CodecError, decode, encode
from streams.core.errors import InputFileError, SnapshotError, UnknownModelError
from streams.model_records import model_record
from streams.replay.result_folder import MODEL, MODEL_EVENTS, require_result
from streams.topics import MODEL_CUTS, TRAINING_EXAMPLES, topic_name
from streams.topics import MODEL_EVENTS as EVENTS_TOPIC

if TYPE_CHECKING:
    from streams.settings import Settings

LOOK_EVERY_S: Final = 0.5
_SHOWN: Final = ("champion", "examples", "cold_start")


@dataclass(slots=True)
class CutLine:
    """A cut, in short."""

    version: str
    day_ms: int
    days: int
    """For how many days it has served or serves."""
    heads: dict[str, dict[str, Any]]
    """champion, examples and cold_start of each head."""


@dataclass(slots=True)
class ModelHistory:
    """What is known of a model: its cuts, oldest first, and what happened to it."""

    cuts: list[CutLine] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    wanted: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The whole cuts that were asked for, by version."""

    def cut(self, version: str) -> dict[str, Any]:
        """A whole cut that was asked for.

        Raises
        ------
        UnknownModelError
            There is none of that version.
        """
        if version not in self.wanted:
            known = ", ".join(one.version for one in self.cuts[-3:]) or "none yet"
            raise UnknownModelError(
                f"No model cut has the version {version!r}.", f"The newest are {known}; see: ebbtide model list."
            )
        return self.wanted[version]


def from_topics(settings: Settings, versions: frozenset[str] = frozenset()) -> ModelHistory:
    """Read ``model-cuts`` and ``model-events``; keeps only the whole cuts that are named, and the newest.

    Raises
    ------
    BrokerError
        The broker is away, or a topic is missing or holds what is none of ours.
    SnapshotError
        A cut that was asked for is damaged.
    """
    from streams.replay.finished_topics import FinishedTopics

    history, seen = ModelHistory(), set[str]()
    newest: dict[str, Any] | None = None
    for record in FinishedTopics(settings, [MODEL_CUTS, EVENTS_TOPIC]).records():
        body = model_record(record.value, f"{record.topic}, partition {record.partition}, offset {record.offset}")
        if record.topic == EVENTS_TOPIC:
            if body.get("id") not in seen:  # a trainer that started again tells once more what it told
                seen.add(str(body.get("id")))
                history.events.append(body)
        elif body["type"] == "cut":
            newest = _take(history, body, versions, newest)
        elif body["type"] == "same" and history.cuts and history.cuts[-1].version == body.get("version"):
            history.cuts[-1].days += 1
    if newest is not None:
        history.wanted[newest["version"]] = newest
    for version, body in history.wanted.items():
        history.wanted[version] = _verified(body)
    return history


def from_folder(folder: Path) -> ModelHistory:
    """The last cut of a finished backfill, and what happened to its model.

    Raises
    ------
    OutputFolderError, InputFileError
        The folder is no finished result, or a file in it is damaged.
    SnapshotError
        The cut is damaged.
    """
    require_result(folder)
    history = ModelHistory()
    body = _json(folder / MODEL, (folder / MODEL).read_bytes())
    if body.get("type") == "cut":
        _take(history, body, frozenset({str(body.get("version"))}), None)
        history.wanted = {version: _verified(cut) for version, cut in history.wanted.items()}
    path = folder / MODEL_EVENTS
    if path.exists():
        history.events = [_json(path, line) for line in path.read_bytes().splitlines()]
    return history


def rollback_record(cut: Mapping[str, Any], by: str, now_ms: int) -> dict[str, Any]:
    """What asks a trainer to go back to the models of a cut.

    Parameters
    ----------
    cut
        The whole cut.
    by
        Who asks, for the record.
    now_ms
        Wall time: makes the id its own.
    """
    kept = ("horizon_days", "columns", "schema", "champion", "models")
    return {
        "type": "rollback",
        "format": 2,
        "id": event_id("rollback", cut["version"], by, now_ms),
        "version": cut["version"],
        "by": by,
        "heads": {name: {key: head[key] for key in kept} for name, head in cut["heads"].items()},
    }


def ask_for_rollback(settings: Settings, record: Mapping[str, Any]) -> None:
    """Put the question where the trainer reads, in the order of what it learns.

    Raises
    ------
    BrokerError
        Kafka did not take it.
    """
    from streams.replay.connections import kafka_in_words, new_producer

    name = topic_name(TRAINING_EXAMPLES, settings)
    with kafka_in_words(settings, "Write", f"topic {name}", "took no rollback", "Run the same command again."):
        producer = new_producer(settings, "model")
        try:
            sent = producer.send(name, key=b"rollback", value=encode(record), partition=0)
            sent.get(timeout=settings.ack_timeout_s)
        finally:
            producer.close(timeout=settings.ack_timeout_s)


def wait_for_rollback(
    settings: Settings,
    record: Mapping[str, Any],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any] | None:
    """What the trainer says it did, or None where it said nothing in time."""
    wanted, until = event_id("rollback", record["id"]), clock() + seconds
    while True:
        for event in _events(settings):
            if event.get("id") == wanted:
                return event
        if clock() >= until:
            return None
        sleep(LOOK_EVERY_S)


def _events(settings: Settings) -> Iterator[dict[str, Any]]:
    from streams.replay.finished_topics import FinishedTopics

    for record in FinishedTopics(settings, [EVENTS_TOPIC]).records():
        yield model_record(record.value, f"{record.topic}, partition {record.partition}, offset {record.offset}")


def _take(
    history: ModelHistory, body: dict[str, Any], versions: frozenset[str], newest: dict[str, Any] | None
) -> dict[str, Any]:
    """Note a cut; one that is made again by a trainer that started anew is the same."""
    version, day_ms = str(body.get("version")), int(body.get("day", 0))
    heads = body["heads"] if isinstance(body.get("heads"), dict) else _verified(body)["heads"]
    shown = {name: {key: head.get(key) for key in _SHOWN} for name, head in heads.items()}
    if not any(one.version == version for one in history.cuts):
        history.cuts.append(CutLine(version, day_ms, 1, shown))
    if version in versions:
        history.wanted[version] = body
    return body


def _verified(body: dict[str, Any]) -> dict[str, Any]:
    try:
        return verify(body)
    except ModelError as error:
        raise SnapshotError(error.what, error.hint) from error


def _json(path: Path, text: bytes) -> dict[str, Any]:
    try:
        body = decode(text)
    except CodecError as error:
        raise InputFileError(f"{path}: {error}.", "Run the backfill again.") from error
    if not isinstance(body, dict):
        raise InputFileError(f"{path} holds no JSON object.", "Run the backfill again.")
    return body
