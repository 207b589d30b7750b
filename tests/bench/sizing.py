"""How large a deployment must be, from what was measured: the formulas of docs/performance.md, and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2
from typing import Final

from streams.settings import Settings
from tests.bench.engine import WHOLE
from tests.bench.results import Measured

BUSY: Final = 0.5
"""Share of its capacity that a worker may be given day by day: bursts, an outage caught up with, and a lost worker fit
into the rest. Latency is measured at it."""
PARTITIONS_A_WORKER: Final = 4
"""Partitions cannot be changed later: so many times as many workers can share the work one day."""
LEAST_WORKERS: Final = 2
"""One that serves while the other is restarted."""
STORE_TIMES: Final = 2.0
"""The local store may hold everything twice while it compacts."""
COMPACTION_LAG_S: Final = 3_600
"""The changelog is not compacted for so long (``min.compaction.lag.ms``): until then every version stays."""
FETCHES: Final = 2
"""One fetch of a partition is worked on while the next one waits."""
MB: Final = 2**20
NEEDED: Final = ("engine", "users", "worker", "restore")


@dataclass(frozen=True, slots=True)
class Load:
    """What a deployment must carry."""

    events_per_s: float
    users: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured. Bytes are those of one user, or of one event where named so."""

    capacity_per_s: float
    """Events a second of a live worker that catches up on Apache Kafka, with a core of its own."""
    base_mb: float
    """A worker that holds nobody, resident."""
    queued: float
    """In memory for every user of a worker: the deadlines."""
    decoded: float
    """In memory for a user in the cache."""
    stored: float
    """On disk and in the compacted changelog."""
    written: float
    """A profile as it is written to the changelog: that of a user who does something."""
    told_per_event: float
    """Outputs."""
    restored_per_s: float
    """Profiles that a starting worker reads back from the changelog."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What carries it."""

    workers: int
    partitions: int
    memory_mb: float
    """Of each worker."""
    disk_mb: float
    """Of each worker."""
    changelog_mb: float
    """On the brokers, for each replica."""
    sent_mb_per_s: float
    """To the brokers, by all workers together."""
    restore_s: float
    """A worker that has lost its disk, until it serves."""


def sized(load: Load, costs: Costs, settings: Settings | None = None) -> Deployment:
    """The deployment for a load; each line is one formula of the page."""
    kept = settings or Settings()
    workers = max(LEAST_WORKERS, ceil(load.events_per_s / costs.capacity_per_s / BUSY))
    partitions = max(kept.partitions, 2 ** ceil(log2(PARTITIONS_A_WORKER * workers)))
    theirs = load.users / workers
    cached = min(kept.cache_profiles, theirs) * costs.decoded
    fetched = partitions / workers * FETCHES * kept.fetch_bytes
    changelog_per_s = load.events_per_s * costs.written
    return Deployment(
        workers,
        partitions,
        costs.base_mb + (theirs * costs.queued + cached + fetched) / MB,
        theirs * costs.stored * STORE_TIMES / MB,
        (load.users * costs.stored + changelog_per_s * COMPACTION_LAG_S) / MB,
        (changelog_per_s + load.events_per_s * costs.told_per_event) / MB,
        theirs / costs.restored_per_s,
    )


def costs_of(results: Mapping[str, Measured]) -> Costs | None:
    """The costs as measured; None where a benchmark that they need was not run yet."""
    if not all(name in results for name in NEEDED):
        return None
    engine = results["engine"].of(WHOLE, "w1")
    worker = results["worker"].of("Apache Kafka", "w1")
    held = [one for one in results["users"].results if "stored_bytes" in one.more]
    cold = [one for one in results["restore"].results if one.candidate == "cold"]
    empty = results["restore"].of("nothing to restore")
    if engine is None or worker is None or empty is None or not held or not cold:
        return None
    largest = max(held, key=lambda one: one.more["users"])
    return Costs(
        capacity_per_s=worker.events_per_s,
        base_mb=empty.more["resident_mb"],
        queued=largest.more["queued_bytes"],
        decoded=largest.more["decoded_bytes"],
        stored=largest.more["stored_bytes"],
        written=engine.more["changelog_bytes_per_event"] / engine.more["profiles_per_event"],
        told_per_event=engine.more["output_bytes_per_event"],
        restored_per_s=max(cold, key=lambda one: one.events).events_per_s,
    )
