"""From a seed to a verdict: its log, the fault-free run of that log, its schedule, and what the run broke."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tests.simulation.checks import broken, repeats
from tests.simulation.event_log import BURST_EVERY_S, FIRST_BURST_S, EventLog, event_log
from tests.simulation.faults import Schedule, schedule
from tests.simulation.world import WORKERS, Outcome, simulate

SCHEDULES_A_LOG: Final = 5
"""Seeds that share a log, and so its fault-free run."""
FINISHED_BUSY_S: Final = (0.7, 1.0, 1.5, 2.0, 2.5, 12.0)
"""A finished log is applied in a few seconds, and again after a crash."""


@dataclass(frozen=True, slots=True)
class Case:
    """What one run is made of."""

    seed: int
    log: EventLog
    schedule: Schedule


@dataclass(slots=True)
class Figures:
    """Sums over many runs."""

    schedules: int = 0
    records: int = 0
    simulated_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    zombie_records: int = 0
    compacted: int = 0
    rebalances: int = 0
    repeats: int = 0

    def add(self, other: Figures) -> None:
        """Add those of other runs."""
        self.schedules += other.schedules
        self.records += other.records
        self.simulated_s += other.simulated_s
        self.faults.update(other.faults)
        self.ends.update(other.ends)
        self.zombie_records += other.zombie_records
        self.compacted += other.compacted
        self.rebalances += other.rebalances
        self.repeats += other.repeats


def case(seed: int) -> Case:
    """The log and the schedule of a seed."""
    log = _log(seed // SCHEDULES_A_LOG)
    bursts = sorted({arrival.at_s // BURST_EVERY_S * BURST_EVERY_S + FIRST_BURST_S for arrival in log.arrivals})
    busy_s = (*bursts, log.end_s) if log.live else FINISHED_BUSY_S
    return Case(seed, log, schedule(seed, busy_s, WORKERS))


@lru_cache(maxsize=4)
def _log(number: int) -> EventLog:
    return event_log(number)


@lru_cache(maxsize=2)
def fault_free(log: EventLog) -> Outcome:
    """The oracle: the same log, and nothing goes wrong."""
    outcome = simulate(0, log, ())
    if outcome.failures:
        raise AssertionError(f"the fault-free run failed: {outcome.failures}")
    return outcome


def verdict(tried: Case) -> tuple[list[str], Outcome]:
    """What a case broke, and how it went."""
    reference = fault_free(tried.log)
    outcome = simulate(tried.seed, tried.log, tried.schedule)
    return broken(outcome, reference, tried.log), outcome


def figures(tried: Case, outcome: Outcome) -> Figures:
    """The figures of one run."""
    return Figures(
        schedules=1,
        records=len(tried.log.arrivals),
        simulated_s=outcome.seconds,
        faults=outcome.faults,
        ends=outcome.ends,
        zombie_records=outcome.zombies,
        compacted=outcome.compacted,
        rebalances=outcome.rebalances,
        repeats=repeats(outcome),
    )
