"""What a dead letter would be if it were sent again: fields set, key and partition found, cleaned as a worker would.

Nothing here sends. A field is named by its path in the record: ``user_id``, ``lines.0.price``, ``lines.*.price``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from streams import codec
from streams.core.cleaning import CleaningPolicy, user_of
from streams.core.errors import RedriveError
from streams.core.events import INPUT_TOPICS, Event, Position
from streams.core.instants import parse_instant
from streams.core.ports import Rejection
from streams.dead_letters import ATTEMPT_HEADER, ORIGIN_HEADER
from streams.raw_records import clean_record
from streams.replay.letters import DeadLetter
from streams.replay.outgoing import NOBODY, partition_of

REFERENCE: Final = "@"
KAFKA_TIMESTAMP: Final = "kafka_timestamp"
"""``ts=@kafka_timestamp``: when the rejected record was published."""
EVERY: Final = "*"
ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Assignment:
    """``--set``: a field, and its new value or the field of the record whose value it takes."""

    path: tuple[str, ...]
    value: Any
    source: tuple[str, ...] | None = None


def parse_assignment(text: str) -> Assignment:
    """Read ``field=value``: the value as JSON, else as text; ``@other`` is the value of another field.

    Raises
    ------
    RedriveError
        There is no field or no ``=``; or all records would be given one event_id.

    >>> parse_assignment("price=1.5").value, parse_assignment("currency=EUR").value
    (1.5, 'EUR')
    >>> parse_assignment("user_id=@userId").source
    ('userId',)
    """
    name, equals, raw = text.partition("=")
    path = tuple(name.strip().split("."))
    if not equals or not all(path):
        raise RedriveError(f"--set {text!r} sets nothing.", "Write --set FIELD=VALUE, as in --set price=0.")
    if raw.startswith(REFERENCE):
        return Assignment(path, None, tuple(raw[1:].split(".")))
    try:
        value = codec.decode(raw)
    except codec.CodecError:
        value = raw
    except UnicodeEncodeError as error:
        raise RedriveError("A value of --set is not UTF-8.", "Write it as JSON with \\u escapes.") from error
    if path == ("event_id",) and value is not None:
        raise RedriveError(
            "--set event_id would give all records one identity, so all but one would be dropped as repeats.",
            "--set event_id=null gives each its own.",
        )
    return Assignment(path, value)


class Mended(NamedTuple):
    """A letter as it would be sent."""

    letter: DeadLetter
    before: Any
    """The record decoded; ABSENT where it cannot be."""
    after: Any
    key: bytes | None
    partition: int
    value: bytes | None
    rejection: Rejection | None
    """Why a worker would reject it again; None where it would not."""

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """The producer's, which attempt this is, and which letter it was."""
        return [
            *self.letter.headers,
            (ATTEMPT_HEADER, b"%d" % (self.letter.attempts + 1)),
            (ORIGIN_HEADER, self.letter.id.encode()),
        ]


class Mending:
    """Mends letters one by one, all in the same way.

    Parameters
    ----------
    assignments
        Fields to set, in this order.
    policy
        How records are cleaned.
    partitions
        How many partitions the inputs have.
    now_ms
        The Kafka timestamp that records would get: "future" is judged by it.
    """

    def __init__(
        self, assignments: Sequence[Assignment], policy: CleaningPolicy, partitions: int, *, now_ms: int
    ) -> None:
        self._assignments = assignments
        self._policy = policy
        self._partitions = partitions
        self._now_ms = now_ms

    def mend(self, letter: DeadLetter) -> Mended:
        """What would be sent for a letter, and what a worker would say to it.

        A record without an event_id gets the letter's id for one, so that it is the same however often it is sent.
        """
        before = _decoded(letter.value)
        after, value, key, partition = before, letter.value, letter.key, self._old_partition(letter)
        if isinstance(before, dict):
            try:
                after, value = self._rewritten(before, letter)
            except (codec.CodecError, RecursionError) as error:
                why = Rejection("not_json", f"it cannot be written again: {error}", self._where(letter, partition))
                return Mended(letter, before, before, key, partition, value, why)
            user = user_of(after.get("user_id"))
            if user is not None and user != user_of(before.get("user_id")):
                key = user.encode()
                partition = partition_of(key, self._partitions)
        rejection = self._verdict(letter, before, value, partition)
        return Mended(letter, before, after, key, partition, value, rejection)

    def _rewritten(self, before: dict[str, Any], letter: DeadLetter) -> tuple[dict[str, Any], bytes | None]:
        after = copy.deepcopy(before)
        for assignment in self._assignments:
            _assign(after, assignment, before, letter)
        event_id = after.get("event_id")
        named = event_id is not None and not (isinstance(event_id, str) and not event_id.strip())
        if not named:
            after["event_id"] = letter.id
        elif not self._assignments:
            return before, letter.value  # byte for byte what it was
        return after, codec.encode(after)

    def _where(self, letter: DeadLetter, partition: int) -> Position:
        return Position(letter.topic or "", partition, 0)

    def _verdict(self, letter: DeadLetter, before: Any, value: bytes | None, partition: int) -> Rejection | None:
        where = self._where(letter, partition)
        if letter.topic is None:
            return Rejection(letter.reason, "the letter does not say which input it came from", where)
        if letter.cut:
            return Rejection("oversized", "only the beginning of the record was kept", where)
        cleaned, _ = clean_record(value, INPUT_TOPICS.index(letter.topic), where, self._now_ms, self._policy)
        if not isinstance(cleaned, Event):
            return cleaned
        if letter.reason == "too_late" and isinstance(before, dict):
            was = parse_instant(before.get("ts"))
            if was is not None and cleaned.ts <= was:
                return Rejection("too_late", "it was too late before, and time has only gone on", where)
        return None

    def _old_partition(self, letter: DeadLetter) -> int:
        if 0 <= letter.origin_partition < self._partitions:
            return letter.origin_partition
        return partition_of(letter.key or NOBODY, self._partitions)


def differences(before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """(field, old, new) of the top-level fields that differ; ABSENT stands for one that is not there."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return
    for name in after:
        old = before.get(name, ABSENT)
        if old is ABSENT or old != after[name] or type(old) is not type(after[name]):
            yield name, old, after[name]


def _decoded(value: bytes | None) -> Any:
    try:
        return ABSENT if value is None else codec.decode(value)
    except codec.CodecError:
        return ABSENT


def _assign(record: dict[str, Any], assignment: Assignment, before: dict[str, Any], letter: DeadLetter) -> None:
    """Set a field where the path to it exists; a record that lacks it stays as it is, and cleaning judges it."""
    value = assignment.value
    if assignment.source is not None:
        value = letter.published_ms if assignment.source == (KAFKA_TIMESTAMP,) else _found(before, assignment.source)
        if value is ABSENT or value is None:
            return
    *inner, last = assignment.path
    for place in _places(record, inner):
        if isinstance(place, dict):
            place[last] = copy.deepcopy(value)
        elif isinstance(place, list):
            for index in _indices(place, last):
                place[index] = copy.deepcopy(value)


def _places(place: Any, path: Sequence[str]) -> Iterator[Any]:
    if not path:
        yield place
    elif isinstance(place, dict):
        if path[0] in place:
            yield from _places(place[path[0]], path[1:])
    elif isinstance(place, list):
        for index in _indices(place, path[0]):
            yield from _places(place[index], path[1:])


def _indices(entries: Sequence[Any], name: str) -> Sequence[int]:
    if name == EVERY:
        return range(len(entries))
    return [int(name)] if name.isascii() and name.isdigit() and len(name) < 10 and int(name) < len(entries) else []


def _found(record: Any, path: Sequence[str]) -> Any:
    return next(_places(record, path), ABSENT)
