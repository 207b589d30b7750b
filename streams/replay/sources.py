"""Where an offline run reads from: event logs in files, or the input topics of a live installation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from streams.core.events import INPUT_TOPICS, Position
from streams.replay.files import EventLog, Fault, merge_logs, record_id

_made: Final = tuple.__new__
"""Makes a named tuple without looking at its arguments one by one: a third of the time."""


class Original(NamedTuple):
    """A Kafka record as it was received."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Row(NamedTuple):
    """One record to clean, in merge order.

    ``raw`` is what is cleaned, a JSON value; bytes where it is none, with the ``fault``. ``record_id`` names it if it
    has no event_id; ``published_ms`` is what "future" is judged by; ``source`` says in a dead letter where it was;
    ``from_file`` that its position cannot come twice; ``original`` what it was on Kafka.
    """

    kind: int | None
    ts_ms: int | None
    raw: Any
    fault: Fault | None
    position: Position
    record_id: str
    published_ms: int
    source: dict[str, Any]
    from_file: bool
    original: Original | None = None


class Source(Protocol):
    """A finished log, whole and in merge order."""

    @property
    def total(self) -> int:
        """How many rows it gives."""

    def rows(self) -> Iterator[Row]:
        """Every row by (time; clicks, searches, purchases; position)."""

    def describe(self) -> list[dict[str, Any]]:
        """What was read, for the summary."""


class FileSource:
    """One or more event logs, merged by event time.

    Parameters
    ----------
    logs
        Opened logs.
    started_ms
        The start of the run: files carry no time of publishing.
    """

    def __init__(self, logs: Sequence[EventLog], started_ms: int) -> None:
        self._logs = logs
        self._started_ms = started_ms

    @property
    def total(self) -> int:
        """Rows of all files."""
        return sum(log.rows for log in self._logs)

    def describe(self) -> list[dict[str, Any]]:
        """Name, hash and rows of each file."""
        return [{"name": log.path.name, "sha256": log.digest, "rows": log.rows} for log in self._logs]

    def rows(self) -> Iterator[Row]:
        """Every row by (time; clicks, searches, purchases; file, row)."""
        logs, started = self._logs, self._started_ms
        names = [log.path.name for log in logs]
        digests = [log.digest for log in logs]
        for index, (row, kind, ts_ms, raw, fault) in merge_logs(logs):
            name = names[index]
            position = _made(Position, (name if kind is None else INPUT_TOPICS[kind], 0, row))
            source = {"file": name, "row": row}
            id_ = record_id(digests[index], row)
            yield _made(Row, (kind, ts_ms, raw, fault, position, id_, started, source, True, None))
