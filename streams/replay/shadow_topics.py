"""Shadow topics: where a replay writes what the worker writes, beside the topics that it writes to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Self

from streams import codec, topics
from streams.cloud_events import cloud_event_headers
from streams.core.errors import TopicError
from streams.core.ports import Rejection
from streams.dead_letters import dead_letter
from streams.model_records import record_key
from streams.provisioning import delete_topics, describe, ensure_topics
from streams.replay import result_folder
from streams.replay.connections import kafka_in_words, new_producer
from streams.replay.outgoing import partition_of
from streams.replay.sources import Row
from streams.replay.turn_results import Told
from streams.settings import Settings
from streams.topics import SHADOWED, topic_name

PENDING: Final = 10_000
"""Records on their way, at most, before the oldest is waited for."""
_LEGAL: Final = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)


def suffix_of(name: str) -> str:
    """What stands behind the topics' names for a replay of that name.

    Raises
    ------
    TopicError
        Kafka could not take the name.

    >>> suffix_of("trial")
    '-trial'
    """
    if not _LEGAL.fullmatch(name):
        raise TopicError(f"{name!r} cannot be part of a topic's name.", "Use up to 100 letters, digits, '.', '_', '-'.")
    return f"-{name}"


class ShadowTopics:
    """A replay's outputs into ``<topic>-NAME``, made like the originals: keys, partitions and headers as the worker's.

    As a context manager; leaving it without an exception means that Kafka has everything.

    Parameters
    ----------
    settings
        Brokers, prefix, partitions, retention.
    name
        NAME.
    replace
        Delete what an earlier replay of that name has left; else its topics are in the way.

    Raises
    ------
    TopicError
        The topics are there already, or cannot be made.
    BrokerError
        Kafka is away.
    """

    def __init__(self, settings: Settings, name: str, *, replace: bool = False) -> None:
        suffix = suffix_of(name)
        there = [state.name for state in describe(settings, SHADOWED, suffix=suffix) if state.exists]
        if there and not replace:
            raise TopicError(
                f"An earlier replay has left {', '.join(there)}.", "Choose another --suffix, or add --replace."
            )
        if there:
            delete_topics(settings, SHADOWED, suffix=suffix)
        ensure_topics(settings, SHADOWED, suffix=suffix)
        self._settings = settings
        self._topics = {topic: topic_name(topic, settings, suffix) for topic in SHADOWED}
        self._partitions = {topic: topics.CATALOGUE[topic].partitions(settings) for topic in SHADOWED}
        self._source = f"/ebbtide/{settings.group_id}/replay/{name}"
        self._waiting: deque[tuple[str, Any]] = deque()
        with self._in_words(self._topics[topics.SEGMENT_CHANGES]):
            self._producer = new_producer(settings, "replay")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while kind is None and self._waiting:
                self._await_oldest()
        finally:
            self._producer.close(timeout=self._settings.ack_timeout_s if kind is None else 0)

    def output(self, told: Told) -> None:
        """Send a segment change, risk, late event or portrait, keyed by its user."""
        headers = cloud_event_headers(told.id, told.topic, self._source, told.as_of_ms)
        self._send(told.topic, told.user_id.encode(), told.line[:-1], headers)

    def example(self, body: dict[str, Any], user_id: str) -> None:
        """Send a training example, keyed by its user."""
        self._send(topics.TRAINING_EXAMPLES, user_id.encode(), codec.encode(body))

    def model_record(self, topic: str, body: dict[str, Any]) -> None:
        """Send what happened to a model, or how good it was."""
        if topic in self._topics:
            self._send(topic, record_key(body), codec.encode(body), partition=0)

    def dead_letter(self, rejection: Rejection, row: Row) -> None:
        """Send a rejected record as it was received, into the partition it came from."""
        original = row.original
        assert original is not None, "shadow topics take the records of topics"
        value, headers = dead_letter(original.value, original.headers, rejection)
        self._send(topics.DEAD_LETTERS, original.key, value, headers, row.position.partition)

    def document(self, name: str, body: dict[str, Any]) -> None:
        """Send the final model; what else describes the whole run has no topic."""
        if name == result_folder.MODEL and "day" in body:
            self._send(topics.MODEL_CUTS, b"%d" % body["day"], codec.encode(body), partition=0)

    def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> None:
        if partition is None:
            partition = partition_of(key or b"", self._partitions[topic])
        name = self._topics[topic]
        with self._in_words(name):
            sent = self._producer.send(name, value=value, key=key, headers=list(headers), partition=partition)
        self._waiting.append((name, sent))
        if len(self._waiting) >= PENDING:
            self._await_oldest()

    def _await_oldest(self) -> None:
        name, sent = self._waiting.popleft()
        with self._in_words(name):
            sent.get(timeout=self._settings.ack_timeout_s)

    def _in_words(self, name: str) -> AbstractContextManager[None]:
        hint = "Once it is well, run the same command with --replace."
        return kafka_in_words(self._settings, "Write", f"topic {name}", "did not take the replay", hint)
