"""Where logs end and what stands there, asked with fetches.

The embedded broker answers the question for the newest offset with the base offset of the last batch (FAUST.md); the
high watermark in the answer to a fetch is right everywhere.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.core.errors import BrokerError
from streams.kafka_access import refusal
from streams.live.connections import new_consumer
from streams.settings import Settings


async def log_end(settings: Settings, tp: tuple[str, int], *, stall_s: float) -> int:
    """The offset that the next record of a topic's partition will get.

    Raises
    ------
    BrokerError
        No fetch was answered for ``stall_s`` seconds.
    """
    where = TopicPartition(*tp)
    async with _reading(settings, where.topic) as consumer:
        consumer.assign([where])
        return await _end(consumer, where, stall_s)


async def newest_of_key(
    settings: Settings, topic: str, key: bytes, *, stall_s: float
) -> AsyncGenerator[tuple[int, bytes], None]:
    """Of every partition that has a record of a key: the partition and the newest one's value, found from the end.

    Raises
    ------
    BrokerError
        No fetch was answered for ``stall_s`` seconds.
    """
    async with _reading(settings, topic) as consumer:
        for partition in range(settings.partitions):
            tp = TopicPartition(topic, partition)
            consumer.assign([tp])
            if (found := await _newest(consumer, tp, key, stall_s)) is not None:
                yield partition, found


async def _newest(consumer: AIOKafkaConsumer, tp: TopicPartition, key: bytes, stall_s: float) -> bytes | None:
    oldest = int((await consumer.beginning_offsets([tp]))[tp])
    last, span = await _end(consumer, tp, stall_s), 500
    while last > oldest:
        first = max(oldest, last - span)
        found = await _newest_between(consumer, tp, key, first, last, stall_s)
        if found is not None:
            return found
        last, span = first, span * 4
    return None


async def _end(consumer: AIOKafkaConsumer, tp: TopicPartition, stall_s: float) -> int:
    """The end of a partition that is assigned: aiokafka learns of a topic by assigning it, and waits for ever else."""
    asked = int((await consumer.end_offsets([tp]))[tp])
    if asked == 0:  # nothing was ever there, whichever broker says so
        return 0
    consumer.seek(tp, asked)
    until = time.monotonic() + stall_s
    while (found := consumer.highwater(tp)) is None:
        await consumer.getmany(tp, timeout_ms=100)
        if time.monotonic() > until:
            raise _silent(tp, asked, stall_s)
    return max(asked, int(found))


async def _newest_between(
    consumer: AIOKafkaConsumer, tp: TopicPartition, key: bytes, first: int, last: int, stall_s: float
) -> bytes | None:
    consumer.seek(tp, first)
    newest: bytes | None = None
    reached, progressed = first, time.monotonic()
    while reached < last:
        for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
            if record.key == key and record.offset < last:
                newest = record.value
        position = await consumer.position(tp)
        if position > reached:
            reached, progressed = position, time.monotonic()
        elif time.monotonic() - progressed > stall_s:
            raise _silent(tp, reached, stall_s)
    return newest


def _silent(tp: TopicPartition, offset: int, stall_s: float) -> BrokerError:
    return BrokerError(
        f"Kafka gave nothing of {tp.topic}, partition {tp.partition} from offset {offset} on for {stall_s:g} s.",
        "Look at the broker's log, then start again.",
    )


@asynccontextmanager
async def _reading(settings: Settings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = new_consumer(settings)
    try:
        await consumer.start()
        yield consumer
    except KafkaError as error:
        refused = refusal(error, settings, "Read", f"topic {topic}")
        raise refused or BrokerError(f"{topic} cannot be read: {error!r}.") from error
    finally:
        await consumer.stop()
