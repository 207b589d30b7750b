"""A failing case, printed so that it can be understood and repeated; and the figures of many."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.event_log import topic_of
from tests.simulation.faults import AT_A_STEP, AT_A_TIME
from tests.simulation.seeds import Case, Figures, verdict

MOST_SHOWN = 40
"""Lines of the story, and records of the log, that are printed."""


def told(shortest: Case, of: Case) -> Iterator[str]:
    """A failing case, line by line."""
    broken, outcome = verdict(shortest)
    mode = "live, under the wall clock" if of.log.live else "finished, under --clock log"
    yield (
        f"seed {of.seed} fails. Its log ({mode}) has {len(of.log.arrivals)} records in {of.log.partitions} partitions, "
        f"its schedule {len(of.schedule)} faults;"
    )
    yield f"it still fails with {len(shortest.log.arrivals)} records and {len(shortest.schedule)} faults:"
    yield from (f"    {fault}" for fault in shortest.schedule)
    yield "  the records:"
    for arrival in shortest.log.arrivals[:MOST_SHOWN]:
        where = f"{topic_of(arrival)}-{shortest.log.partition(arrival.user)}"
        yield f"    at {arrival.at_s:6.2f} s  {where:12} {arrival.user}  {(arrival.value or b'-').decode()}"
    yield "  what happened:"
    yield from (f"    {line}" for line in outcome.story[:MOST_SHOWN])
    yield "  what was broken:"
    yield from (f"    {why}" for why in broken[:5])
    yield f"  again: make simulate SEEDS=1 SEED_START={of.seed}"


def closing(total: Figures, failed: list[int], seconds: float) -> Iterator[str]:
    """The last lines of a run over many seeds."""
    faults = ", ".join(f"{total.faults[kind]} {kind}" for kind in (*AT_A_STEP, *AT_A_TIME) if total.faults[kind])
    yield f"faults: {faults}"
    fenced = total.ends["FencedError"]
    yield (
        f"{total.schedules:,} schedules, {sum(total.faults.values()):,} faults, {total.faults['crash']:,} crashes, "
        f"{total.ends.total():,} processes ended, {total.rebalances:,} rebalances, {total.zombie_records:,} records of "
        f"zombies refused ({fenced:,} exited fenced), {total.compacted:,} records compacted away, "
        f"{total.repeats:,} outputs repeated, {total.simulated_s / 3600:,.1f} h simulated in {seconds:.0f} s: "
        + (f"{len(failed)} FAILED: {', '.join(map(str, failed[:20]))}" if failed else "all kept their promises")
    )
