"""``make bench-gate``: ratios that a change may not spoil. Never a time: the machine may be any, and busy.

What is compared runs in one process in turns of a slice each, and is charged CPU time, so that whatever slows the
machine slows both sides; every ratio is the median of a few rounds. The measure of speed is plain counting
(:mod:`tests.bench.plain`): the same JSON, dicts and arithmetic, as slow or fast as this machine and this Python are.
Ratios of sizes are exact. The bounds stand in ``bounds.toml`` with the ratio that they were taken from.

``--propose`` prints ``bounds.toml`` anew from what it measures: for whoever has made something faster.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from streams.core.policy import Policy
from streams.garbage import collect_seldom
from streams.policies.reader import read_policy
from streams.replay.backfill import run_backfill
from streams.replay.files import open_log
from streams.replay.offline import RunOptions
from tests.bench import plain
from tests.bench.reference_logs import W1, written
from tests.bench.stages import HORIZON_DAYS, OF_A_WORKER, PUBLISHED_MS, SLICE, StageClock, Stages, arrived
from tests.bench.table import number

BOUNDS: Final = Path(__file__).with_name("bounds.toml")
ROUNDS: Final = 3
EVENTS: Final = 40_000
FEW_USERS: Final = 500
TIMES_AS_MANY: Final = 10
EVENTS_A_USER: Final = 5
COUNTED_TIMES: Final = 4
"""Counting takes so little that once would be too short to measure."""
SLACK: Final = {"time": 1.5, "size": 1.05}
"""What a bound is over the measured ratio. Between machines and under load, ratios of CPU time were found to differ by
up to a third; sizes differ by nothing, but may grow a little for a reason."""
_HEADING: Final = (
    "# What `make bench-gate` holds ratios against, as `python -m tests.bench.gate --propose` prints it.\n"
)
_WIDTH_OF_PIPES: Final = 120


class Bound(NamedTuple):
    """What a ratio may come to."""

    name: str
    says: str
    kind: str
    """``time`` or ``size``: what the ratio is of."""
    measured: float
    at_most: float


def bounds(path: Path = BOUNDS) -> list[Bound]:
    """The bounds in force."""
    return [Bound(name, **entry) for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items()]


def measured(folder: Path, rounds: int = ROUNDS, events: int = EVENTS, users: int = FEW_USERS) -> dict[str, float]:
    """Every ratio, the median of its rounds."""
    path = written(W1.scaled(events), folder)
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, ratio in (*beside_plain(path), *with_more_users(folder, users)):
            found.setdefault(name, []).append(ratio)
    return {name: statistics.median(ratios) for name, ratios in found.items()}


def beside_plain(path: Path) -> Iterator[tuple[str, float]]:
    """A worker's stages and a backfill over plain counting of the same lines, and sizes over those of the lines."""
    gc.collect()
    stages, plain_s = Stages(StageClock()), 0.0
    counted: list[dict[str, dict[str, Any]]] = [{} for _ in range(COUNTED_TIMES)]
    for lines in slices(path):
        stages.slice([arrived(line) for line in lines])
        gc.disable()  # the engine's heap is not what counting would have to look through
        begun = time.process_time()
        for users in counted:
            plain.count(users, lines)
        plain_s += (time.process_time() - begun) / COUNTED_TIMES
        gc.enable()
    stages.finish()
    seconds = stages.clock.seconds
    yield "worker", _cpu_s(stages) * stages.events / plain_s
    yield "decode", (seconds["decode"] + seconds["clean"]) / plain_s
    yield "engine", seconds["engine"] / plain_s
    yield "encode", (seconds["profiles"] + seconds["outputs"] + seconds["portraits"]) / plain_s
    yield "backfill", _backfill_s(path) / sum(seconds.values())
    taken = path.stat().st_size
    yield "changelog", stages.made.sizes["profiles"] / taken
    yield "outputs", (stages.made.sizes["outputs"] + stages.made.sizes["portraits"]) / taken
    yield "stored", sum(map(len, stages.store.values())) / taken


def with_more_users(folder: Path, users: int) -> Iterator[tuple[str, float]]:
    """CPU per event with ten times as many users, over that with few of them; both go on in turns."""
    many = users * TIMES_AS_MANY
    few_path = written(W1.scaled(EVENTS_A_USER * users, users), folder)
    many_path = written(W1.scaled(EVENTS_A_USER * many, many), folder)
    gc.collect()
    of_many, few_cpu_s = Stages(StageClock()), list[float]()
    for turn, lines in enumerate(slices(many_path)):
        of_many.slice([arrived(line) for line in lines])
        if turn * SLICE >= len(few_cpu_s) * EVENTS_A_USER * users:
            of_few = Stages(StageClock())
            of_few.run(map(arrived, few_path.read_bytes().splitlines(keepends=True)))
            few_cpu_s.append(_cpu_s(of_few))
    of_many.finish()
    yield "users", _cpu_s(of_many) / statistics.fmean(few_cpu_s)


def slices(path: Path) -> Iterator[list[bytes]]:
    """The lines of a file, a slice at a time."""
    lines = path.read_bytes().splitlines(keepends=True)
    for begin in range(0, len(lines), SLICE):
        yield lines[begin : begin + SLICE]


def _cpu_s(stages: Stages) -> float:
    return sum(stages.clock.seconds[stage] for stage in OF_A_WORKER) / stages.events


def _backfill_s(path: Path) -> float:
    policy: Policy = read_policy(None)
    with tempfile.TemporaryDirectory(prefix="ebbtide-gate-") as folder:
        begun = time.process_time()
        options = RunOptions(horizon_days=HORIZON_DAYS, policy=policy)
        run_backfill([open_log(path)], Path(folder) / "out", options, started_ms=PUBLISHED_MS)
        return time.process_time() - begun


def table_of(found: Mapping[str, float], limits: Sequence[Bound]) -> Table:
    """Ratios beside their bounds."""
    table = Table(title="Ratios that a change may not spoil", title_justify="left")
    for heading in ("ratio", "of", "then", "now", "at most", ""):
        table.add_column(heading, justify="left" if heading in ("ratio", "of", "") else "right")
    for bound in limits:
        now = found[bound.name]
        verdict = "pass" if now <= bound.at_most else "FAIL"
        table.add_row(bound.name, bound.says, number(bound.measured), number(now), number(bound.at_most), verdict)
    return table


def proposed(found: Mapping[str, float], limits: Sequence[Bound]) -> str:
    """``bounds.toml`` with what was measured now."""
    entries = [_HEADING]
    for bound in limits:
        now = found[bound.name]
        entries.append(
            f'[{bound.name}]\nsays = "{bound.says}"\nkind = "{bound.kind}"\n'
            f"measured = {now:.3g}\nat_most = {now * SLACK[bound.kind]:.3g}\n"
        )
    return "\n".join(entries)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge; 1 if a ratio is beyond its bound."""
    parser = argparse.ArgumentParser(prog="make bench-gate", description=__doc__)
    parser.add_argument("--propose", action="store_true", help="print bounds.toml anew")
    asked = parser.parse_args(arguments)
    limits = bounds()
    collect_seldom()
    with tempfile.TemporaryDirectory(prefix="ebbtide-gate-") as folder:
        found = measured(Path(folder))
    if asked.propose:
        print(proposed(found, limits), end="")
        return 0
    screen = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", _WIDTH_OF_PIPES)))
    screen.print(table_of(found, limits), highlight=False)
    return int(any(found[bound.name] > bound.at_most for bound in limits))


if __name__ == "__main__":
    sys.exit(main())
