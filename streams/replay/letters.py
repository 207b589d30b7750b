"""Dead letters read back: what each says of itself, which are asked for, and how they stand in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from streams.core.events import INPUT_TOPICS
from streams.dead_letters import (
    CUT_HEADER,
    CUT_KEY_HEADER,
    PARKED_AFTER,
    PREFIX,
    PUBLISHED_HEADER,
    attempts,
    without_ours,
)
from streams.replay.finished_topics import Received

UNKNOWN_REASON: Final = "unknown"
"""Of a record in ``dead-letters`` that says nothing of why: it is not ours."""


class Standing(StrEnum):
    """What has become of a letter."""

    OPEN = "open"
    """Nothing was decided."""
    REDRIVEN = "redriven"
    DROPPED = "dropped"
    PARKED = "parked"
    """It has failed too often; only asked for by name."""
    UNSURE = "unsure"
    """A redrive ended while sending it; the next one looks whether it arrived."""


class DeadLetter(NamedTuple):
    """One letter. ``partition`` and ``offset`` are its own; instants in ms."""

    partition: int
    offset: int
    rejected_ms: int
    reason: str
    message: str
    topic: str | None
    """The input it came from, without prefix; None where it does not say, or says what is no input."""
    origin_partition: int
    origin_offset: int
    published_ms: int | None
    attempts: int
    """How often it was sent again before."""
    cut: bool
    """Its value or key is only the beginning of what the record had."""
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    """The producer's."""

    @property
    def place(self) -> str:
        """``PARTITION:OFFSET``, as a person names it."""
        return f"{self.partition}:{self.offset}"

    @property
    def id(self) -> str:
        """The rejected record's place with a hash of its bytes.

        A worker that repeats itself after a crash writes a letter twice: both have one id. A topic made anew has the
        same places again: other bytes, other ids.
        """
        hashed = blake2b(self.value or b"", key=(self.key or b"")[:64], digest_size=4).hexdigest()
        return f"{self.topic}-{self.origin_partition}-{self.origin_offset}-{hashed}"

    def standing(self, decided: Standing | None) -> Standing:
        """How it stands, given what the ledger says of it."""
        if decided is not None:
            return decided
        return Standing.PARKED if self.attempts >= PARKED_AFTER else Standing.OPEN


def letter_of(received: Received, topic_prefix: str) -> DeadLetter:
    """Read a record of ``dead-letters``; never fails, whatever somebody has put there.

    Parameters
    ----------
    received
        The record.
    topic_prefix
        Stands before the names of topics on the broker.

    >>> from streams.core.events import Position
    >>> from streams.core.ports import Rejection
    >>> from streams.dead_letters import dead_letter
    >>> value, headers = dead_letter(b"{", [], Rejection("not_json", "...", Position("eu.clicks", 3, 99)))
    >>> letter = letter_of(Received("dead-letters", 3, 17, 0, None, value, tuple(headers)), "eu.")
    >>> letter.reason, letter.topic, letter.place, letter.origin_offset
    ('not_json', 'clicks', '3:17', 99)
    """
    said = dict(received.headers)

    def text(name: str) -> str:
        return said.get(f"{PREFIX}{name}", b"").decode(errors="replace")

    def number(raw: bytes | None) -> int | None:
        return int(raw) if raw and raw.isdigit() and len(raw) < 20 else None

    origin = text("topic")
    short = origin.removeprefix(topic_prefix)
    partition, offset = number(said.get(f"{PREFIX}partition")), number(said.get(f"{PREFIX}offset"))
    known = short in INPUT_TOPICS and partition is not None and offset is not None
    return DeadLetter(
        received.partition,
        received.offset,
        received.timestamp_ms,
        text("exception") or UNKNOWN_REASON,
        text("message"),
        short if known else None,
        -1 if partition is None else partition,
        -1 if offset is None else offset,
        number(said.get(PUBLISHED_HEADER)),
        attempts(received.headers),
        CUT_HEADER in said or CUT_KEY_HEADER in said,
        received.key,
        received.value,
        tuple(without_ours(received.headers)),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant; what is None asks nothing. Instants in ms, both ends included.

    >>> Wanted(reasons=frozenset({"bad_price"})).asks
    True
    """

    reasons: frozenset[str] = frozenset()
    topic: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    """When they were rejected."""
    partition: int | None = None
    from_offset: int | None = None
    to_offset: int | None = None

    @property
    def asks(self) -> bool:
        """Whether anything is asked of a letter at all."""
        return self != Wanted()

    def has(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.topic is None or letter.topic == self.topic)
            and (self.since_ms is None or letter.rejected_ms >= self.since_ms)
            and (self.until_ms is None or letter.rejected_ms <= self.until_ms)
            and (self.partition is None or letter.partition == self.partition)
            and (self.from_offset is None or letter.offset >= self.from_offset)
            and (self.to_offset is None or letter.offset <= self.to_offset)
        )


@dataclass(slots=True)
class Group:
    """Letters of one reason and input."""

    reason: str
    topic: str | None
    example: DeadLetter
    """The newest that is open, else the newest."""
    first_ms: int
    last_ms: int
    standings: Counter[Standing] = field(default_factory=Counter)

    @property
    def letters(self) -> int:
        """How many."""
        return self.standings.total()


def grouped(letters: Iterable[tuple[DeadLetter, Standing]]) -> list[Group]:
    """Letters by reason and input, the largest group first; a letter that was written twice counts once."""
    groups: dict[tuple[str, str | None], Group] = {}
    seen: set[str] = set()
    exemplary: dict[tuple[str, str | None], Standing] = {}
    for letter, standing in letters:
        if letter.topic is not None:
            if letter.id in seen:
                continue
            seen.add(letter.id)
        name = letter.reason, letter.topic
        group = groups.get(name)
        if group is None:
            group = groups[name] = Group(*name, letter, letter.rejected_ms, letter.rejected_ms)
            exemplary[name] = standing
        group.standings[standing] += 1
        group.first_ms = min(group.first_ms, letter.rejected_ms)
        group.last_ms = max(group.last_ms, letter.rejected_ms)
        if (standing is Standing.OPEN, letter.rejected_ms) >= (
            exemplary[name] is Standing.OPEN,
            group.example.rejected_ms,
        ):
            group.example, exemplary[name] = letter, standing
    return sorted(groups.values(), key=lambda group: (-group.letters, group.reason, group.topic or ""))
