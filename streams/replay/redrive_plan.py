"""Which dead letters a redrive is about, what it would do with them, and doing it portion by portion."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from streams.replay.letters import DeadLetter, Standing, Wanted
from streams.replay.mending import Mended, Mending
from streams.replay.redrive import PORTION, Redrive
from streams.replay.redrive_ledger import Ledger

EXAMPLES: Final = 3


@dataclass(slots=True)
class PlanRow:
    """Letters of one reason and input."""

    accepted: int = 0
    again: Counter[str] = field(default_factory=Counter)
    """Those that would be rejected again, by reason."""
    examples: list[Mended] = field(default_factory=list)
    """The first few that would be accepted."""


@dataclass(slots=True)
class Plan:
    """What a redrive would do."""

    rows: dict[tuple[str, str | None], PlanRow] = field(default_factory=dict)
    refused: list[Mended] = field(default_factory=list)
    """The first few that would not."""
    left_out: Counter[Standing] = field(default_factory=Counter)
    """Letters that were asked for, and are decided or parked."""
    impossible: int = 0
    """Letters that cannot be sent at all: cut, or of no input."""
    upto: dict[int, int] = field(default_factory=dict)
    """The newest letter looked at, by partition: who agreed to a plan agreed to no later ones."""

    @property
    def examples(self) -> list[Mended]:
        """A few that would be accepted, of every reason in turn."""
        turns = zip_longest(*(row.examples for row in self.rows.values()))
        return [mended for turn in turns for mended in turn if mended is not None][:EXAMPLES]

    @property
    def accepted(self) -> int:
        """Letters that would be accepted."""
        return sum(row.accepted for row in self.rows.values())

    @property
    def again(self) -> int:
        """Letters that would be rejected again."""
        return sum(row.again.total() for row in self.rows.values())

    @property
    def letters(self) -> int:
        """Letters that were asked for and can be decided."""
        return self.accepted + self.again


class Choice:
    """Which letters a redrive is about, each once.

    Parameters
    ----------
    wanted
        What was asked for.
    ledger
        What was decided before.
    offered
        Standings that are taken.
    upto
        No later letters than these offsets by partition; None takes all.
    """

    def __init__(
        self,
        wanted: Wanted,
        ledger: Ledger,
        offered: frozenset[Standing] = frozenset({Standing.OPEN}),
        *,
        upto: Mapping[int, int] | None = None,
    ) -> None:
        self._wanted = wanted
        self._ledger = ledger
        self._offered = offered
        self._upto = upto
        self._seen: set[str] = set()
        self.left_out: Counter[Standing] = Counter()

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a letter is one of them. Asked again about the same letter: no."""
        if not self._wanted.has(letter) or letter.id in self._seen:
            return False
        if self._upto is not None and letter.offset > self._upto.get(letter.partition, -1):
            return False
        self._seen.add(letter.id)
        standing = letter.standing(self._ledger.standing(letter.id))
        if standing in self._offered:
            return True
        self.left_out[standing] += 1
        return False


def can_be_sent(letter: DeadLetter) -> bool:
    """Whether there is a whole record, and an input to send it to."""
    return letter.topic is not None and not letter.cut


def plan(letters: Iterable[DeadLetter], choice: Choice, mending: Mending | None) -> Plan:
    """What would be done: nothing is sent. Without ``mending`` letters are dropped."""
    made = Plan(left_out=choice.left_out)
    for letter in letters:
        made.upto[letter.partition] = max(letter.offset, made.upto.get(letter.partition, -1))
        if not choice.takes(letter):
            continue
        row = made.rows.setdefault((letter.reason, letter.topic), PlanRow())
        if mending is None:
            row.accepted += 1
            continue
        mended = mending.mend(letter)
        if mended.rejection is None:
            row.accepted += 1
            if len(row.examples) < EXAMPLES:
                row.examples.append(mended)
            continue
        row.again[mended.rejection.reason] += 1
        made.impossible += not can_be_sent(letter)
        if len(made.refused) < EXAMPLES:
            made.refused.append(mended)
    return made


@dataclass(slots=True)
class RedriveReport:
    """What a run did."""

    sent: Counter[str] = field(default_factory=Counter)
    """By input."""
    dropped: int = 0
    refused: int = 0
    """Letters left out, as they would be rejected again."""
    found: int = 0
    """Letters that an earlier run had sent, as turned out."""


def carry_out(
    redrive: Redrive,
    letters: Iterable[DeadLetter],
    choice: Choice,
    mending: Mending | None,
    *,
    anyway: bool = False,
    rate: float | None = None,
    forget: bool = False,
    on_progress: Callable[[int], None] = lambda letters: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RedriveReport:
    """Send, or without ``mending`` drop, the letters chosen, in portions.

    Parameters
    ----------
    redrive
        The run; it has the turn.
    letters
        All that stand in ``dead-letters``, asked for since the run has the turn.
    choice
        Which of them.
    anyway
        Also send what would be rejected again.
    rate
        Letters per second, at most.
    forget
        Take out of the ledger what it says of other letters: retention has deleted some.
    on_progress
        Hears how many letters more are done.
    """
    report = RedriveReport(found=redrive.found)
    gone = redrive.ledger.decided() if forget else set()
    started, done = clock(), 0
    most = PORTION if rate is None else max(1, min(PORTION, int(rate)))
    portion: list[Mended] = []
    doomed: list[str] = []

    def carry() -> None:
        nonlocal done
        if portion:
            report.sent.update(redrive.send(portion))
        elif doomed:
            report.dropped += redrive.drop(doomed)
        done += len(portion) + len(doomed)
        on_progress(len(portion) + len(doomed))
        portion.clear()
        doomed.clear()
        if rate is not None:
            sleep(max(0.0, started + done / rate - clock()))

    for letter in letters:
        gone.discard(letter.id)
        if not choice.takes(letter):
            continue
        if mending is None:
            doomed.append(letter.id)
        else:
            mended = mending.mend(letter)
            if mended.rejection is not None and not (anyway and can_be_sent(letter)):
                report.refused += 1
                continue
            portion.append(mended)
        if len(portion) + len(doomed) >= most:
            carry()
    carry()
    if gone:
        redrive.forget(gone)
    return report
