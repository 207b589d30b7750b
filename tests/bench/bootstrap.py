"""``ebbtide bootstrap`` as a process on one core: a finished backfill into Apache Kafka, with what is told of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Asked, Skipped
from tests.bench.handed_over import grown
from tests.bench.live_processes import running_broker
from tests.bench.measuring import BenchmarkFailed, Result, Run, cores, finished, interleaved
from tests.bench.reference_logs import W1
from tests.support.brokers import kafka_is_missing

ABOUT: Final = "ebbtide bootstrap: users a second into Apache Kafka, with what is told of them"
_TOLD: Final = re.compile(r"told: ([\d,]+) changes of segment, ([\d,]+) portraits")
_places: Final = count()


def measure(asked: Asked) -> Iterator[Result]:
    """One size, or 1M users too; every run into topics of its own."""
    if missing := kafka_is_missing():
        raise Skipped(missing)
    log = asked.file_of(W1.scaled(asked.events_of(usual=40_000, short=10_000)))
    with running_broker("kafka", asked.scratch, cores()[1]) as brokers:
        for users in (20_000,) if asked.short else (200_000, 1_000_000) if asked.full else (200_000,):
            asked.heard(f"bootstrap: writing {users:,} users")
            folder = grown(log, users, asked.scratch / f"handed-{users}")
            candidates = {"ebbtide bootstrap": partial(bootstrapped, folder, brokers, users)}
            repeats = 1 if users > 200_000 else asked.repeats_of()
            yield from interleaved("bootstrap", f"{users} users", candidates, repeats, asked.heard, compared="")


def bootstrapped(folder: Path, brokers: str, users: int) -> Run:
    """One run into an empty installation; everybody must have been told."""
    name = f"bootstrap-{users}-{next(_places)}"
    environment = {"EBBTIDE_BROKERS": brokers, "EBBTIDE_TOPIC_PREFIX": f"{name}.", "EBBTIDE_GROUP_ID": name}
    command: list[str | Path] = [Path(sys.executable).with_name("ebbtide"), "bootstrap", folder]
    run, printed = finished(command, cores()[:1], users, environment=environment)
    found = _TOLD.search(printed)
    if found is None or int(found[2].replace(",", "")) != users:
        raise BenchmarkFailed(f"not everybody was told:\n{printed}")
    return replace(run, more={"changes_per_user": int(found[1].replace(",", "")) / users})
