"""``make bench``: what everything costs on the reference logs, as a table with ratios and as JSON."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench.benchmark import Asked, Skipped
from tests.bench.measuring import machine
from tests.bench.registry import BENCHMARKS, Benchmark, chosen
from tests.bench.results import Figures, Measured, figures, keep
from tests.bench.table import table_of

_WIDTH_OF_PIPES: Final = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 if nothing could be measured, or what was measured did not do what it should."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="names of benchmarks")
    parser.add_argument("--events", type=int, metavar="N", help="events of every log (default: each its own)")
    parser.add_argument("--repeats", type=int, metavar="N", help="runs of each candidate (default: each its own)")
    parser.add_argument("--short", action="store_true", help="only so much that ratios can be told")
    parser.add_argument("--full", action="store_true", help="also what takes many minutes: a million users")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the results there, in place of earlier ones")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="keep logs there, for the next run")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and end")
    asked = parser.parse_args(arguments)
    try:
        benchmarks = chosen(asked.only)
    except LookupError as unknown:
        parser.error(str(unknown.args[0]))
    screen = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", _WIDTH_OF_PIPES)))
    if asked.list:
        for benchmark in BENCHMARKS:
            screen.print(f"{benchmark.name:12} {benchmark.about}", highlight=False)
        return 0
    results: list[Figures] = []
    failed: list[str] = []
    told = Console(stderr=True)
    with _scratch(asked.scratch) as folder, _watched(told, len(benchmarks)) as (heard, done):
        wanted = Asked(folder, heard, asked.events, asked.repeats, asked.short, asked.full)
        for benchmark in benchmarks:
            try:
                measured = _measured(benchmark, wanted)
            except Skipped as why:
                told.print(f"{benchmark.name}: skipped, {why}", highlight=False)
            except AssertionError as failure:  # what was measured is wrong, so its figures are nothing
                told.print(f"{benchmark.name}: FAILED, {failure}", highlight=False)
                failed.append(benchmark.name)
            else:
                results += measured.results
                if asked.json:
                    keep(measured, asked.json)
            done()
    if results:
        screen.print(table_of(results), highlight=False)
    return 0 if results and not failed else 1


def _measured(benchmark: Benchmark, asked: Asked) -> Measured:
    began, before = time.monotonic(), machine()
    results = figures(benchmark.measure(asked))
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return Measured(benchmark.name, before, today, results, round(time.monotonic() - began, 1))


@contextmanager
def _scratch(asked: Path | None) -> Iterator[Path]:
    if asked is not None:
        asked.mkdir(parents=True, exist_ok=True)
        yield asked
        return
    with tempfile.TemporaryDirectory(prefix="ebbtide-bench-") as folder:
        yield Path(folder)


@contextmanager
def _watched(told: Console, benchmarks: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """A bar on a terminal, else a line for each thing that is begun."""
    if not told.is_terminal:
        yield (lambda what: told.print(what, highlight=False, soft_wrap=True)), (lambda: None)
        return
    with Progress(
        BarColumn(24), TextColumn("{task.completed:.0f}/{task.total:.0f}"), TimeElapsedColumn(),
        TextColumn("{task.description}"), console=told, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=benchmarks)
        yield (lambda what: bar.update(task, description=what)), (lambda: bar.advance(task))


if __name__ == "__main__":
    sys.exit(main())
