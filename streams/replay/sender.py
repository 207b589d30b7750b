"""The seam between publishing and Kafka: what is sent, and what is acknowledged."""

from __future__ import annotations

from typing import Any, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.core.errors import BrokerError
from streams.core.events import INPUT_TOPICS
from streams.replay.outgoing import Outgoing, partition_of
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
    """kafka-python's producer, set to keep the order within a partition.

    Without producer ids, as the embedded broker has none: one request on its way per broker, repeated until all
    replicas have acknowledged it.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = {topic: topic_name(topic, settings) for topic in INPUT_TOPICS}
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=[part.strip() for part in settings.brokers.split(",")],
                client_id="ebbtide-publish",
                acks="all",
                enable_idempotence=False,
                max_in_flight_requests_per_connection=1,
                delivery_timeout_ms=int(settings.ack_timeout_s * 1000),
                request_timeout_ms=int(min(settings.request_timeout_s, settings.ack_timeout_s / 2) * 1000),
                linger_ms=20,
                batch_size=256 * 1024,
                compression_type=None,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            self._partitions = {topic: len(self._producer.partitions_for(name)) for topic, name in self._names.items()}
        except KafkaError as error:
            raise BrokerError(
                f"Kafka at {settings.brokers} cannot be published to: {error}.", "Look at the broker's log."
            ) from error

    def send(self, message: Outgoing, timestamp_ms: int) -> Future:
        """Hand over a message, in the partition that a Java producer would choose."""
        topic, key, value = message
        future: Future = self._producer.send(
            self._names[topic],
            value=value,
            key=key,
            partition=partition_of(key, self._partitions[topic]),
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
