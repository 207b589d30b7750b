"""How a million events a second would be reached, with the figures of benchmark ``workers`` (1 and 2 workers)."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2
from typing import Final

from tests.bench.results import Measured
from tests.bench.sizing import BUSY
from tests.bench.table import number

GOAL_PER_S: Final = 1_000_000
BENCHMARK: Final = "workers"
MOST_GROWTH: Final = 1.5


def workers_for(goal_per_s: float, capacity_per_s: float, growth: float, busy: float = BUSY) -> tuple[int, int]:
    """Workers for a load, if an event costs what it costs a single worker, and if it costs more with every doubling.

    Parameters
    ----------
    goal_per_s
        Events a second to carry.
    capacity_per_s
        What a single worker does with a core of its own, events a second.
    growth
        What an event costs with twice as many workers, over what it costs with so many; less than 2.
    busy
        Share of its capacity that a worker may be given.

    Examples
    --------
    >>> workers_for(80_000, 20_000, 1.0, busy=1.0)
    (4, 4)
    >>> workers_for(80_000, 20_000, 2**0.5, busy=1.0)
    (4, 16)
    """
    whole = goal_per_s / capacity_per_s / busy
    # n workers pay growth ** log2(n) times as much: n = whole * growth ** log2(n).
    grown = whole ** (1 / (1 - log2(growth)))
    return ceil(round(whole, 6)), ceil(round(grown, 6))


def plan(results: Mapping[str, Measured]) -> str:
    """The figures, in a sentence and a table."""
    measured = results.get(BENCHMARK)
    one, two = (measured.of("1 worker"), measured.of("2 workers")) if measured else (None, None)
    if one is None or two is None:
        return f"*Not told yet: it needs `make bench ONLY={BENCHMARK} DOCS=1`.*"
    growth = max(1.0, two.cpu_us_per_event / one.cpu_us_per_event)
    told = (
        f"One worker took {number(one.cpu_us_per_event)} µs of CPU an event, two took {number(two.cpu_us_per_event)}: "
        f"{growth:.2f} times as much. Events/s while busy: {number(one.more['busy_per_s'])} and "
        f"{number(two.more['busy_per_s'])}, on {number(one.more['cores'])} cores that Kafka and the trainer share."
    )
    if growth >= MOST_GROWTH:
        return f"{told} That is no basis for a plan: two workers stood in each other's way on this machine."
    whole, grown = workers_for(GOAL_PER_S, one.more["busy_per_s"], growth)
    rows = [
        "| a million events/s, every worker at half of its capacity | workers |",
        "|---|---:|",
        f"| if an event costs a hundred workers what it costs one | {whole} |",
        f"| if every doubling makes it {growth:.2f} times as expensive, as the first one did | {grown:,} |",
    ]
    return "\n".join([told, "", *rows])
