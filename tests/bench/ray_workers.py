"""``ebbtide backfill --workers 2`` on Ray beside one process: the same log, the same hashes, both cores of the machine.

Wall time is what counts: Ray's processes are not children of the command, so their CPU is not in its account. A start
of Ray is part of it, and weighs the less the longer a log is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tests.bench.benchmark import Asked, Skipped
from tests.bench.measuring import BenchmarkFailed, Result, Run, finished, interleaved
from tests.bench.reference_logs import W1

ABOUT: Final = "ebbtide backfill in one process and with two workers on Ray: wall time"
NO_ACCOUNT: Final = 0.0


def measure(asked: Asked) -> Iterator[Result]:
    """One process first; two workers must come to the same hashes."""
    if find_spec("ray") is None:
        raise Skipped("Ray is not installed: it is in the extra ebbtide[ray]")
    if len(os.sched_getaffinity(0)) < 2:
        raise Skipped("two workers need two cores")
    log = W1.scaled(asked.events_of(usual=300_000, short=40_000))
    path = asked.file_of(log)
    hashes: dict[str, Any] = {}
    candidates = {
        "1 process": partial(backfill, path, asked.scratch / "backfilled", 1, hashes),
        "2 workers on Ray": partial(backfill, path, asked.scratch / "backfilled", 2, hashes),
    }
    yield from interleaved("ray", log.id, candidates, asked.repeats_of(1), asked.heard, compared="wall_us")


def backfill(path: Path, out: Path, workers: int, hashes: dict[str, Any]) -> Run:
    """One backfill on every core of the machine; ``hashes`` are those that all runs must come to."""
    command: list[str | Path] = [
        Path(sys.executable).with_name("ebbtide"),
        "backfill",
        path,
        "--out",
        out,
        "--workers",
        str(workers),
    ]
    run, _ = finished(command, os.sched_getaffinity(0), 1)
    summary = json.loads((out / "summary.json").read_bytes())
    if hashes.setdefault("first", summary["hashes"]) != summary["hashes"]:
        raise BenchmarkFailed(f"{workers} workers came to {summary['hashes']}, not to {hashes['first']}")
    events = summary["records"]["read"]
    more = {"wall_us": run.seconds / events * 1e6}
    return replace(run, events=events, cpu_s=NO_ACCOUNT, peak_mb=NO_ACCOUNT, more=more)
