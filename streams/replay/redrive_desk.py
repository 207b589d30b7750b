"""The ledger and the inputs of a redrive on Kafka, and dead letters as they stand there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Self

from kafka import TopicPartition

from streams.core.errors import BrokerError, RedriveError
from streams.core.events import INPUT_TOPICS
from streams.dead_letters import ORIGIN_HEADER
from streams.provisioning import describe
from streams.replay.connections import kafka_in_words, new_consumer, new_producer
from streams.replay.finished_topics import FinishedTopics
from streams.replay.letters import DeadLetter, letter_of
from streams.replay.mending import Mended
from streams.replay.redrive import LedgerEntry, Place
from streams.replay.redrive_ledger import Ledger
from streams.settings import Settings
from streams.topics import DEAD_LETTER_DECISIONS, DEAD_LETTERS, topic_name

_POLL_MS: Final = 500
_SILENT_POLLS: Final = 120
_TELL_EVERY: Final = 1_000


class KafkaDesk:
    """A :class:`~streams.replay.redrive.Desk` on Kafka, as a context manager.

    Parameters
    ----------
    settings
        Where the broker is; the topics' prefix. The ledger exists.

    Raises
    ------
    BrokerError
        Kafka went away, or did not acknowledge.
    AccessError
        Kafka does not let us.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger = TopicPartition(topic_name(DEAD_LETTER_DECISIONS, settings), 0)
        self._names = {name: topic_name(name, settings) for name in INPUT_TOPICS}
        self._appended = -1
        self._consumer: Any = None
        self._producer: Any = None

    def __enter__(self) -> Self:
        try:
            with kafka_in_words(
                self._settings, "Read", f"topic {self._ledger.topic}", "cannot be read", "Look at its log."
            ):
                self._consumer = new_consumer(self._settings, "redrive", auto_offset_reset="earliest")
                self._consumer.assign([self._ledger])
                self._consumer.seek_to_beginning(self._ledger)
            with self._writing():
                self._producer = new_producer(self._settings, "redrive")
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Append to the ledger and await the acknowledgements."""
        if not records:
            return
        with self._writing():
            futures = [
                self._producer.send(self._ledger.topic, key=key, value=value, partition=0) for key, value in records
            ]
            for written in self._acknowledged(futures):
                self._appended = max(self._appended, written.offset)

    def read(self) -> Iterator[LedgerEntry]:
        """What of the ledger was not read yet, at least through our last append."""
        silent = 0
        with kafka_in_words(
            self._settings, "Read", f"topic {self._ledger.topic}", "stopped answering", "Run the same command again."
        ):
            while self._consumer.position(self._ledger) <= self._appended:
                fetched = self._consumer.poll(timeout_ms=_POLL_MS).get(self._ledger, [])
                silent = 0 if fetched else silent + 1
                if silent > _SILENT_POLLS:
                    raise BrokerError(
                        f"Kafka at {self._settings.brokers} does not give what was just written to "
                        f"{self._ledger.topic}.",
                        "Look at the broker, then run the same command again.",
                    )
                for record in fetched:
                    yield LedgerEntry(record.key, record.value, record.timestamp)
            for record in self._consumer.poll(timeout_ms=0).get(self._ledger, []):
                yield LedgerEntry(record.key, record.value, record.timestamp)

    def send(self, messages: Sequence[Mended]) -> None:
        """Send to the inputs and await the acknowledgements."""
        with self._writing():
            futures = [
                self._producer.send(
                    self._names[str(message.letter.topic)],
                    key=message.key,
                    value=message.value,
                    partition=message.partition,
                    headers=message.headers,
                )
                for message in messages
            ]
            self._acknowledged(futures)

    def ends(self) -> Mapping[Place, int]:
        """Where every partition of the inputs ends now."""
        return FinishedTopics(self._settings, INPUT_TOPICS).ends()

    def arrived(self, not_below: Mapping[Place, int]) -> tuple[set[str], set[Place]]:
        """Ids of the letters that stand in these partitions from these offsets on, and partitions that cannot tell."""
        topics = FinishedTopics(self._settings, INPUT_TOPICS)
        begins = topics.begins()
        blind = {place for place, offset in not_below.items() if begins.get(place, offset) > offset}
        found = {
            origin.decode(errors="replace")
            for record in topics.records(not_below)
            if (origin := dict(record.headers).get(ORIGIN_HEADER)) is not None
        }
        return found, blind

    def _acknowledged(self, futures: Sequence[Any]) -> list[Any]:
        self._producer.flush(timeout=self._settings.ack_timeout_s)
        return [future.get(timeout=self._settings.ack_timeout_s) for future in futures]

    def _writing(self) -> AbstractContextManager[None]:
        return kafka_in_words(
            self._settings,
            "Write",
            f"topics {' '.join([self._ledger.topic, *self._names.values()])}",
            "did not acknowledge what was sent",
            "Once it is back, run the same command again: what had arrived is not sent twice.",
        )

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
        if self._producer is not None:
            self._producer.close(timeout=0)


class StoredLetters:
    """The dead letters that stand on Kafka now; can be read any number of times.

    Raises
    ------
    TopicError
        There is no topic ``dead-letters``.
    BrokerError
        The broker does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.topic_prefix
        self._topic = FinishedTopics(settings, [DEAD_LETTERS])
        self._name = topic_name(DEAD_LETTERS, settings)

    @property
    def total(self) -> int:
        """How many there are at most."""
        return self._topic.total

    @property
    def lost_some(self) -> bool:
        """Whether retention has deleted letters."""
        return bool(self._topic.lost())

    def read(self, on_progress: Callable[[int], None] = lambda letters: None) -> Iterator[DeadLetter]:
        """Every letter; ``on_progress`` hears now and then how many were read."""
        for number, record in enumerate(self._topic.records(), start=1):
            if number % _TELL_EVERY == 0:
                on_progress(number)
            yield letter_of(record, self._prefix)

    def one(self, partition: int, offset: int) -> DeadLetter:
        """A single letter.

        Raises
        ------
        RedriveError
            There is none at this place.
        """
        place = DEAD_LETTERS, partition
        ends = self._topic.ends()
        if place not in ends:
            raise RedriveError(
                f"{self._name} has no partition {partition}, only 0 to {len(ends) - 1}.",
                "`ebbtide dead-letters list --each` names every letter.",
            )
        for record in self._topic.records({place: offset}):
            if record.offset >= offset:
                if record.offset > offset:
                    break
                return letter_of(record, self._prefix)
        begin = self._topic.begins()[place]
        raise RedriveError(
            f"{self._name}, partition {partition} has no letter at offset {offset}"
            + (f": it begins at {begin}, as retention has deleted what was before." if offset < begin else "."),
            "`ebbtide dead-letters list --each` names every letter.",
        )


def stored_ledger(settings: Settings, lease_ms: int) -> Ledger:
    """The ledger as it stands now; empty where no redrive ever was."""
    ledger = Ledger(lease_ms)
    if describe(settings, [DEAD_LETTER_DECISIONS])[0].exists:
        for record in FinishedTopics(settings, [DEAD_LETTER_DECISIONS]).records():
            ledger.read(record.key, record.value, at_ms=record.timestamp_ms)
    return ledger
