"""The real processes of a live benchmark: a broker, workers and a trainer, each on its cores, watched from outside."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, Self
from urllib.error import URLError
from urllib.request import urlopen

from deploy.kafka.run import ApacheKafka
from streams.broker import EmbeddedBroker
from streams.child_process import LOOPBACK, free_port
from streams.metrics.catalogue import EVENTS, PIPELINE_SECONDS, RECORDS_READ
from streams.metrics.reading import Figures, parse_figures
from streams.settings import Settings
from tests.bench.measuring import Pinned
from tests.support.variables import variables

BrokerKind = Literal["embedded", "kafka"]
PROGRAM: Final = (sys.executable, "-m", "streams.cli")
_READY_WITHIN_S: Final = 120.0
_ANSWER_WITHIN_S: Final = 5.0
_STAGE: Final = re.compile(rf'^{PIPELINE_SECONDS.name}_sum{{stage="(\w+)"}} (\S+)$', re.MULTILINE)


@contextmanager
def confined(cores: Iterable[int]) -> Iterator[None]:
    """Keep this thread, and whatever it starts, on some cores.

    A process that is moved after its start keeps threads elsewhere; children begin where their parent is.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running_broker(kind: BrokerKind, folder: Path, core: int) -> Iterator[str]:
    """A broker of its own on one core; where it is reached."""
    with ExitStack() as stack:
        with confined({core}):
            server = EmbeddedBroker() if kind == "embedded" else ApacheKafka(folder / "kafka", heap="1g")
            stack.enter_context(server)
        yield server.brokers


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment."""

    at_s: float
    """Monotonic clock."""
    cpu_s: float
    """User and system time so far."""
    read: int
    """Records applied so far, with all of their effects acknowledged."""
    figures: Figures
    stage_s: dict[str, float]
    """Seconds so far in each stage of the pipeline, as the worker tells them."""

    def outcomes(self) -> dict[str, int]:
        """What became of the records so far."""
        return {outcome: int(count) for outcome, count in self.figures.by(EVENTS, "outcome").items()}


class Watched(Pinned):
    """``ebbtide worker`` or ``ebbtide trainer`` as their users start them.

    Parameters
    ----------
    arguments
        Behind ``ebbtide``.
    settings
        All that differs from the defaults; its HTTP port is replaced by a free one.
    cores
        Where it may run.
    log
        Where its output goes.
    """

    def __init__(self, arguments: Iterable[str], settings: Settings, cores: Iterable[int], log: Path) -> None:
        self._port = free_port()
        self.log = log
        given = variables(replace(settings, http_port=self._port))
        super().__init__([*PROGRAM, *arguments], cores, environment=given, log=log)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def get(self, path: str) -> str | None:
        """What it answers; None where it does not, or not with 200."""
        try:
            with urlopen(f"http://{LOOPBACK}:{self._port}{path}", timeout=_ANSWER_WITHIN_S) as answer:
                text: str = answer.read().decode()
                return text
        except (URLError, OSError):
            return None

    def alive(self) -> None:
        """Raise with its last words where it has ended."""
        if (code := self.running.poll()) is not None:
            raise AssertionError(f"{self.log.stem} ended with code {code}:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3_000:]

    def wait_ready(self) -> None:
        """Return once ``/readyz`` says so."""
        self.wait_for(lambda: self.get("/readyz") is not None, "is not ready", _READY_WITHIN_S, every_s=0.02)

    def wait_for(self, reached: Callable[[], bool], what: str, within_s: float, *, every_s: float = 0.25) -> None:
        """Look again and again until something is so, while it lives."""
        until = time.monotonic() + within_s
        while not reached():
            self.alive()
            if time.monotonic() > until:
                raise AssertionError(f"{self.log.stem} {what} after {within_s:g} s:\n{self.last_words()}")
            time.sleep(every_s)

    def sample(self) -> Sample:
        """How it stands now."""
        self.alive()
        text = self.get("/metrics")
        at_s, cpu_s = time.monotonic(), self.cpu_s()
        if text is None:
            raise AssertionError(f"{self.log.stem} shows no metrics:\n{self.last_words()}")
        figures = parse_figures(text)
        stages = {stage: float(seconds) for stage, seconds in _STAGE.findall(text)}
        return Sample(at_s, cpu_s, int(figures.total(RECORDS_READ)), figures, stages)
