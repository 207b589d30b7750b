"""What a benchmark is: a module of ``tests.bench`` with one plain function, and a line in the registry.

A benchmark module has

``ABOUT: Final[str]``
    One line: what is measured.
``def measure(asked: Asked) -> Iterator[Result]``
    Measures, and yields results as it has them. Runs of several candidates are interleaved
    (:func:`tests.bench.measuring.interleaved`). What is measured runs in a process of its own on the first of
    :func:`tests.bench.measuring.cores`, everything beside it on the last. Sizes come from :meth:`Asked.events_of`,
    repeats from :meth:`Asked.repeats_of`, logs from :meth:`Asked.file_of` or :mod:`tests.bench.reference_logs`; files
    go under ``asked.scratch``. :class:`Skipped` is raised where something it needs is not there.

A :class:`~tests.bench.measuring.Result` names its benchmark, log and candidate. The table shows them in the order they
come. Ratios are made within one benchmark and log, against the first candidate: of CPU per event, unless
``Result.compared`` names another figure or is empty. Any further figure goes into ``Run.more``, its name ending in its
unit (``p99_ms``, ``stored_bytes``).

The registry (:mod:`tests.bench.registry`) holds a line for each, in the order in which they run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.reference_logs import ReferenceLog, written

DEFAULT_EVENTS: Final = 200_000


class Skipped(Exception):
    """This benchmark cannot run here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run of benchmarks was asked for.

    Parameters
    ----------
    scratch
        A folder for logs and results; removed in the end.
    heard
        Told what is being done, for whoever watches.
    events, repeats
        For all benchmarks, where given.
    short
        Only so much that ratios can be told.
    full
        Also what takes many minutes or much memory.
    """

    scratch: Path
    heard: Callable[[str], None]
    events: int | None = None
    repeats: int | None = None
    short: bool = False
    full: bool = False

    def events_of(self, usual: int = DEFAULT_EVENTS, short: int = 40_000) -> int:
        """How many events to use: as asked, or this benchmark's own."""
        return self.events or (short if self.short else usual)

    def repeats_of(self, usual: int = 3, short: int = 1) -> int:
        """How often to run each candidate."""
        return self.repeats or (short if self.short else usual)

    def file_of(self, log: ReferenceLog) -> Path:
        """A reference log as a file of JSON lines."""
        path = self.scratch / f"{log.id}.jsonl"
        if not path.is_file():
            self.heard(f"writing {log.id}")
        return written(log, self.scratch)
