"""Topics read from their oldest record to where they ended when asked: no group, no commit, nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from kafka import TopicPartition
from kafka.errors import OffsetOutOfRangeError

from streams.core.errors import BrokerError, TopicError
from streams.permissions import refuse_unreadable
from streams.provisioning import describe
from streams.replay.connections import kafka_in_words, new_consumer
from streams.settings import Settings

POLL_MS: Final = 500
_NO_LIMIT: Final = 1_000_000_000
"""A poll hands out whole fetches, which Kafka bounds in bytes."""


class Received(NamedTuple):
    """One record: ``topic`` as the catalogue names it, ``timestamp_ms`` Kafka's."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class FinishedTopics:
    """What stands in some topics now; what comes later is not seen, however often it is read.

    Parameters
    ----------
    settings
        Where the broker is, and the topics' prefix.
    names
        Names of the catalogue.
    suffix
        Stands behind every name: the shadow topics of a replay.
    partition
        Chooses one partition by the topic's partition count; without it all are read.
    now_ms, clock
        Wall clock (ms) and a steady one (s).

    Raises
    ------
    TopicError
        A topic is missing.
    BrokerError
        The broker does not answer.
    """

    def __init__(
        self,
        settings: Settings,
        names: Sequence[str],
        *,
        suffix: str = "",
        partition: Callable[[int], int] | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        states = describe(settings, names, suffix=suffix)
        missing = [state.name for state in states if not state.exists]
        if missing:
            raise TopicError(
                f"Topics are missing at {settings.brokers}: {', '.join(missing)}.",
                "Look at EBBTIDE_BROKERS, EBBTIDE_TOPIC_PREFIX and the name; `ebbtide topics` lists what is there.",
            )
        refuse_unreadable(states, settings)
        self._names = {state.name: state.topic.name for state in states}
        partitions = [
            TopicPartition(state.name, number)
            for state in states
            for number in (range(state.partitions) if partition is None else [partition(state.partitions)])
        ]
        self._opened_ms = now_ms()
        with self._consumer() as consumer:
            self._begins: dict[TopicPartition, int] = consumer.beginning_offsets(partitions)
            self._ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)

    @property
    def total(self) -> int:
        """How many records there are at most; compaction and transactions leave gaps."""
        return sum(max(end - self._begins[tp], 0) for tp, end in self._ends.items())

    def lost(self) -> dict[str, int]:
        """Records that retention has deleted, by topic; only those that lost some."""
        lost: dict[str, int] = {}
        for tp, begin in self._begins.items():
            if begin:
                name = self._names[tp.topic]
                lost[name] = lost.get(name, 0) + begin
        return lost

    def begins(self) -> dict[tuple[str, int], int]:
        """The oldest offset of every (topic, partition)."""
        return {(self._names[tp.topic], tp.partition): begin for tp, begin in self._begins.items()}

    def ends(self) -> dict[tuple[str, int], int]:
        """Where every (topic, partition) ended: no record that comes later has a lower offset."""
        return {(self._names[tp.topic], tp.partition): end for tp, end in self._ends.items()}

    def records(self, not_below: Mapping[tuple[str, int], int] | None = None) -> Iterator[Received]:
        """Every record; in the order of offsets within a partition.

        Parameters
        ----------
        not_below
            Only these (topic, partition), from these offsets on.

        Raises
        ------
        BrokerError
            The broker went away, or retention deleted what was being read.
        """
        starts = self._begins if not_below is None else self._starts(not_below)
        reading = set(starts)
        if not reading:
            return
        with self._consumer() as consumer:
            consumer.assign(list(reading))
            for tp, start in starts.items():
                consumer.seek(tp, start)
            heard_s = self._clock()
            while reading:
                fetched = consumer.poll(timeout_ms=POLL_MS, max_records=_NO_LIMIT)
                for tp, records in fetched.items():
                    heard_s = self._clock()
                    yield from self._within(tp, records)
                    if consumer.position(tp) > self._ends[tp]:
                        consumer.pause(tp)
                        reading.discard(tp)
                if not fetched:
                    if all(self._ended(consumer, tp) for tp in reading):
                        return
                    self._complain_of_silence(heard_s)

    def _starts(self, not_below: Mapping[tuple[str, int], int]) -> dict[TopicPartition, int]:
        return {
            tp: max(begin, min(not_below[name, tp.partition], self._ends[tp]))
            for tp, begin in self._begins.items()
            if ((name := self._names[tp.topic]), tp.partition) in not_below
        }

    def _within(self, tp: TopicPartition, records: Sequence[Any]) -> Iterator[Received]:
        end, name = self._ends[tp], self._names[tp.topic]
        for record in records:
            # The embedded broker says a log ends where its last batch begins; that batch is older than our question.
            if record.offset >= end and record.timestamp > self._opened_ms:
                return
            headers = tuple((header, value or b"") for header, value in record.headers)
            yield Received(name, tp.partition, record.offset, record.timestamp, record.key, record.value, headers)

    def _ended(self, consumer: Any, tp: TopicPartition) -> bool:
        return bool(consumer.position(tp) >= self._ends[tp] and consumer.highwater(tp) is not None)

    def _complain_of_silence(self, heard_s: float) -> None:
        if self._clock() - heard_s > self._settings.request_timeout_s:
            raise BrokerError(
                f"Kafka at {self._settings.brokers} sent nothing for {self._settings.request_timeout_s:g} s.",
                "Look at the broker, then run the same command again.",
            )

    @contextmanager
    def _consumer(self) -> Iterator[Any]:
        settings = self._settings
        topics = f"topic {' '.join(self._names)}"
        with kafka_in_words(settings, "Read", topics, "cannot be read", "Look at its log."):
            consumer = new_consumer(
                settings, "replay", auto_offset_reset="none", max_partition_fetch_bytes=settings.fetch_bytes
            )
        hint = "Once it is back, run the same command again."
        try:
            with kafka_in_words(settings, "Read", topics, "stopped answering", hint):
                yield consumer
        except BrokerError as error:
            if isinstance(error.__cause__, OffsetOutOfRangeError):
                raise BrokerError(
                    f"Retention deleted records while they were being read: {error.__cause__}.",
                    "Run the same command again.",
                ) from error.__cause__
            raise
        finally:
            consumer.close(autocommit=False)
