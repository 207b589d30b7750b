"""The input topics of a live installation as a finished log: what a replay reads.

Records are read partition by partition, as they were published, and sorted by event time, which is the order that the
engine is promised to be indifferent to within the grace: the settled result is the live one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from streams import codec
from streams.core.events import INPUT_TOPICS, Position
from streams.core.instants import parse_instant
from streams.replay.finished_topics import FinishedTopics, Received
from streams.replay.records import DEFAULT_MAX_RECORD_BYTES, Fault, RowOrder
from streams.replay.sources import Original, Row
from streams.replay.spool import Spool
from streams.settings import Settings
from streams.topics import topic_name

_TELL_EVERY: Final = 4_096


class _Entry(NamedTuple):
    """A spooled record; sorts by (time and kind; partition, offset), of which no two are alike."""

    order: int
    partition: int
    offset: int
    kind: int
    ts_ms: int | None
    published_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class TopicSource:
    """The three input topics by (time; clicks, searches, purchases; partition, offset).

    A record without a readable time stands with the one before it in its partition. Use as a context manager.

    Parameters
    ----------
    settings
        Brokers, prefix, temporary space as the system has it.
    since_ms, until_ms
        Only event times from the one through the other; None leaves that side open.
    max_record_bytes
        A record beyond it is refused undecoded, as the worker does.
    """

    def __init__(
        self,
        settings: Settings,
        since_ms: int | None = None,
        until_ms: int | None = None,
        *,
        max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
        run_bytes: int | None = None,
    ) -> None:
        self.topics = FinishedTopics(settings, INPUT_TOPICS)
        self.left_out = 0
        """Records outside the span that was asked for."""
        self._names = [topic_name(name, settings) for name in INPUT_TOPICS]
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._max_record_bytes = max_record_bytes
        self._spool: Spool[_Entry] = Spool(_Entry) if run_bytes is None else Spool(_Entry, run_bytes=run_bytes)
        self._counts = [0] * len(INPUT_TOPICS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.__exit__(kind, error, trace)

    @property
    def total(self) -> int:
        """How many records it gives."""
        return len(self._spool)

    def describe(self) -> list[dict[str, Any]]:
        """Topic and records within the span."""
        return [{"name": name, "rows": count} for name, count in zip(self._names, self._counts, strict=True)]

    def read(self, on_progress: Callable[[int], None] = lambda records: None) -> None:
        """Read the topics to where they end now. ``on_progress`` hears how many records were read.

        Raises
        ------
        BrokerError
            Kafka went away.
        OutputFolderError
            The temporary folder is full.
        """
        orders: dict[tuple[str, int], RowOrder] = {}
        for number, record in enumerate(self.topics.records()):
            if number % _TELL_EVERY == 0:
                on_progress(number)
            order = orders.setdefault((record.topic, record.partition), RowOrder())
            kind = INPUT_TOPICS.index(record.topic)
            ts_ms = _event_time(record.value)
            place = order.key(ts_ms, kind)
            if self._is_within(place >> 2):
                self._counts[kind] += 1
                self._spool.add(_entry(record, place, kind, ts_ms))
            else:
                self.left_out += 1

    def rows(self) -> Iterator[Row]:
        """Every record by (time; clicks, searches, purchases; partition, offset)."""
        for entry in self._spool.entries():
            topic = self._names[entry.kind]
            raw, fault = self._decoded(entry.value)
            yield Row(
                entry.kind,
                entry.ts_ms,
                raw,
                fault,
                Position(topic, entry.partition, entry.offset),
                f"{topic}-{entry.partition}-{entry.offset}",  # as the worker names a record without an event_id
                entry.published_ms,
                {"topic": topic, "partition": entry.partition, "offset": entry.offset},
                False,
                Original(entry.key, entry.value, entry.headers),
            )

    def _is_within(self, instant_ms: int) -> bool:
        return (self._since_ms is None or instant_ms >= self._since_ms) and (
            self._until_ms is None or instant_ms <= self._until_ms
        )

    def _decoded(self, value: bytes | None) -> tuple[Any, Fault | None]:
        """What cleaning is given, or why it cannot be asked; in the worker's words."""
        if value is None:
            return b"", Fault("not_json", "the record has no value")
        if len(value) > self._max_record_bytes:
            return value, Fault("oversized", f"{len(value)} bytes, at most {self._max_record_bytes} are taken")
        try:
            return codec.decode(value), None
        except codec.CodecError as error:
            return value, Fault("not_json", str(error))


def _event_time(value: bytes | None) -> int | None:
    try:
        raw = None if value is None else codec.decode(value)
    except codec.CodecError:
        return None  # it becomes a dead letter, where it stands
    return parse_instant(raw.get("ts")) if isinstance(raw, dict) else None


def _entry(record: Received, place: int, kind: int, ts_ms: int | None) -> _Entry:
    return _Entry(
        place,
        record.partition,
        record.offset,
        kind,
        ts_ms,
        record.timestamp_ms,
        record.key,
        record.value,
        record.headers,
    )
