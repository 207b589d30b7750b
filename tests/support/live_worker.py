"""A worker in a process of its own, to be killed and frozen: ``python -m tests.support.live_worker``.

Settings come from the environment, as for ``ebbtide worker``. ``COUNTING=1`` puts in the counting engine;
``LIVE_HTTP`` is the port of ``/healthz`` and ``/readyz``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from prometheus_client import CollectorRegistry

from streams.live.exits import Exits
from streams.live.seams import Clock, PendingProfiles
from streams.live.serve import log_to_stderr
from streams.live.worker import Worker, stop_on_signals
from streams.metrics.exposition import Exposition
from streams.policies.reader import read_policy
from streams.settings import load_settings
from tests.support.counting_engine import CountingEngine


def counting(partition: int, profiles: PendingProfiles) -> CountingEngine:
    """The engine of a partition that only counts."""
    return CountingEngine(profiles)


async def main() -> int:
    quiet = log_to_stderr("info")
    settings = load_settings({name: value for name, value in os.environ.items() if name.startswith("EBBTIDE_")})
    until = os.environ.get("LIVE_UNTIL")
    clock = Clock(by_log=os.environ.get("LIVE_CLOCK") == "log", until_ms=int(until) if until else None)
    worker = Worker(
        settings,
        read_policy(settings.policy),
        clock,
        with_trainer=bool(os.environ.get("LIVE_TRAINER")),
        exits=Exits(),
        engine_for=counting if os.environ.get("COUNTING") else None,
    )
    quiet.away = lambda: worker.reach.away
    stop_on_signals(worker.stop)
    served: Exposition | contextlib.nullcontext[None] = contextlib.nullcontext()
    if port := os.environ.get("LIVE_HTTP"):
        served = Exposition(
            CollectorRegistry(),
            lambda: next(iter(worker.not_alive()), None),
            lambda: next(iter(worker.not_ready()), None),
            port=int(port),
        )
    with served:
        return await worker.run()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
