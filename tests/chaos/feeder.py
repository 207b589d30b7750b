"""Publishes the load, day by day at a steady rate, and remembers what was published when.

A day is published over ``DAY_S``, then comes ``PAUSE_S``: longer than the 5 s for which an input counts as drained
without having been asked again. While the broker is away the day waits, and goes on at the same rate.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.core.events import INPUT_TOPICS
from streams.replay.outgoing import partition_of
from streams.settings import Settings
from streams.topics import topic_name
from tests.chaos.recovery import Chunk
from tests.chaos.shop_days import Arrival, ShopDays

DAY_S: Final = 14.0
PAUSE_S: Final = 6.0
CHUNKS_A_DAY: Final = 40
FOR_EVER_S: Final = 1_800.0


class Feeder:
    """See the module. It runs in a thread of its own.

    Parameters
    ----------
    on_chunk
        Told of every portion once Kafka has acknowledged it.
    """

    def __init__(self, settings: Settings, days: ShopDays, on_chunk: Callable[[Chunk], None]) -> None:
        self._settings = settings
        self._days = days
        self._on_chunk = on_chunk
        self._stopping = threading.Event()
        self._names = [topic_name(name, settings) for name in INPUT_TOPICS]
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._producer: Any = None
        self.days = 0
        """Whole days published."""
        self.events = 0
        self.sent_again = 0
        """Events whose acknowledgement failed: the shop's repeats."""
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Ask it to end with the present day."""
        self._stopping.set()

    def abandon(self) -> None:
        """End at once: what is on its way is given up."""
        self._stopping.set()
        if self._producer is not None:
            with contextlib.suppress(KafkaError):
                self._producer.close(timeout=0)

    @property
    def done(self) -> bool:
        """Whether the last day is published whole."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            producer = self._producer = KafkaProducer(
                bootstrap_servers=self._settings.brokers,
                client_id="chaos-shop",
                acks="all",
                enable_idempotence=True,
                delivery_timeout_ms=int(FOR_EVER_S * 1000),
                request_timeout_ms=10_000,
                max_block_ms=int(FOR_EVER_S * 1000),
                reconnect_backoff_max_ms=1_000,
                linger_ms=5,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            try:
                while not self._stopping.is_set():
                    self._publish_day(producer)
                    self.days += 1
                    self._stopping.wait(PAUSE_S)
            finally:
                producer.close(timeout=5)
        except BaseException as error:  # noqa: BLE001 (told to the main thread, which fails the run)
            self.failed = error

    def _publish_day(self, producer: Any) -> None:
        arrivals = self._days.day(self.days)
        size = max(1, -(-len(arrivals) // CHUNKS_A_DAY))
        for first in range(0, len(arrivals), size):
            begun = time.monotonic()
            self._publish(producer, arrivals[first : first + size])
            time.sleep(max(0.0, DAY_S / CHUNKS_A_DAY - (time.monotonic() - begun)))

    def _publish(self, producer: Any, arrivals: list[Arrival]) -> None:
        """Send a portion and wait until all of it is in the log: the next one never overtakes."""
        begun = time.monotonic()
        ends: dict[tuple[str, int], int] = {}
        waiting = [(arrival, self._send(producer, arrival)) for arrival in arrivals]
        while waiting:
            arrival, future = waiting.pop(0)
            try:
                sent = future.get(timeout=FOR_EVER_S)
            except KafkaError:
                self.sent_again += 1
                waiting.append((arrival, self._send(producer, arrival)))
                continue
            place = (sent.topic, sent.partition)
            ends[place] = max(ends.get(place, 0), sent.offset + 1)
        self.events += len(arrivals)
        self._on_chunk(Chunk(begun, time.monotonic(), ends))

    def _send(self, producer: Any, arrival: Arrival) -> Any:
        key = str(arrival.raw["user_id"]).encode()
        return producer.send(
            self._names[arrival.kind],
            value=json.dumps(arrival.raw).encode(),
            key=key,
            partition=partition_of(key, self._settings.partitions),
        )
