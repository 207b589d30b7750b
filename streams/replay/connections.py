"""Every reader and writer of kafka-python is made here, so that all of them are secured alike and fail in one voice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from streams.core.errors import BrokerError
from streams.kafka_access import connection_options, refusal
from streams.settings import Settings

BOOTSTRAP_MS: Final = 30_000


@contextmanager
def kafka_in_words(settings: Settings, operation: str, resource: str, doing: str, hint: str) -> Iterator[None]:
    """What the client library raises within becomes ours.

    Parameters
    ----------
    operation, resource
        What we do, in Kafka's words: ``Read``, ``topic clicks``.
    doing, hint
        What stopped, behind "Kafka at ...", and what to do about it.

    Raises
    ------
    AccessError
        Kafka does not let us.
    BrokerError
        Any other trouble with it.
    """
    try:
        yield
    except KafkaError as error:
        refused = refusal(error, settings, operation, resource)
        raise refused or BrokerError(
            f"Kafka at {settings.brokers} {doing} ({type(error).__name__}: {error}).", hint
        ) from error


def new_consumer(settings: Settings, client: str, **options: Any) -> KafkaConsumer:
    """A consumer without a group, which commits nothing.

    Raises
    ------
    SettingsError
        The security settings do not hold together.
    KafkaError
        No broker answers, or it refuses us.
    """
    return KafkaConsumer(
        **connection_options(settings),
        client_id=f"ebbtide-{client}",
        group_id=None,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        fetch_max_wait_ms=100,
        metrics_enabled=False,
        **options,
    )


def new_producer(settings: Settings, client: str) -> KafkaProducer:
    """A producer that keeps the order within a partition.

    Without producer ids, as the embedded broker has none: one request on its way per broker, repeated until all
    replicas have acknowledged it. A repeat of a lost ack carries the same id.

    Raises
    ------
    SettingsError
        The security settings do not hold together.
    KafkaError
        No broker answers, or it refuses us.
    """
    return KafkaProducer(
        **connection_options(settings),
        client_id=f"ebbtide-{client}",
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
