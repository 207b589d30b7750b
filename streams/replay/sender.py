"""The seam between publishing and Kafka: what is sent, and what is acknowledged."""

from __future__ import annotations

from typing import Any, Protocol

from kafka.errors import KafkaError

from streams.core.events import INPUT_TOPICS
from streams.replay.connections import kafka_in_words, new_producer
from streams.replay.outgoing import Outgoing, place_of
from streams.settings import Settings
from streams.topics import topic_name


class Future(Protocol):
    """An acknowledgement to come, as kafka-python's."""

    @property
    def is_done(self) -> bool:
        """Whether it came, or failed."""

    def get(self, timeout: float | None = None) -> Any:
        """Wait for it, seconds; raises what failed."""


class Sender(Protocol):
    """The small seam between the pump and Kafka."""

    def send(self, message: Outgoing, timestamp_ms: int) -> Future:
        """Hand over a message; acknowledgements come in order within a partition."""

    def close(self, timeout_s: float) -> None:
        """Wait for what is on its way, seconds at most, and go."""


class KafkaSender:
    """kafka-python's producer to the input topics."""

    def __init__(self, settings: Settings) -> None:
        self._names = {topic: topic_name(topic, settings) for topic in INPUT_TOPICS}
        self._partitions: dict[str, int] = {}
        for topic, name in self._names.items():
            with kafka_in_words(settings, "Write", f"topic {name}", "cannot be published to", "Look at its log."):
                if not self._partitions:
                    self._producer = new_producer(settings, "publish")
                self._partitions[topic] = len(self._producer.partitions_for(name))

    def send(self, message: Outgoing, timestamp_ms: int) -> Future:
        """Hand over a message, a user's in the partition that a Java producer would choose."""
        topic, key, value = message
        future: Future = self._producer.send(
            self._names[topic],
            value=value,
            key=key,
            partition=place_of(message, self._partitions[topic]),
            timestamp_ms=timestamp_ms,
        )
        return future

    def close(self, timeout_s: float) -> None:
        """Wait for what is on its way, seconds at most, and go."""
        try:
            self._producer.flush(timeout=timeout_s)
        except KafkaError:  # what is missing then is not acknowledged, which the pump counts
            timeout_s = 0
        self._producer.close(timeout=timeout_s)
