"""``make simulate SEEDS=1000 [SEED_START=0]``: so many schedules over all cores; exit code 1 when a promise breaks."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.simulation.parts import Part, parts, run
from tests.simulation.report import closing, told
from tests.simulation.seeds import Figures, case
from tests.simulation.shrink import shortest

SHRUNK: Final = 3
"""Failing seeds that are made short and printed; the others are named."""
PLAIN_EVERY_S: Final = 10.0


def main(arguments: Sequence[str]) -> int:
    """Run, show, judge; the exit code."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--seed-start", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(arguments)
    console, began = Console(highlight=False, soft_wrap=True), time.monotonic()
    total, failed = Figures(), []
    for part in _shown(console, asked.seed_start, asked.seeds, asked.processes):
        total.add(part.figures)
        failed += part.failed
        for seed in part.failed:
            console.print(f"seed {seed} fails", markup=False)
    for seed in sorted(failed)[:SHRUNK]:
        for line in told(shortest(case(seed)), case(seed)):
            console.print(line, markup=False)
    for line in closing(total, sorted(failed), time.monotonic() - began):
        console.print(line, markup=False)
    return 1 if failed else 0


def _shown(console: Console, first: int, count: int, processes: int) -> Iterator[Part]:
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        done = pool.imap_unordered(run, parts(first, count))
        if console.is_terminal:
            columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
                bar = progress.add_task("", total=count)
                for part in done:
                    progress.advance(bar, part.figures.schedules)
                    yield part
            return
        told_at, ready = time.monotonic(), 0
        for part in done:
            ready += part.figures.schedules
            if time.monotonic() - told_at > PLAIN_EVERY_S:
                told_at = time.monotonic()
                console.print(f"{ready:,} of {count:,} schedules", markup=False)
            yield part


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
