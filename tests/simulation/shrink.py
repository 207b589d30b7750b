"""A failing case made as short as it can be: faults are dropped, then records, as long as it still fails.

Delta debugging (Zeller and Hildebrandt 2002): first halves, then quarters, at last single ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from tests.simulation.seeds import Case, verdict

T = TypeVar("T")

MOST_RUNS: Final = 250
"""So many tries at most: a few seconds."""


def shortest(failing: Case, fails: Callable[[Case], bool] | None = None) -> Case:
    """The shortest case found that still fails.

    Parameters
    ----------
    failing
        A case that fails.
    fails
        Whether a case fails; by default its verdict.
    """
    still = _counted(fails or (lambda tried: bool(verdict(tried)[0])))
    faults = _fewest(failing.schedule, lambda kept: still(replace(failing, schedule=tuple(kept))))
    shorter = replace(failing, schedule=tuple(faults))
    log = shorter.log
    numbers = range(len(log.arrivals))

    def with_records(kept: Sequence[int]) -> Case:
        return replace(shorter, log=log.without(frozenset(numbers) - frozenset(kept)))

    kept = _fewest(numbers, lambda some: bool(some) and still(with_records(some)))
    shorter = with_records(kept)
    faults = _fewest(shorter.schedule, lambda some: still(replace(shorter, schedule=tuple(some))))
    return replace(shorter, schedule=tuple(faults))


def _counted(fails: Callable[[Case], bool]) -> Callable[[Case], bool]:
    left = MOST_RUNS

    def counted(tried: Case) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            return False
        try:
            return fails(tried)
        except AssertionError:
            return False  # its fault-free run fails: another fault than the one looked for

    return counted


def _fewest(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """A part of the items that fails, no part of which that was tried does."""
    kept, pieces = list(items), 2
    while kept:
        size = -(-len(kept) // pieces)
        for at in range(0, len(kept), size):
            rest = kept[:at] + kept[at + size :]
            if fails(rest):
                kept, pieces = rest, max(2, pieces - 1)
                break
        else:
            if size == 1:
                break
            pieces = min(len(kept), pieces * 2)
    return kept
