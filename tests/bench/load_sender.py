"""Sends a planned load, each record when it is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, Producer

from streams.settings import Settings
from tests.bench.live_load import Plan
from tests.bench.open_loop import percentile

_TICK_S: Final = 0.001


def send(made: Plan, settings: Settings) -> float:
    """Send each record when it is due; p99 of how late it was handed to the producer, ms.

    The producer is librdkafka, set as Java's is by default: idempotent, all acks, a linger of 5 ms.

    Raises
    ------
    AssertionError
        Kafka did not take all of it.
    """
    failed: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": settings.brokers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    producer.list_topics(timeout=30)
    late_s: list[float] = []
    sent, schedule = 0, made.schedule
    while sent < schedule.count:
        passed_s = time.monotonic() - made.begin_s
        due = schedule.due_by(passed_s)
        for record in made.records[sent:due]:
            producer.produce(record.topic, record.value, record.key, on_delivery=_noting(failed))
        if due > sent:
            late_s.append(time.monotonic() - made.begin_s - schedule.due_s(sent))
        sent = due
        producer.poll(0)
        time.sleep(_TICK_S)
    left = producer.flush(60)
    if left or failed:
        raise AssertionError(f"{left} records were not taken, {len(failed)} refused: {failed[:1]}")
    return percentile(late_s, 0.99) * 1_000.0


def _noting(failed: list[str]) -> Callable[[KafkaError | None, object], None]:
    def delivered(error: KafkaError | None, message: object) -> None:
        if error is not None:
            failed.append(str(error))

    return delivered
