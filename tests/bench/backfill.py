"""(d) Backfill: ``ebbtide backfill`` as a process on one core, from file to folder, beside plain counting."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench import plain
from tests.bench.benchmark import Asked
from tests.bench.engine import logs_of, repeats_on
from tests.bench.measuring import BenchmarkFailed, Result, Run, cores, finished, interleaved
from tests.bench.reference_logs import W1

ABOUT: Final = "(d) ebbtide backfill on one core, on w1, w2 and w3, beside plain counting"

STARTED_WITH: Final = 10
"""Events of a run that is hardly more than a start."""


def measure(asked: Asked) -> Iterator[Result]:
    """The command beside plain counting, on every log."""
    events = asked.events_of()
    asked.heard("backfill: what a start takes")
    start_s = backfill(asked.file_of(W1.scaled(STARTED_WITH, 1)), asked.scratch / "backfilled").cpu_s
    for log, path in logs_of(asked, events).items():
        candidates = {
            "ebbtide backfill": partial(backfill, path, asked.scratch / "backfilled", start_s=start_s),
            "plain counting": partial(counting, path, asked.scratch / "counted.jsonl"),
        }
        yield from interleaved("backfill", log, candidates, repeats_on(asked, log), asked.heard)


def backfill(path: Path, out: Path, *, start_s: float = 0.0) -> Run:
    """One backfill; everything read must have been accepted, but for repeats.

    ``start_s`` is the CPU that a start takes; a short log would else be charged what a long one does not notice.
    """
    run, _ = finished([Path(sys.executable).with_name("ebbtide"), "backfill", path, "--out", out], cores()[:1], 1)
    summary = json.loads((out / "summary.json").read_bytes())
    records = summary["records"]
    if records["rejected"] or not records["accepted"]:
        raise BenchmarkFailed(f"a reference log has no rejects: {summary['rejected_by_reason']}")
    written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    more = {"users": float(summary["users"]), "written_bytes_per_event": written / records["read"]}
    if start_s:
        more["without_start_us"] = (run.cpu_s - start_s) / records["read"] * 1e6
    return replace(run, events=records["read"], more=more)


def counting(path: Path, out: Path) -> Run:
    """One run of plain counting over the same file."""
    run, _ = finished([sys.executable, "-m", plain.__name__, path, out], cores()[:1], 1)
    with path.open("rb") as lines:
        return replace(run, events=sum(1 for _ in lines))
