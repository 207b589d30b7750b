"""Every connection of aiokafka and Faust to Kafka is made here, so that all of them are secured alike."""

from __future__ import annotations

import math

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from streams.kafka_access import connection_options, uses_sasl, uses_tls
from streams.live.whole_batches import WHOLE, hand_over_whole_batches
from streams.settings import Settings

hand_over_whole_batches()


def new_consumer(
    settings: Settings, *, fetch_bytes: int = 1 << 22, group: str | None = None, whole_batches: bool = False
) -> AIOKafkaConsumer:
    """A consumer that is no member of a group: it reads what it is assigned, from where it is told to.

    ``group`` lets it read and, while the group has no members, commit that group's offsets. With ``whole_batches`` it
    hands over what :mod:`streams.live.whole_batches` says.

    Raises
    ------
    SettingsError
        The security settings do not hold together.
    """
    return AIOKafkaConsumer(
        **connection_options(settings),
        key_deserializer=WHOLE if whole_batches else None,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_wait_ms=100,
    )


def new_producer(settings: Settings, *, idempotent: bool, batch_bytes: int) -> AIOKafkaProducer:
    """A producer that waits for all replicas and lingers for nothing.

    Raises
    ------
    SettingsError
        The security settings do not hold together.
    """
    # One request that is lost with its connection may not use up all the time that there is for an ack.
    request_s = min(settings.request_timeout_s, settings.ack_timeout_s / 2)
    producer = AIOKafkaProducer(
        **connection_options(settings),
        acks="all",
        enable_idempotence=idempotent,
        max_batch_size=batch_bytes,
        linger_ms=0,
        request_timeout_ms=int(request_s * 1000),
    )
    # aiokafka fails a batch older than a request that finds no leader: after an outage, just when Kafka comes back.
    # How long an ack may take is the outbox's matter, which leaves outages out.
    producer._message_accumulator._batch_ttl = math.inf
    return producer


def new_client(settings: Settings, *, request_timeout_s: float) -> AIOKafkaClient:
    """A bare connection, to see who answers.

    Raises
    ------
    SettingsError
        The security settings do not hold together.
    """
    return AIOKafkaClient(**connection_options(settings), request_timeout_ms=int(request_timeout_s * 1000))


def broker_credentials(settings: Settings) -> CredentialsT | None:
    """The same for the clients that Faust makes; None where nothing is secured.

    Raises
    ------
    SettingsError
        The security settings do not hold together.
    """
    options = connection_options(settings)
    if uses_sasl(settings):
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=options.get("ssl_context"),
        )
    return SSLCredentials(options["ssl_context"]) if uses_tls(settings) else None
