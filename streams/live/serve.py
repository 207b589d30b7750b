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
from streams.core.errors import BrokerError
from streams.garbage import collect_seldom, set_restored_aside
from streams.live.exits import FROZEN_S, Exits, Watchdog, cut_short
from streams.live.log_lines import quote_no_records, told_by_loop
from streams.live.metering import Metering
from streams.live.observer import Observer
from streams.live.quiet import LOUD_LIBRARIES, OnceAMinute
from streams.live.reach import Reach
from streams.live.seams import Clock
from streams.live.trainer_loop import TrainerLoop
from streams.live.worker import Worker, stop_on_signals, watch_reach
from streams.metrics import catalogue
from streams.metrics.exposition import Check, Exposition
from streams.metrics.registry import Metrics, new_metrics
from streams.policies.reader import read_policy
from streams.secret_files import secret
from streams.settings import Settings
from streams.topics import TRAINING_EXAMPLES

log = logging.getLogger(__name__)

BEAT_EVERY_S: Final = 0.25


def log_to_stderr(level: str) -> OnceAMinute:
    """Log lines on standard error; libraries only what they warn of, each kind of it once a minute; no user data.

    Faust's own ``-l warn`` would set the root logger to DEBUG (FAUST.md 15), so its logging is not used.
    """
    logging.basicConfig(level=level.upper(), stream=sys.stderr)
    quote_no_records()
    for name in LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    quiet = OnceAMinute()
    for handler in logging.getLogger().handlers:
        handler.addFilter(quiet)
    return quiet


def serve_worker(settings: Settings, clock: str, until_ms: int | None, *, with_trainer: bool) -> int:
    """Run a worker with its HTTP server until it is stopped or its run ends; the exit code.

    Raises
    ------
    EbbtideError
        It could not start.
    """
    quiet = log_to_stderr(settings.log_level)
    policy = read_policy(settings.policy)
    metrics = new_metrics()
    metrics.set(catalogue.BUILD, 1, version("ebbtide"))
    collect_seldom()

    async def main() -> int:
        asyncio.get_running_loop().set_exception_handler(told_by_loop)
        worker = Worker(
            settings,
            policy,
            Clock(by_log=clock == "log", until_ms=until_ms),
            with_trainer=with_trainer,
            observer=Metering(metrics),
            when_restored=set_restored_aside,
        )
        quiet.away = lambda: worker.reach.away
        stop_on_signals(worker.stop)

        def ready() -> str | None:
            reason = _first(worker.not_ready)
            metrics.set(catalogue.READY, reason is None)
            return reason

        exposition = _exposition(settings, metrics, lambda: _first(worker.not_alive), ready)
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
    quiet = log_to_stderr(settings.log_level)
    metrics = new_metrics()
    metrics.set(catalogue.BUILD, 1, version("ebbtide"))
    observer: Observer = Metering(metrics)

    async def main() -> int:
        asyncio.get_running_loop().set_exception_handler(told_by_loop)
        stopping, exits, reach = asyncio.Event(), Exits(), Reach(settings.brokers)
        quiet.away = lambda: reach.away
        stop_on_signals(stopping.set)
        await asyncio.to_thread(provisioning.ensure_topics, settings, SETUP[Role.TRAINER], roles=(Role.TRAINER,))
        loop = TrainerLoop(
            settings, exits, on_progress=observer.learned, on_scorecards=observer.scorecards, reach=reach
        )

        def ready() -> str | None:
            reason = reach.not_reached() or (None if loop.trainer is not None else "the last cut is not read yet")
            metrics.set(catalogue.READY, reason is None)
            return reason

        exposition = _exposition(settings, metrics, lambda: None, ready)
        with exposition:
            log.info("Metrics, /healthz and /readyz at %s.", exposition.url)
            probe = asyncio.create_task(watch_reach(settings, TRAINING_EXAMPLES, reach, observer, exits), name="probe")
            beat = asyncio.create_task(_beat(exits), name="beat")
            try:
                await loop.start()
                await stopping.wait()
            finally:
                with cut_short("trainer", exits):
                    await loop.stop()
                for task in (probe, beat):
                    task.cancel()
                await asyncio.wait([probe, beat])
        return 0

    return asyncio.run(main())


async def _beat(exits: Exits) -> None:
    """Have the loop watched from outside: a frozen one cannot watch itself."""
    frozen = Watchdog(FROZEN_S, BrokerError(f"The event loop did not run for {FROZEN_S:g} s."), exits)
    frozen.start()
    try:
        while True:
            frozen.feed()
            await asyncio.sleep(BEAT_EVERY_S)
    finally:
        frozen.cancel()


def _exposition(settings: Settings, metrics: Metrics, alive: Check, ready: Check) -> Exposition:
    token = secret(settings, "http_token")
    return Exposition(metrics.registry, alive, ready, settings.http_host, settings.http_port, token=token)


def _first(reasons: Callable[[], list[str]]) -> str | None:
    return next(iter(reasons()), None)
