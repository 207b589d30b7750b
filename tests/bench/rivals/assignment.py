"""What a rival is told before it starts, and what it tells while it works. Every rival's process reads this module.

It imports the standard library alone: the rivals live in virtual environments of their own.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

Job = Literal["portrait", "totals"]
PARTS: Final = 20
"""How often a rival says how far it is."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One run of one rival.

    Parameters
    ----------
    job
        The whole job (``portrait``), or a count and a sum per user (``totals``).
    brokers, source, prefix, group
        Where Kafka is; the topic to read; what stands before the topics to write; the consumer group.
    partitions
        Of every topic.
    total
        Events in the source, or as many of them as are to be applied.
    state
        Folder for its store.
    cuts
        The models to score with, as lines of JSON: records of ``model-cuts``.
    marks
        File to tell in.
    """

    job: Job
    brokers: str
    source: str
    prefix: str
    group: str
    partitions: int
    total: int
    state: str
    cuts: str
    marks: str
    parts: int = PARTS

    def write(self, path: Path) -> None:
        """For the process that runs it."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Assignment:
        """In the process that runs it."""
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))


class Mark(NamedTuple):
    """How far a rival was at an instant."""

    applied: int
    """Events so far."""
    at_s: float
    """Monotonic clock."""
    cpu_s: float
    """User and system time of its process so far, all threads."""
    ended: bool = False
    """Everything was flushed and committed, and it is about to exit."""


class Marks:
    """Tells how far a rival is: before the first event, twenty times while it works, and at its end."""

    def __init__(self, assignment: Assignment) -> None:
        self.count = 0
        self._begun = False
        self._total = assignment.total
        self._every = max(1, assignment.total // assignment.parts)
        self._next = 0
        self._file = Path(assignment.marks).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115 (closed at the end)

    def applying(self) -> None:
        """The next event is about to be applied."""
        if not self._begun:
            self._begun = True
            self._write()

    def applied(self, events: int = 1) -> bool:
        """So many more are; whether that was all."""
        self.count += events
        if self.count >= self._next:
            self._write()
        return self.count >= self._total

    def ended(self) -> None:
        """Everything is flushed."""
        self._write(ended=True)
        self._file.close()

    def _write(self, *, ended: bool = False) -> None:
        self._next = min(self._total, self.count + self._every) if self.count < self._total else 1 << 62
        mark = Mark(self.count, time.monotonic(), time.process_time(), ended)
        self._file.write(json.dumps(mark._asdict()) + "\n")


def marks_in(path: Path) -> list[Mark]:
    """What was told so far, the last line only if it is whole."""
    if not path.is_file():
        return []
    whole = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [Mark(**json.loads(line)) for line in whole]
