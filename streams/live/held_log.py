"""Reads held outputs back, in the order they were held in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.core.errors import BrokerError
from streams.live.connections import new_consumer
from streams.live.seams import steady_s
from streams.settings import Settings
from streams.topics import HELD_OUTPUTS, topic_name


class HeldRecord(NamedTuple):
    """One held output, as it would have been sent."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class HeldLog(Protocol):
    """One partition of ``held-outputs``."""

    def read(self, first: int, end: int) -> AsyncIterator[list[HeldRecord]]:
        """Records with ``first`` <= offset < ``end`` that are still there, in order, portion by portion."""


class HeldTopic:
    """The partition on the broker.

    Parameters
    ----------
    settings, partition
        Where.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._tp = TopicPartition(topic_name(HELD_OUTPUTS, settings), partition)

    async def read(self, first: int, end: int) -> AsyncIterator[list[HeldRecord]]:
        """See :class:`HeldLog`. Retention may have deleted the first of them.

        Raises
        ------
        BrokerError
            The topic cannot be read, or a read stalled.
        """
        if first >= end:
            return
        consumer = new_consumer(self._settings)
        where = f"{self._tp.topic}, partition {self._tp.partition}"
        stall_s = self._settings.restore_timeout_s
        try:
            await consumer.start()
            consumer.assign([self._tp])
            reached = max(first, (await consumer.beginning_offsets([self._tp]))[self._tp])
            consumer.seek(self._tp, reached)
            progressed = steady_s()
            while reached < end:
                fetched = await consumer.getmany(self._tp, timeout_ms=500)
                records = [
                    HeldRecord(record.offset, record.key, record.value, record.headers)
                    for record in fetched.get(self._tp, ())
                    if record.offset < end
                ]
                position = await consumer.position(self._tp)
                if position > reached:
                    reached, progressed = position, steady_s()
                elif steady_s() - progressed > stall_s:
                    raise BrokerError(
                        f"Reading {where} stalled at offset {reached} of {end} for {stall_s:g} s.",
                        "Look at the broker's log; what was decided is carried out once the worker is started again.",
                    )
                if records:
                    yield records
        except KafkaError as error:
            raise BrokerError(f"{where} cannot be read: {error!r}.") from error
        finally:
            await consumer.stop()
