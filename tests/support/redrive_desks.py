"""Kafka as a redrive sees it, in memory: a ledger, inputs, a clock; a run may be killed or frozen anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from streams.core.cleaning import CleaningPolicy
from streams.core.events import Position
from streams.core.ports import Rejection
from streams.dead_letters import dead_letter
from streams.replay.finished_topics import Received
from streams.replay.letters import DeadLetter, letter_of
from streams.replay.mending import Mended, Mending, parse_assignment
from streams.replay.redrive import LedgerEntry, Place

NOW_MS = 1_700_000_000_000
PARTITIONS = 4


class Killed(BaseException):
    """kill -9: nothing of the killed runs any more."""


@dataclass
class World:
    """What stays when a process is killed."""

    now_ms: int = NOW_MS
    ledger: list[LedgerEntry] = field(default_factory=list)
    inputs: dict[Place, list[Mended]] = field(default_factory=dict)

    def sent(self) -> list[str]:
        """Ids of the letters in the inputs, once for each time."""
        return [message.letter.id for messages in self.inputs.values() for message in messages]

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ms += max(1, round(seconds * 1000))


class DeskInMemory:
    """A desk over the world.

    Parameters
    ----------
    world
        Shared by all.
    at_step
        Called before every single record takes effect, with the number of it; raises to kill, runs others to freeze.
    """

    def __init__(self, world: World, at_step: Callable[[int], None] = lambda step: None) -> None:
        self.world = world
        self.steps = 0
        self.sending = False
        self._at_step = at_step
        self._read = 0

    def append(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in records:
            self._step()
            self.world.ledger.append(LedgerEntry(key, value, self.world.now_ms))

    def read(self) -> Iterator[LedgerEntry]:
        while self._read < len(self.world.ledger):
            self._read += 1
            yield self.world.ledger[self._read - 1]

    def send(self, messages: Sequence[Mended]) -> None:
        self.sending = True
        for message in messages:
            self._step()
            self.world.inputs.setdefault((str(message.letter.topic), message.partition), []).append(message)
        self._step()
        self.sending = False

    def ends(self) -> Mapping[Place, int]:
        topics = ("clicks", "searches", "purchases")
        return {
            (topic, partition): len(self.world.inputs.get((topic, partition), []))
            for topic in topics
            for partition in range(PARTITIONS)
        }

    def arrived(self, not_below: Mapping[Place, int]) -> tuple[set[str], set[Place]]:
        found = {
            message.letter.id
            for place, offset in not_below.items()
            for message in self.world.inputs.get(place, [])[offset:]
        }
        return found, set()

    def _step(self) -> None:
        self.steps += 1
        self._at_step(self.steps)


def a_letter(
    offset: int = 0,
    value: bytes = b'{"user_id":"u1","ts":1699999990000,"price":-3}',
    *,
    reason: str = "bad_price",
    topic: str = "purchases",
    partition: int = 0,
    key: bytes | None = b"u1",
    headers: Sequence[tuple[str, bytes]] = (),
    published_ms: int | None = NOW_MS - 5_000,
    rejected_ms: int = NOW_MS - 4_000,
) -> DeadLetter:
    """A letter as the worker would have written it; it stands at the same offset as the record did."""
    why = Rejection(reason, "because", Position(topic, partition, offset))
    kept, added = dead_letter(value, headers, why, published_ms)
    return letter_of(Received("dead-letters", partition, offset, rejected_ms, key, kept, tuple(added)), "")


def mending(*assignments: str, partitions: int = PARTITIONS, now_ms: int = NOW_MS) -> Mending:
    """Mends by these ``--set``s under the built-in cleaning."""
    return Mending([parse_assignment(text) for text in assignments], CleaningPolicy(), partitions, now_ms=now_ms)
