"""docs/performance.md: prose by hand (``performance_prose.md``), with what was measured put where ``{{name}}`` stands.

python -m tests.bench.report            # docs/performance.json in; .md and two flame graphs out
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench import flamegraph
from tests.bench.benchmark import Skipped
from tests.bench.gate import bounds
from tests.bench.results import Figures, Measured, ratio, read
from tests.bench.scale_plan import plan
from tests.bench.sizing import Load, costs_of, sized
from tests.bench.table import number

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PROSE: Final = Path(__file__).with_name("performance_prose.md")
EXAMPLES: Final = (Load(500, 200_000), Load(5_000, 2_000_000), Load(50_000, 20_000_000), Load(1_000_000, 200_000_000))
_PLACE: Final = re.compile(r"\{\{(\w+)(?: (\w+))?\}\}")
_FIGURES: Final = ("events/s", "CPU µs/event", "peak MB", "ratio")


def page(prose: str, results: Mapping[str, Measured]) -> str:
    """The page: every ``{{name}}`` and ``{{name argument}}`` replaced by what it stands for.

    Raises
    ------
    LookupError
        A name stands for nothing.
    """
    return _PLACE.sub(lambda found: PARTS[found[1]](results, found[2] or ""), prose)


def measured_table(results: Mapping[str, Measured], benchmark: str) -> str:
    """All figures of a benchmark; columns in which nothing stands are left out."""
    if (measured := results.get(benchmark)) is None:
        return f"*Not measured yet: `make bench ONLY={benchmark} DOCS=1`.*"
    shown = measured.results
    more = list(dict.fromkeys(name for one in shown for name in one.more))
    # What few have gets a table of its own below, not a column full of holes.
    common = [name for name in more if 2 * sum(name in one.more for one in shown) >= len(shown)]
    rare = [name for name in more if name not in common]
    tables = [_table(["events", *_FIGURES, *common], [(one, _row(one, shown, common)) for one in shown])]
    if rare:
        having = [one for one in shown if any(name in one.more for name in rare)]
        tables.append(_table(rare, [(one, _besides(one, rare)) for one in having]))
    return "\n\n".join([*tables, f"*{_when(measured)}*"])


def _table(headings: Sequence[str], rows: Sequence[tuple[Figures, Sequence[str]]]) -> str:
    used = [at for at in range(len(headings)) if any(cells[at] for _, cells in rows)]
    named = [headings[at].replace("_", " ") for at in used]
    lines = [["log", "candidate", *named], ["---", "---", *("---:" for _ in used)]]
    lines += [[one.log, one.candidate, *(cells[at] for at in used)] for one, cells in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(one: Figures, results: Sequence[Figures], more: Sequence[str]) -> list[str]:
    times = ratio(one, results)
    told = [
        number(one.events_per_s) if one.events_per_s else "",
        number(one.cpu_us_per_event) if one.cpu_us_per_event else "",
        number(one.peak_mb) if one.peak_mb else "",
        "" if times is None else f"{times:.2f}×",
    ]
    return [f"{one.events:,}", *told, *_besides(one, more)]


def _besides(one: Figures, names: Sequence[str]) -> list[str]:
    return [number(one.more[name]) if name in one.more else "" for name in names]


def _when(measured: Measured) -> str:
    runs = sorted({len(one.runs) for one in measured.results})
    repeated = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    return (
        f"Measured on {measured.measured_on} in {measured.seconds:,.0f} s; "
        f"medians of {repeated} run{'s' if runs[-1] > 1 else ''}; load before: {measured.machine['load']}."
    )


def machine(results: Mapping[str, Measured], _: str) -> str:
    """The machine that most was measured on."""
    if not results:
        return "*Nothing measured yet: `make bench`.*"
    one = max(results.values(), key=lambda measured: measured.measured_on).machine
    packages = ", ".join(f"{name} {version}" for name, version in one["packages"].items())
    return (
        f"{one['cpu']}, {one['cores']} cores, {one['memory_gib']} GiB, Linux {one['kernel']}, "
        f"Python {one['python']}; {packages}."
    )


def sizing(results: Mapping[str, Measured], _: str) -> str:
    """What deployments need, by the formulas above."""
    if (costs := costs_of(results)) is None:
        return "*Not told yet: it needs `make bench ONLY='engine users worker restore' DOCS=1`.*"
    headings = "events/s, users, workers, partitions, memory of each, disk of each, changelog of each replica"
    columns = [*headings.split(", "), "sent to brokers", "restore after a lost disk"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---:|" * len(columns)]
    for load in EXAMPLES:
        needs = sized(load, costs)
        lines.append(
            f"| {load.events_per_s:,.0f} | {load.users:,} | {needs.workers} | {needs.partitions} | "
            f"{size(needs.memory_mb)} | {size(needs.disk_mb)} | {size(needs.changelog_mb)} | "
            f"{size(needs.sent_mb_per_s)}/s | {needs.restore_s:,.0f} s |"
        )
    used = (
        f"With a capacity of {number(costs.capacity_per_s)} events/s, {number(costs.base_mb)} MB for a worker that "
        f"holds nobody; for each user {number(costs.queued)} B of deadlines, {number(costs.decoded)} B in the cache "
        f"and {number(costs.stored)} B stored; {number(costs.written)} B for each profile written, "
        f"{number(costs.told_per_event)} B of outputs an event, {number(costs.restored_per_s)} profiles/s restored."
    )
    return "\n".join([used, "", *lines])


def size(mb: float) -> str:
    """Megabytes for people.

    Examples
    --------
    >>> size(0.6), size(812), size(20_480)
    ('0.6 MB', '812 MB', '20 GB')
    """
    return f"{number(mb)} MB" if mb < 1_024 else f"{number(mb / 1_024)} GB"


def gate(results: Mapping[str, Measured], _: str) -> str:
    """The bounds in force."""
    lines = ["| ratio | of | measured | bound |", "|---|---|---:|---:|"]
    lines += [f"| {one.name} | {one.says} | {number(one.measured)} | {number(one.at_most)} |" for one in bounds()]
    return "\n".join(lines)


def figure(results: Mapping[str, Measured], name: str) -> str:
    """One median within a sentence."""
    benchmark, candidate, log, wanted = FIGURES[name]
    measured = results.get(benchmark)
    found = measured and measured.of(candidate, log)
    return f"**{number(found.figure(wanted))}**" if found else "*(not measured yet)*"


FIGURES: Final = {
    "engine_us": ("engine", "all of a worker's stages", "w1", "cpu_us"),
    "engine_w2_us": ("engine", "all of a worker's stages", "w2", "cpu_us"),
    "worker_us": ("worker", "Apache Kafka", "w1", "cpu_us"),
    "worker_per_s": ("worker", "Apache Kafka", "w1", "per_second"),
    "backfill_us": ("backfill", "ebbtide backfill", "w1", "cpu_us"),
    "backfill_per_s": ("backfill", "ebbtide backfill", "w1", "per_second"),
    "backfill_w2_per_s": ("backfill", "ebbtide backfill", "w2", "per_second"),
    "half_load_p99_ms": ("latency", "50% of capacity", "", "p99_ms"),
    "half_load_p50_ms": ("latency", "50% of capacity", "", "p50_ms"),
}
"""What ``{{figure name}}`` tells: benchmark, candidate, log, figure."""
PARTS: Final[Mapping[str, Callable[[Mapping[str, Measured], str], str]]] = {
    "table": measured_table,
    "machine": machine,
    "sizing": sizing,
    "plan": lambda results, _: plan(results),
    "gate": gate,
    "figure": figure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, and draw the flame graphs anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, default=DOCS / "performance.json")
    parser.add_argument("--out", type=Path, default=DOCS / "performance.md")
    parser.add_argument("--no-flames", action="store_true", help="leave the flame graphs as they are")
    asked = parser.parse_args(arguments)
    results = read(asked.results)
    asked.out.write_text(page(PROSE.read_text(encoding="utf-8"), results), encoding="utf-8")
    if not asked.no_flames:
        for draw, name in ((flamegraph.worker_drawn, "worker"), (flamegraph.stages_drawn, "stages")):
            try:
                draw(asked.out.with_name(f"performance-{name}.svg"))
            except Skipped as why:
                print(f"the flame graph of the {name} stays as it is: {why}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
