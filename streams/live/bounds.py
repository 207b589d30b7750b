"""Where logs begin and end, asked over a connection of its own.

Kafka answers what comes over one connection in order. On that of the fetches a question waits behind a fetch that waits
for records, 1.5 s with Faust's consumer: twice a partition, most of what a start took.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from streams.live.connections import new_consumer
from streams.settings import Settings

_Ask = Callable[[AIOKafkaConsumer, list[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]


class LogBounds:
    """Asks for the first and the next offset of partitions. It connects when it is asked, until :meth:`close`.

    Parameters
    ----------
    settings
        How to reach Kafka.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def oldest(self, tps: Iterable[TP]) -> dict[TP, int]:
        """The oldest offset that is left of each."""
        return await self._asked(lambda consumer, them: consumer.beginning_offsets(them), tps)

    async def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """The offset that comes next in each."""
        return await self._asked(lambda consumer, them: consumer.end_offsets(them), tps)

    async def _asked(self, ask: _Ask, tps: Iterable[TP]) -> dict[TP, int]:
        them = [TopicPartition(tp.topic, tp.partition) for tp in tps]
        async with self._turn:
            try:
                if self._consumer is None:
                    self._consumer = new_consumer(self._settings)
                    await self._consumer.start()
                # aiokafka learns of a topic by assigning it, and would begin to fetch what is not paused.
                self._consumer.assign(them)
                self._consumer.pause(*them)
                found = await ask(self._consumer, them)
            except KafkaError:
                await self._hang_up()
                raise
        return {TP(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def close(self) -> None:
        """Hang up; it may be asked again."""
        async with self._turn:
            await self._hang_up()

    async def _hang_up(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
