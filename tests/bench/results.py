"""Results on disk: one entry for each benchmark, with the machine and the day it was measured on.

A benchmark that runs again replaces its own entry and leaves the others, so one file holds the newest of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.measuring import CPU_US, Result

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Figures:
    """The medians of one candidate on one log, as written."""

    benchmark: str
    candidate: str
    log: str
    events: int
    events_per_s: float
    cpu_us_per_event: float
    peak_mb: float
    more: dict[str, float] = field(default_factory=dict)
    compared: str = CPU_US
    runs: Sequence[dict[str, Any]] = ()

    def figure(self, name: str) -> float:
        """A median by name: ``cpu_us``, ``per_second``, ``peak_mb``, or one of ``more``."""
        named = {CPU_US: self.cpu_us_per_event, "per_second": self.events_per_s, "peak_mb": self.peak_mb}
        return self.more[name] if name in self.more else named[name]


@dataclass(frozen=True, slots=True)
class Measured:
    """One benchmark as measured at one time."""

    benchmark: str
    machine: dict[str, Any]
    measured_on: str
    """The day, YYYY-MM-DD."""
    results: tuple[Figures, ...]
    seconds: float = 0.0
    """What it took."""

    def of(self, candidate: str, log: str = "") -> Figures | None:
        """The figures of a candidate, on a log whose id begins so."""
        found = (one for one in self.results if one.candidate == candidate and one.log.startswith(log))
        return next(found, None)


def figures(results: Iterable[Result]) -> tuple[Figures, ...]:
    """Results as they are written and shown."""
    return tuple(Figures(**result.body()) for result in results)


def ratio(one: Figures, all_of_them: Iterable[Figures]) -> float | None:
    """A candidate's figure over that of the first one on the same log; None where nothing is compared."""
    first = next(other for other in all_of_them if (other.benchmark, other.log) == (one.benchmark, one.log))
    if not one.compared or first is one:
        return None
    against = first.figure(one.compared)
    return one.figure(one.compared) / against if against else None


def read(path: Path) -> dict[str, Measured]:
    """What a file holds, by benchmark; nothing where there is none."""
    if not path.is_file():
        return {}
    body = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Measured(
            name,
            entry["machine"],
            entry["measured_on"],
            tuple(Figures(**one) for one in entry["results"]),
            entry["seconds"],
        )
        for name, entry in body["benchmarks"].items()
    }


def keep(measured: Measured, path: Path) -> None:
    """Put a benchmark's results into a file, in place of its earlier ones."""
    kept = read(path) | {measured.benchmark: measured}
    body = {
        "format": FORMAT,
        "benchmarks": {
            name: {
                "measured_on": one.measured_on,
                "seconds": one.seconds,
                "machine": one.machine,
                "results": [_body(figure) for figure in one.results],
            }
            for name, one in kept.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def _body(one: Figures) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Figures.__slots__}
