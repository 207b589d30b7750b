"""The live workers of one test: started, wiped and always ended, each with a state folder and a log of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from streams.provisioning import ensure_topics
from streams.settings import Settings
from tests.support.live_runs import LiveWorker, counted, wait_until


class Fleet:
    """See the module. Made by :func:`fleet_of`."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.workers: list[LiveWorker] = []

    def start(self, name: str, *, counting: bool = True, environment: Mapping[str, str] | None = None) -> LiveWorker:
        """Start a worker; one of the same name goes on with the same state folder."""
        settings = replace(self.settings, state_dir=self.folder / "state" / name)
        worker = LiveWorker(settings, self.folder / f"{name}.log", counting=counting, environment=environment)
        self.workers.append(worker)
        return worker

    def wipe(self, name: str) -> None:
        """Lose a worker's disk."""
        shutil.rmtree(self.folder / "state" / name, ignore_errors=True)

    def until_counted(self, events: int, seconds: float = 90.0) -> None:
        """Wait until the state holds this many events."""
        wait_until(
            lambda: counted(self.settings) >= events,
            f"{events} events counted",
            [worker.log for worker in self.workers],
            seconds,
        )

    def until_said(self, worker: LiveWorker, words: str, seconds: float = 60.0) -> None:
        """Wait until a worker has logged something."""
        wait_until(lambda: words in worker.log.read_text(), f"{words!r} in {worker.log.name}", [worker.log], seconds)


@contextmanager
def fleet_of(settings: Settings, folder: Path) -> Iterator[Fleet]:
    """A fleet over fresh topics; whatever the test did, no process stays."""
    ensure_topics(settings)
    fleet = Fleet(settings, folder)
    try:
        yield fleet
    finally:
        for worker in fleet.workers:
            worker.end()
