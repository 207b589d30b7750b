"""Many seeds in parts: what one process is given at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.simulation.seeds import SCHEDULES_A_LOG, Figures, case, figures, verdict


class Part(NamedTuple):
    """What a few seeds gave."""

    figures: Figures
    failed: list[int]


def run(seeds: Sequence[int]) -> Part:
    """Run a few seeds."""
    total, failed = Figures(), []
    for seed in seeds:
        tried = case(seed)
        broken, outcome = verdict(tried)
        total.add(figures(tried, outcome))
        if broken:
            failed.append(seed)
    return Part(total, failed)


def parts(first: int, count: int) -> list[range]:
    """The seeds in parts that share a log."""
    last, found = first + count, []
    while first < last:
        end = min(last, (first // SCHEDULES_A_LOG + 1) * SCHEDULES_A_LOG)
        found.append(range(first, end))
        first = end
    return found
