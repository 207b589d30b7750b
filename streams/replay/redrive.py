"""One run of sending dead letters again: its turn, its order of effects, and what a run cut short has left behind.

The order for every portion: check the turn; write to the ledger that it is being sent; see from the ledger that the
turn is still ours; send and await; write that it was sent. A run that is killed in between leaves letters of which
nobody knows. The next one finds them in the input by the header that names their letter, or sends them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self, TypeVar

from streams.core.errors import BrokerError, RedriveError
from streams.replay.mending import Mended
from streams.replay.redrive_ledger import Ledger, Said, Target, decision_record, run_record

PORTION: Final = 1_000
"""Letters decided at a time."""
_LOOK_EVERY_S: Final = 1.0

_T = TypeVar("_T")
Place = tuple[str, int]
"""(input without prefix, partition)."""


class LedgerEntry(NamedTuple):
    """A record of the ledger, with its Kafka timestamp."""

    key: bytes | None
    value: bytes | None
    at_ms: int


class Desk(Protocol):
    """What a redrive needs of Kafka; :class:`~streams.replay.redrive_desk.KafkaDesk`, or a log in memory in tests."""

    def append(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Append to the ledger and await the acknowledgements."""

    def read(self) -> Iterator[LedgerEntry]:
        """What of the ledger was not read yet, at least through our last append."""

    def send(self, messages: Sequence[Mended]) -> None:
        """Send to the inputs and await the acknowledgements."""

    def ends(self) -> Mapping[Place, int]:
        """Where every partition of the inputs ends now."""

    def arrived(self, not_below: Mapping[Place, int]) -> tuple[set[str], set[Place]]:
        """Ids of the letters that stand in these partitions from these offsets on, and partitions that cannot tell."""


class Redrive:
    """One run, as a context manager: has the turn from entering to leaving.

    Parameters
    ----------
    desk
        Ledger and inputs.
    run
        A name that no other run has.
    lease_ms
        How long a silent run keeps its turn; no shorter than a send may take.
    now_ms, sleep
        Wall clock (ms), and how to wait (s).
    on_wait
        Hears how many seconds it waits for a run that may be at work still.

    Raises
    ------
    RedriveError
        On entering: another run is at work. Later: another has taken the turn, as we were silent for too long.
    """

    def __init__(
        self,
        desk: Desk,
        run: str,
        lease_ms: int,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
        on_wait: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._desk = desk
        self._run = run
        self._now_ms = now_ms
        self._sleep = sleep
        self._on_wait = on_wait
        self._sending = False
        self._not_below: Mapping[Place, int] = {}
        self.ledger = Ledger(lease_ms)
        self.found = 0
        """Letters that an earlier run had sent without saying so."""

    def __enter__(self) -> Self:
        self._begin()
        while not self._has_turn():
            self._wait()
            self._begin()
        self._not_below = self._desk.ends()
        self._look_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sending or isinstance(error, BrokerError):
            return  # what is on its way may yet arrive: whoever comes next waits for the lease
        self._desk.append([run_record(self._run, Said.ENDED)])

    def send(self, messages: Sequence[Mended]) -> Counter[str]:
        """Send letters of which nothing is decided; how many those were, by input."""
        waiting = self._undecided({message.letter.id: message for message in messages})
        if not waiting:
            return Counter()
        self._desk.append([self._intent(message) for message in waiting.values()])
        self._must_have_turn()
        self._sending = True
        self._desk.send(list(waiting.values()))
        self._desk.append([decision_record(self._run, name, Said.SENT) for name in waiting])
        self._sending = False
        return Counter(str(message.letter.topic) for message in waiting.values())

    def drop(self, letter_ids: Iterable[str]) -> int:
        """Never offer these again; how many were not decided before."""
        waiting = self._undecided(dict.fromkeys(letter_ids))
        if waiting:
            self._desk.append([decision_record(self._run, name, Said.DROPPED) for name in waiting])
        return len(waiting)

    def forget(self, letter_ids: Iterable[str]) -> None:
        """Take out of the ledger what is no longer there to be decided about."""
        gone = list(letter_ids)
        self._must_have_turn()
        for at in range(0, len(gone), PORTION):
            self._desk.append([(name.encode(), None) for name in gone[at : at + PORTION]])

    # -- turn --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._desk.append([run_record(self._run, Said.BEGAN)])
        self._read()

    def _read(self) -> None:
        for key, value, at_ms in self._desk.read():
            self.ledger.read(key, value, at_ms=at_ms)

    def _has_turn(self) -> bool:
        return self.ledger.holder is not None and self.ledger.holder.run == self._run

    def _must_have_turn(self) -> None:
        self._read()
        if not self._has_turn():
            raise RedriveError(
                "Another redrive has begun, as this one was silent for too long.",
                "Nothing is sent twice. Once the other one is done, run the same command again.",
            )

    def _wait(self) -> None:
        """Wait until the holder has ended or lost its turn; complain where it works."""
        holder = self.ledger.holder
        if holder is None:
            return
        until_ms = min(holder.heard_ms, self._now_ms()) + self.ledger.lease_ms
        self._on_wait((until_ms - self._now_ms()) / 1000)
        while (left_ms := until_ms - self._now_ms()) > 0:
            self._sleep(min(_LOOK_EVERY_S, left_ms / 1000))
            self._read()
            if self.ledger.holder is None:
                return
            if self.ledger.holder != holder:
                raise RedriveError("Another redrive is at work.", "Once it is done, run the same command again.")

    # -- what was decided --------------------------------------------------------------------------------------------

    def _undecided(self, wanted: Mapping[str, _T]) -> dict[str, _T]:
        self._must_have_turn()
        return {name: one for name, one in wanted.items() if self.ledger.standing(name) is None}

    def _intent(self, message: Mended) -> tuple[bytes, bytes]:
        topic = message.letter.topic
        if topic is None:
            raise ValueError("a letter of no input cannot be sent")
        target = Target(topic, message.partition, self._not_below[topic, message.partition])
        return decision_record(self._run, message.letter.id, Said.SENDING, target)

    def _look_up(self) -> None:
        """Find out what a run that was cut short had sent."""
        unsure = dict(self.ledger.unsure)
        if not unsure:
            return
        not_below: dict[Place, int] = {}
        for target in unsure.values():
            place = target.topic, target.partition
            not_below[place] = min(target.not_below, not_below.get(place, target.not_below))
        arrived, blind = self._desk.arrived(not_below)
        records: list[tuple[bytes, bytes | None]] = []
        for name, target in unsure.items():
            if name in arrived:
                self.found += 1
                records.append(decision_record(self._run, name, Said.SENT))
            elif (target.topic, target.partition) not in blind:
                records.append((name.encode(), None))
        self._desk.append(records)
        self._read()
