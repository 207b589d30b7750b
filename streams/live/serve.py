"""A worker or a trainer as a program: logs, metrics, ``/healthz`` and ``/readyz`` around it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from streams import provisioning
from streams.access_list import SETUP, Role
from streams.live.exits import Exits
from streams.live.metering import Metering
from streams.live.observer import Observer
from streams.live.seams import Clock
from streams.live.trainer_loop import TrainerLoop
from streams.live.worker import Worker, stop_on_signals
from streams.metrics import catalogue
from streams.metrics.exposition import Exposition
from streams.metrics.registry import new_metrics
from streams.policies.reader import read_policy
from streams.settings import Settings

log = logging.getLogger(__name__)

LOUD_LIBRARIES: Final = ("kafka", "aiokafka", "faust", "mode")


def log_to_stderr(level: str) -> None:
    """Log lines on standard error; libraries only what they warn of.

    Faust's own ``-l warn`` would set the root logger to DEBUG (FAUST.md 15), so its logging is not used.
    """
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-8s %(name)s: %(message)s"
    )
    for name in LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def serve_worker(settings: Settings, clock: str, until_ms: int | None, *, with_trainer: bool) -> int:
    """Run a worker with its HTTP server until it is stopped or its run ends; the exit code.

    Raises
    ------
    EbbtideError
        It could not start.
    """
    log_to_stderr(settings.log_level)
    policy = read_policy(settings.policy)
    metrics = new_metrics()
    metrics.set(catalogue.BUILD, 1, version("ebbtide"))

    async def main() -> int:
        worker = Worker(
            settings,
            policy,
            Clock(by_log=clock == "log", until_ms=until_ms),
            with_trainer=with_trainer,
            observer=Metering(metrics),
        )
        stop_on_signals(worker.stop)

        def ready() -> str | None:
            reason = _first(worker.not_ready)
            metrics.set(catalogue.READY, reason is None)
            return reason

        exposition = Exposition(
            metrics.registry, lambda: _first(worker.not_alive), ready, settings.http_host, settings.http_port
        )
        with exposition:
            log.info("Metrics, /healthz and /readyz at %s.", exposition.url)
            return await worker.run()

    return asyncio.run(main())


def serve_trainer(settings: Settings) -> int:
    """Run a trainer with its HTTP server until it is stopped; the exit code.

    Raises
    ------
    EbbtideError
        It could not start.
    """
    log_to_stderr(settings.log_level)
    metrics = new_metrics()
    metrics.set(catalogue.BUILD, 1, version("ebbtide"))
    observer: Observer = Metering(metrics)

    async def main() -> int:
        stopping = asyncio.Event()
        stop_on_signals(stopping.set)
        await asyncio.to_thread(provisioning.ensure_topics, settings, SETUP[Role.TRAINER], roles=(Role.TRAINER,))
        loop = TrainerLoop(settings, Exits(), on_progress=observer.learned)

        def ready() -> str | None:
            reason = None if loop.trainer is not None else "the last cut is not read yet"
            metrics.set(catalogue.READY, reason is None)
            return reason

        exposition = Exposition(metrics.registry, lambda: None, ready, settings.http_host, settings.http_port)
        with exposition:
            log.info("Metrics, /healthz and /readyz at %s.", exposition.url)
            try:
                await loop.start()
                await stopping.wait()
            finally:
                await loop.stop()
        return 0

    return asyncio.run(main())


def _first(reasons: Callable[[], list[str]]) -> str | None:
    return next(iter(reasons()), None)
