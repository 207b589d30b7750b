"""(g) More users: CPU per event and memory per user, with ten events a user each time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tests.bench import held_profiles, stages
from tests.bench.backfill import backfill
from tests.bench.benchmark import Asked
from tests.bench.engine import WHOLE, runs_of
from tests.bench.measuring import Result, Run, cores, finished
from tests.bench.reference_logs import W1

ABOUT: Final = "(g) CPU per event and memory per user at 10,000 and 100,000 users, with --full at 1,000,000"
EVENTS_A_USER: Final = W1.events // W1.users
SIZES: Final = (10_000, 100_000)
FULL: Final = 1_000_000
SHORT: Final = (2_000, 10_000)


def measure(asked: Asked) -> Iterator[Result]:
    """Each number of users once: through the stages of a worker, and through a backfill that holds them all."""
    sizes = SHORT if asked.short else (*SIZES, FULL) if asked.full else SIZES
    for users in sizes:
        yield Result("users", f"{users:,} users", "w1, a worker's stages", (_worker(asked, users),))
    for users in sizes:
        asked.heard(f"users: backfill of {users:,}")
        log = W1.scaled(EVENTS_A_USER * users, users)
        run = backfill(asked.file_of(log), asked.scratch / "backfilled")
        yield Result("users", f"{users:,} users", "w1, backfill", (run,))


def _worker(asked: Asked, users: int) -> Run:
    """The stages with a worker's cache; then what its users take, measured in another process that holds only them."""
    path = asked.file_of(W1.scaled(EVENTS_A_USER * users, users))
    store = asked.scratch / "store"
    asked.heard(f"users: stages of {users:,}")
    process, printed = finished([sys.executable, "-m", stages.__name__, path, "--store", store], cores()[:1], 1)
    asked.heard(f"users: memory of {users:,}")
    _, told = finished([sys.executable, "-m", held_profiles.__name__, store], cores()[:1], 1)
    store.unlink()
    return replace(runs_of(json.loads(printed), process.peak_mb)[WHOLE], more=json.loads(told))
