"""Reads one single-partition topic from an offset and goes on for ever: no group, no commits, nothing skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.core.errors import BrokerError, StalledError
from streams.kafka_access import refusal
from streams.live.connections import new_consumer
from streams.live.reach import Reach
from streams.settings import Settings


class Tail:
    """A consumer of partition 0 of a topic.

    Parameters
    ----------
    settings, topic
        Where.
    first
        Offset to begin with.
    reach
        Knows of outages.
    """

    def __init__(self, settings: Settings, topic: str, first: int = 0, *, reach: Reach | None = None) -> None:
        self._settings = settings
        self._tp = TopicPartition(topic, 0)
        self._first = first
        self._reach = reach or Reach(settings.brokers)
        self._started: AIOKafkaConsumer | None = None
        self._end = 0

    async def start(self) -> None:
        """Connect, and note where the log ends now.

        Raises
        ------
        BrokerError
            No broker answers.
        """
        self._started = new_consumer(self._settings)
        try:
            await self._consumer.start()
            self._consumer.assign([self._tp])
            self._consumer.pause(self._tp)  # the questions would wait behind a fetch
            self._end = (await self._consumer.end_offsets([self._tp]))[self._tp]
            oldest = (await self._consumer.beginning_offsets([self._tp]))[self._tp]
        except KafkaError as error:
            raise self._unreadable(error) from error
        if 0 < self._first < oldest:
            raise self._gone(oldest)
        self._consumer.seek(self._tp, self._first)
        self._consumer.resume(self._tp)

    async def stop(self) -> None:
        """Disconnect. Does nothing where it was not started."""
        if self._started is not None:
            await self._started.stop()

    async def caught_up(self) -> bool:
        """Whether everything that was there at the start has been handed out."""
        return bool(await self._consumer.position(self._tp) >= self._end)

    async def portions(self, wait_s: float) -> AsyncIterator[Sequence[Any]]:
        """Records as they were fetched; an empty portion after ``wait_s`` seconds without any.

        During an outage the portions are empty.

        Raises
        ------
        StalledError
            Kafka can be reached, but for ``stall_timeout_s`` no fetch was answered, or none brought what is there.
        BrokerError
            The log does not go on where we were.
        """
        moved_at, answered_ms = self._reach.now(), None
        while True:
            try:
                fetched = await self._consumer.getmany(self._tp, timeout_ms=int(wait_s * 1000))
                position = await self._consumer.position(self._tp)
            except KafkaError as error:
                raise self._unreadable(error) from error
            if position < self._first:  # aiokafka went back to the beginning: our offset is beyond the log's end
                raise self._gone(position)
            last_ms, end = self._consumer.last_poll_timestamp(self._tp), self._consumer.highwater(self._tp)
            if fetched or (last_ms != answered_ms and end is not None and position >= end):
                moved_at = self._reach.now()
            elif self._reach.waited_s(moved_at) > self._settings.stall_timeout_s:
                raise StalledError(
                    f"{self._tp.topic}, partition 0, offset {position}: no fetch has brought anything for "
                    f"{self._settings.stall_timeout_s:g} s, though Kafka can be reached (the log ends at {end}).",
                    "Look at the broker's log, then start this process again.",
                )
            answered_ms = last_ms
            yield fetched.get(self._tp, ())
            if fetched:
                moved_at = self._reach.now()  # what was done with them took its own time

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        if self._started is None:
            raise RuntimeError("the tail is not started")
        return self._started

    def _unreadable(self, error: KafkaError) -> BrokerError:
        refused = refusal(error, self._settings, "Read", f"topic {self._tp.topic}")
        return refused or BrokerError(f"{self._tp.topic} cannot be read: {error!r}.")

    def _gone(self, found: int) -> BrokerError:
        return BrokerError(
            f"{self._tp.topic}: offset {self._first} comes next, but the log goes on at {found}.",
            "The topic was created anew or has lost records; start a new model with new topics.",
        )
