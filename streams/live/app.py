"""The Faust app, made in one place: settings that served, and the classes that cure its faults.

The numbers in comments are those of FAUST.md, *What bites*.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, cast

import faust
from faust.streams import Stream
from faust.types import EventT, StreamT
from yarl import URL

from streams.core.events import INPUT_TOPICS
from streams.live.bounds import LogBounds
from streams.live.connections import broker_credentials
from streams.live.consumer import Consumer, Transport
from streams.live.exits import Exits
from streams.live.reach import Reach
from streams.live.rebalance import CopartitionedTables, Owners
from streams.live.record_batches import BatchScheduler, BatchSchema
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name

log = logging.getLogger(__name__)

NEVER_S: Final = 20 * 24 * 3600.0
"""As long as Kafka's 32-bit milliseconds nearly allow: an idle worker must not leave the group (9)."""

Deliver = Callable[[EventT[Any]], None]


class EbbtideApp(faust.App):
    """The worker's app: three inputs, one agent, no tables."""

    input_topics: tuple[str, ...]
    changelog_topic: str
    owners: Owners
    exits: Exits
    reach: Reach
    bounds: LogBounds
    gather_ms: int

    @property
    def input_consumer(self) -> Consumer:
        """The consumer of the three inputs."""
        return cast(Consumer, self.consumer)

    def crashed_service(self) -> tuple[str, BaseException] | None:
        """The first of Faust's services that crashed, and why. They crash quietly: the rest goes on without them."""
        consumer = self.input_consumer
        services: list[Any] = [
            self,
            consumer,
            consumer.thread,
            self._fetcher,
            self.topics,
            self.tables,
            self.agents,
        ]
        for service in services:
            if service._crashed.is_set():
                return str(service.label), service.crash_reason or RuntimeError("it crashed without a reason")
        return None

    def _new_transport(self) -> Any:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Any:
        return Transport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Faust keeps no files for us."""

    def _new_consumer(self) -> Any:
        consumer = super()._new_consumer()
        assert isinstance(consumer, Consumer)
        consumer.before_revoke = self.owners.release
        consumer.when_forgotten = self.owners.abandon
        consumer.reach = self.reach
        consumer.bounds = self.bounds
        consumer.thread.gather_ms = self.gather_ms
        return consumer


def create_app(
    settings: Settings, owners: Owners, deliver: Deliver, exits: Exits, reach: Reach | None = None
) -> EbbtideApp:
    """Build the app of one worker.

    Parameters
    ----------
    settings
        Brokers, group, prefix and time limits.
    owners
        Takes and releases partitions.
    deliver
        Given each record batch as one event, at once and in order; it acks the event when all of it is applied.
    exits
        Where everything ends that cannot be trusted.
    reach
        Knows of outages.

    >>> app = create_app(Settings(), owners=None, deliver=print, exits=Exits())
    >>> app.conf.web_enabled, app.input_topics
    (False, ('clicks', 'searches', 'purchases'))
    """
    app = EbbtideApp(
        settings.group_id,
        broker=[URL(f"kafka://{broker.strip()}") for broker in settings.brokers.split(",")],
        broker_credentials=broker_credentials(settings),
        autodiscover=False,
        processing_guarantee="at_least_once",  # exactly_once is unusable (6)
        consumer_auto_offset_reset="earliest",
        ConsumerScheduler=BatchScheduler,
        TableManager=CopartitionedTables,
        store="memory://",  # Faust keeps no tables for us
        stream_buffer_maxsize=4,  # counts batches (21)
        stream_wait_empty=False,  # the owners finish their slice before Faust looks (27)
        stream_publish_on_commit=False,
        stream_recovery_delay=0.0,
        topic_disable_leader=True,
        topic_allow_declare=False,  # topics are provisioned and checked at start (14)
        table_standby_replicas=0,  # (18)
        broker_session_timeout=settings.session_timeout_s,  # a killed worker's partitions wait this long (17)
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_request_timeout=max(settings.request_timeout_s, settings.session_timeout_s),
        broker_rebalance_timeout=60.0,
        broker_commit_interval=settings.commit_interval_s,
        broker_max_poll_interval=NEVER_S,  # (9)
        broker_max_poll_records=None,
        consumer_max_fetch_size=settings.fetch_bytes,
        web_enabled=False,  # its table views serve personal data without a password (12)
        worker_redirect_stdouts=False,  # (16)
    )
    app.input_topics = tuple(topic_name(name, settings) for name in INPUT_TOPICS)
    app.changelog_topic = topic_name(CHANGELOG, settings)
    app.owners = owners
    app.exits = exits
    app.reach = reach or Reach(settings.brokers)
    app.bounds = LogBounds(settings)
    app.gather_ms = round(settings.slice_ms)
    inputs = app.topic(*app.input_topics, schema=BatchSchema(), acks=True)

    @app.agent(inputs, name="partition-owners")
    async def hand_over(stream: StreamT[Any]) -> None:
        # Nothing may leave this body: Faust would ack the event and go on (2). Acks are the owners' (3).
        event: EventT[Any] | None = None
        try:
            async for event in cast(Stream[Any], stream).noack().events():
                deliver(event)
        except Exception as error:  # noqa: BLE001 (ends the process)
            where = "" if event is None else _where(event)
            exits.end(error, f"while handing over {where}")

    return app


def _where(event: EventT[Any]) -> str:
    message = event.message
    return f"{message.topic}, partition {message.partition}, up to offset {message.offset}"
