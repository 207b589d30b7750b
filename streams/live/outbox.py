"""What leaves the worker: closed record batches, sent in order, every ack awaited.

Faust only logs a send that failed and commits all the same (FAUST.md 3), so nothing of ours goes through its producer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from streams.core.errors import BrokerError
from streams.kafka_access import refusal
from streams.live.connections import new_producer
from streams.live.reach import Reach
from streams.settings import Settings

log = logging.getLogger(__name__)

BATCH_BYTES: Final = 256 * 1024
MOST_RECORD_BYTES: Final = 900_000
"""Above it a broker with default limits may refuse a record (1 MiB with keys and headers)."""

LOOK_AGAIN_S: Final = 0.5
"""How often a wait is held against the time that it may take."""

Headers = Sequence[tuple[str, bytes]]


class Message(NamedTuple):
    """One record to send; ``value`` None is a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def fill(batch: Any, messages: Iterator[Message]) -> Message | None:
    """Append messages to a batch while they fit; the first that does not, or None.

    A message is made only when its turn has come, and lives no longer than its bytes are copied: half of what sending
    costs is memory. This is ``BatchBuilder.append`` in a loop, without what it asks of every message anew.
    """
    append, number, now_ms = batch._builder.append, batch._relative_offset, time.time_ns() // 1_000_000
    left = None
    for message in messages:
        key, value, headers = message
        if append(number, now_ms, key, value, headers if type(headers) is list else list(headers)) is None:
            left = message
            break
        number += 1
    batch._relative_offset = number
    return left


class Producer:
    """An aiokafka producer that sends closed batches and waits for their acks.

    Parameters
    ----------
    settings
        How to reach Kafka, and how long to wait for it.
    ack_timeout_s
        A batch without an ack for this long raises; idempotent retries would go on for ever (FAUST.md 26). That of the
        settings by default. Outages do not count: while no broker can be reached, a send waits.
    reach
        Knows of outages.
    """

    def __init__(self, settings: Settings, *, ack_timeout_s: float | None = None, reach: Reach | None = None) -> None:
        self._settings = settings
        self._reach = reach or Reach(settings.brokers)
        self._ack_timeout_s = settings.ack_timeout_s if ack_timeout_s is None else ack_timeout_s
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; idempotent where the broker can (the embedded one cannot).

        Raises
        ------
        BrokerError
            No broker answers.
        """
        producer = self._new(idempotent=True)
        try:
            await self._start(producer)
        except KafkaConnectionError as error:
            await _abandon(producer)
            raise BrokerError(f"No Kafka broker answers at {self._settings.brokers}: {error!r}.") from error
        except KafkaError:
            await _abandon(producer)
            log.info("The broker knows no idempotent producers; repeats of a lost ack are recognised by their ids.")
            producer = self._new(idempotent=False)
            try:
                await self._start(producer)
            except KafkaError as error:
                await _abandon(producer)
                raise BrokerError(f"No Kafka broker answers at {self._settings.brokers}: {error!r}.") from error
        self._producer = producer

    async def stop(self) -> None:
        """Disconnect. Everything sent was awaited by who sent it."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def send(self, topic: str, partition: int, messages: Iterable[Message]) -> list[tuple[int, int]]:
        """Append messages to one partition, in order, and await the acks.

        Returns
        -------
        list[tuple[int, int]]
            (base offset, number of records) of every batch.

        Raises
        ------
        BrokerError
            Kafka refused, or did not ack in time. Some of the messages may be in the log.
        """
        producer = self._producer
        if producer is None:
            raise RuntimeError("the producer is not started")
        where = f"{topic}, partition {partition}"
        began = self._reach.now()
        waiting: list[tuple[asyncio.Future[Any], int]] = []
        try:
            waits = iter(messages)
            while True:
                batch = producer.create_batch()
                left = fill(batch, waits)
                if batch.record_count():
                    waiting.append(await self._submit(producer, batch, topic, partition, began))
                elif left is not None:
                    raise BrokerError(f"A record of {len(left[1] or b'')} bytes fits no batch ({where}).")
                if left is None:
                    break
                waits = chain((left,), waits)
            await self._acks([future for future, _ in waiting], began)
            return [(future.result().offset, count) for future, count in waiting]
        except TimeoutError as error:
            raise BrokerError(
                f"Kafka can be reached, but did not acknowledge within {self._ack_timeout_s:g} s ({where}).",
                "Nothing is lost: what was not acknowledged is repeated after a restart.",
            ) from error
        except KafkaError as error:
            refused = refusal(error, self._settings, "Write", f"topic {topic}")
            raise refused or BrokerError(f"Kafka refused a batch ({where}): {error!r}.") from error

    async def _submit(
        self, producer: AIOKafkaProducer, batch: Any, topic: str, partition: int, began: float
    ) -> tuple[asyncio.Future[Any], int]:
        batch.close()  # an open batch lingers (FAUST.md 26)
        while True:
            try:
                return await producer.send_batch(batch, topic, partition=partition), batch.record_count()
            except (KafkaTimeoutError, UnknownTopicOrPartitionError):
                # The batch before is not gone yet, or where to send this one is not known: this one was not taken.
                if self._left_s(began) <= 0.0:
                    raise

    async def _acks(self, futures: Sequence[asyncio.Future[Any]], began: float) -> None:
        """Wait for all of them; raises what the first one raised, or TimeoutError."""
        pending: Collection[asyncio.Future[Any]] = futures
        while pending:
            done, pending = await asyncio.wait(
                pending,
                timeout=min(LOOK_AGAIN_S, max(0.01, self._left_s(began))),
                return_when=asyncio.FIRST_EXCEPTION,
            )
            for future in done:
                future.result()
            if pending and self._left_s(began) <= 0.0:
                raise TimeoutError

    def _left_s(self, began: float) -> float:
        return self._ack_timeout_s - self._reach.waited_s(began)

    def _new(self, *, idempotent: bool) -> AIOKafkaProducer:
        return new_producer(self._settings, idempotent=idempotent, batch_bytes=BATCH_BYTES)

    async def _start(self, producer: AIOKafkaProducer) -> None:
        try:
            await asyncio.wait_for(producer.start(), self._ack_timeout_s)
        except TimeoutError as error:
            await _abandon(producer)
            raise BrokerError(
                f"No Kafka broker answers at {self._settings.brokers} within {self._ack_timeout_s:g} s."
            ) from error


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Stop a producer that never started; it complains of what it never had."""
    try:
        await producer.stop()
    except (KafkaError, RuntimeError, AttributeError) as error:
        log.debug("While stopping a producer that did not start: %r", error)
