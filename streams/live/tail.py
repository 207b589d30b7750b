"""Reads one single-partition topic from an offset and goes on for ever: no group, no commits, nothing skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.core.errors import BrokerError
from streams.kafka_access import refusal
from streams.live.connections import new_consumer
from streams.settings import Settings


class Tail:
    """A consumer of partition 0 of a topic.

    Parameters
    ----------
    settings, topic
        Where.
    first
        Offset to begin with.
    """

    def __init__(self, settings: Settings, topic: str, first: int = 0) -> None:
        self._settings = settings
        self._tp = TopicPartition(topic, 0)
        self._first = first
        self._consumer = new_consumer(settings)
        self._end = 0

    async def start(self) -> None:
        """Connect, and note where the log ends now.

        Raises
        ------
        BrokerError
            No broker answers.
        """
        try:
            await self._consumer.start()
            self._consumer.assign([self._tp])
            self._end = (await self._consumer.end_offsets([self._tp]))[self._tp]
            oldest = (await self._consumer.beginning_offsets([self._tp]))[self._tp]
        except KafkaError as error:
            raise self._unreadable(error) from error
        if 0 < self._first < oldest:
            raise self._gone(oldest)
        self._consumer.seek(self._tp, self._first)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def caught_up(self) -> bool:
        """Whether everything that was there at the start has been handed out."""
        return bool(await self._consumer.position(self._tp) >= self._end)

    async def portions(self, wait_s: float) -> AsyncIterator[Sequence[Any]]:
        """Records as they were fetched; an empty portion after ``wait_s`` seconds without any."""
        while True:
            try:
                fetched = await self._consumer.getmany(self._tp, timeout_ms=int(wait_s * 1000))
                position = await self._consumer.position(self._tp)
            except KafkaError as error:
                raise self._unreadable(error) from error
            if position < self._first:  # aiokafka went back to the beginning: our offset is beyond the log's end
                raise self._gone(position)
            yield fetched.get(self._tp, ())

    def _unreadable(self, error: KafkaError) -> BrokerError:
        refused = refusal(error, self._settings, "Read", f"topic {self._tp.topic}")
        return refused or BrokerError(f"{self._tp.topic} cannot be read: {error!r}.")

    def _gone(self, found: int) -> BrokerError:
        return BrokerError(
            f"{self._tp.topic}: offset {self._first} comes next, but the log goes on at {found}.",
            "The topic was created anew or has lost records; start a new model with new topics.",
        )
