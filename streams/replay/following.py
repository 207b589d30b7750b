"""Topics followed from their oldest record on, as they grow: no group, no commit, nothing left behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Self

from kafka import KafkaConsumer, TopicPartition

from streams.permissions import refuse_unreadable
from streams.provisioning import describe
from streams.replay.connections import kafka_in_words, new_consumer
from streams.replay.finished_topics import Received
from streams.settings import Settings
from streams.topic_states import refuse_misfits

MOST_AT_ONCE: Final = 5_000
"""Records of one poll, so that who follows gets to do something else in between."""


class FollowedTopics:
    """A reader of topics that exist and grow, as a context manager.

    Parameters
    ----------
    settings
        Where the broker is, and the topics' prefix.
    names
        Names of the catalogue.

    Raises
    ------
    TopicError
        On entering: a topic is missing or does not fit.
    BrokerError
        The broker does not answer, or stopped.

    Examples
    --------
    >>> with FollowedTopics(Settings(), ["churn-risk"]) as topics:  # doctest: +SKIP
    ...     for received in topics.poll(0.1):
    ...         print(received.value)
    """

    def __init__(self, settings: Settings, names: Sequence[str]) -> None:
        self._settings = settings
        self._asked = tuple(names)
        self._names: dict[str, str] = {}
        self._consumer: KafkaConsumer | None = None

    def __enter__(self) -> Self:
        states = describe(self._settings, self._asked)
        refuse_misfits(states, self._settings)
        refuse_unreadable(states, self._settings)
        self._names = {state.name: state.topic.name for state in states}
        partitions = [TopicPartition(state.name, number) for state in states for number in range(state.partitions)]
        with self._in_words():
            self._consumer = new_consumer(
                self._settings,
                "follow",
                auto_offset_reset="earliest",
                max_poll_records=MOST_AT_ONCE,
                check_crcs=False,  # kafka-python computes them in Python: dearer than all else, and TCP has its own
            )
            self._consumer.assign(partitions)
            self._consumer.seek_to_beginning(*partitions)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
            self._consumer = None

    def poll(self, timeout_s: float) -> list[Received]:
        """What came, in the order of offsets within a partition; [] where nothing did within the timeout, s.

        Raises
        ------
        BrokerError
            The broker stopped answering.
        """
        if self._consumer is None:
            raise RuntimeError("the topics are not open")
        with self._in_words():
            fetched = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
        return [
            Received(
                self._names[tp.topic],
                tp.partition,
                record.offset,
                record.timestamp,
                record.key,
                record.value,
                tuple((name, value or b"") for name, value in record.headers),
            )
            for tp, records in fetched.items()
            for record in records
        ]

    def _in_words(self) -> AbstractContextManager[None]:
        topics = f"topic {' '.join(self._names)}"
        return kafka_in_words(self._settings, "Read", topics, "cannot be read", "Look at the broker's log.")
