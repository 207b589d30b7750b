"""What leaves the worker: closed record batches, sent in order, every ack awaited.

Faust only logs a send that failed and commits all the same (FAUST.md 3), so nothing of ours goes through its producer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
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


class Part(NamedTuple):
    """What goes to one partition of a topic."""

    topic: str
    partition: int
    messages: Iterable[Message]

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.topic}, partition {self.partition}"


class Acked(NamedTuple):
    """A batch that Kafka has: its base offset, and the number of its records."""

    base: int
    records: int


class _Sent(NamedTuple):
    """A batch on its way."""

    future: asyncio.Future[Any]
    records: int
    part: Part


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

    async def send(self, topic: str, partition: int, messages: Iterable[Message]) -> list[Acked]:
        """Append messages to one partition, in order, and await the acks; see :meth:`send_all`."""
        (acked,) = await self.send_all([Part(topic, partition, messages)])
        return acked

    async def send_all(self, parts: Iterable[Part]) -> list[list[Acked]]:
        """Append messages to several partitions, in order within each, and await all acks together.

        They are handed over one part after the other, and all wait while one finds the partition busy with batches of
        somebody else: name partitions that are shared last.

        Returns
        -------
        list[list[Acked]]
            For each part, every batch of it.

        Raises
        ------
        BrokerError
            Kafka refused, or did not ack in time. Some of the messages may be in the log.
        """
        began = self._reach.now()
        sent = [await self._handed_over(part, began) for part in parts]
        await self._acks(list(chain.from_iterable(sent)), began)
        return [[Acked(one.future.result().offset, one.records) for one in of_part] for of_part in sent]

    async def _handed_over(self, part: Part, began: float) -> list[_Sent]:
        sent: list[_Sent] = []
        waits = iter(part.messages)
        with self._told(part):
            while True:
                batch = self._started().create_batch()
                left = fill(batch, waits)
                if batch.record_count():
                    sent.append(await self._submit(batch, part, began))
                elif left is not None:
                    raise BrokerError(f"A record of {len(left.value or b'')} bytes fits no batch ({part.where}).")
                if left is None:
                    return sent
                waits = chain((left,), waits)

    async def _submit(self, batch: Any, part: Part, began: float) -> _Sent:
        batch.close()  # an open batch lingers (FAUST.md 26)
        while True:
            try:
                future = await self._started().send_batch(batch, part.topic, partition=part.partition)
                return _Sent(future, batch.record_count(), part)
            except (KafkaTimeoutError, UnknownTopicOrPartitionError):
                # The batch before is not gone yet, or where to send this one is not known: this one was not taken.
                if self._left_s(began) <= 0.0:
                    raise

    async def _acks(self, sent: Sequence[_Sent], began: float) -> None:
        """Wait for all of them; raises what the first one raised."""
        futures: Collection[asyncio.Future[Any]] = [one.future for one in sent]
        while futures:
            done, futures = await asyncio.wait(
                futures,
                timeout=min(LOOK_AGAIN_S, max(0.01, self._left_s(began))),
                return_when=asyncio.FIRST_EXCEPTION,
            )
            for one in sent:
                if one.future in done:
                    with self._told(one.part):
                        one.future.result()
            if futures and self._left_s(began) <= 0.0:
                late = next(one for one in sent if one.future in futures)
                with self._told(late.part):
                    raise TimeoutError

    @contextmanager
    def _told(self, part: Part) -> Iterator[None]:
        """Say where what went wrong went wrong."""
        try:
            yield
        except TimeoutError as error:
            raise BrokerError(
                f"Kafka can be reached, but did not acknowledge within {self._ack_timeout_s:g} s ({part.where}).",
                "Nothing is lost: what was not acknowledged is repeated after a restart.",
            ) from error
        except KafkaError as error:
            refused = refusal(error, self._settings, "Write", f"topic {part.topic}")
            raise refused or BrokerError(f"Kafka refused a batch ({part.where}): {error!r}.") from error

    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RuntimeError("the producer is not started")
        return self._producer

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
