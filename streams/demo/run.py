"""One run of the demo: broker, topics, feeder and worker started, watched to the end, and taken away again."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from streams.broker import EmbeddedBroker
from streams.child_process import LOOPBACK, free_port
from streams.core.errors import BrokerError, ChildError
from streams.core.instants import format_instant
from streams.demo.children import Child
from streams.demo.interrupts import Interrupts
from streams.demo.screen import Status
from streams.demo.showing import Showing
from streams.demo.state import FOLLOWED, DemoState
from streams.demo.subject import Subject
from streams.demo.view import Progress, View
from streams.metrics import catalogue
from streams.metrics.reading import Figures, read_figures
from streams.provisioning import ensure_topics
from streams.replay.following import FollowedTopics
from streams.settings import PREFIX, Settings

PARTITIONS: Final = 2
SHOW_EVERY_S: Final = 0.25
FIGURES_EVERY_S: Final = 0.5
POLL_S: Final = 0.05
STOP_WITHIN_S: Final = 10.0
"""How long a worker that is out of time may take to finish its slice."""
SILENT_S: Final = 1.0
"""Topics that are silent for this long after the worker's end have told everything."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    status: Status
    view: View
    state: DemoState
    complete: bool
    """Whether every record was applied; else the time was up."""


class DemoRun:
    """See the module.

    Parameters
    ----------
    subject
        What to publish and how to read it.
    showing
        Where it is watched.
    interrupts
        Entered by the caller.
    most_seconds
        When it ends at the latest, s; then it reports how far it came.
    complain
        Takes the last lines of the log of a process that ended before its time.

    Raises
    ------
    BrokerError
        The embedded broker is not installed or cannot run.
    ChildError
        The worker or the feeder ended before its time.
    """

    def __init__(
        self,
        subject: Subject,
        showing: Showing,
        interrupts: Interrupts,
        *,
        most_seconds: float,
        complain: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subject = subject
        self._showing = showing
        self._interrupts = interrupts
        self._most_s = most_seconds
        self._complain = complain
        self._clock = clock
        self._started = clock()
        self._state = DemoState(keep_history=subject.shop is not None)
        self._status = Status(subject.title, "starting", subject.rows, 0.0)
        self._figures_at = self._shown_at = float("-inf")

    def run(self) -> Outcome:
        """Run it to its end, and take everything away that it started."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="ebbtide-demo-")))
            self._phase("starting the embedded broker")
            broker = stack.enter_context(EmbeddedBroker(log_path=folder / "broker.log"))
            self._phase("creating topics")
            settings = self._settings(broker.brokers, folder)
            ensure_topics(settings)
            feeder = stack.enter_context(self._feeder(settings, folder))
            worker = stack.enter_context(self._worker(settings, folder))
            topics = stack.enter_context(FollowedTopics(settings, FOLLOWED))
            try:
                self._start(broker, feeder, worker, folder)
                complete = self._watch(broker, feeder, worker, topics)
            except ChildError:
                check_alive(broker)  # without it the others end too
                for child in (feeder, worker):
                    for line in child.last_words():
                        self._complain(f"{child.name}: {line}")
                raise
            self._drain(topics)
            self._show("stopping", force=True)
        status = replace(self._status, phase="done", metrics_url=None)
        return Outcome(status, self._state.view(self._clock()), self._state, complete)

    # -- what is started ---------------------------------------------------------------------------------------------

    def _settings(self, brokers: str, folder: Path) -> Settings:
        return Settings(
            brokers=brokers,
            partitions=PARTITIONS,
            group_id="demo",
            state_dir=folder / "state",
            policy=self._subject.policy,
            horizon_days=self._subject.horizon_days,
            embedded_trainer=True,
            dead_letter_limit_share=1.0,  # a log is shown as it is, whatever its producers did
            http_port=free_port(),
        )

    def _feeder(self, settings: Settings, folder: Path) -> Child:
        return Child("the feeder", self._subject.feeding, folder / "feeder.log", environment(settings), folder)

    def _worker(self, settings: Settings, folder: Path) -> Child:
        until = format_instant(self._subject.span[1])
        arguments = ("-m", "streams.cli", "worker", "--clock", "log", "--until", until)
        self._status = replace(self._status, metrics_url=f"http://{LOOPBACK}:{settings.http_port}")
        return Child("the worker", arguments, folder / "worker.log", environment(settings), folder)

    def _start(self, broker: EmbeddedBroker, feeder: Child, worker: Child, folder: Path) -> None:
        """The worker comes second: a log that is always ahead of its reader is read in one order, whoever is faster."""
        feeder.start()
        while not (published := published_so_far(folder)):
            check_alive(broker)
            if feeder.ended():
                break
            self._phase("publishing begins")
            self._give_up_late()
            time.sleep(POLL_S)
        self._state.advance(Progress(published=published), self._clock())
        worker.start()

    # -- watching ----------------------------------------------------------------------------------------------------

    def _watch(self, broker: EmbeddedBroker, feeder: Child, worker: Child, topics: FollowedTopics) -> bool:
        """Until the worker's end, or ours; whether it came to its end."""
        while not worker.ended():
            self._look(topics, "the worker joins its group" if self._state.progress.newest_ms is None else "live")
            feeder.ended()
            check_alive(broker)
            if self._out_of_time():
                self._stop(feeder, worker, topics)
                return False
        return True

    def _stop(self, feeder: Child, worker: Child, topics: FollowedTopics) -> None:
        feeder.kill()
        worker.ask_to_stop()
        until = self._clock() + STOP_WITHIN_S
        while not worker.ended() and self._clock() < until:
            self._look(topics, "time is up")
        worker.kill()

    def _look(self, topics: FollowedTopics, phase: str) -> None:
        self._state.apply(topics.poll(POLL_S))
        now = self._clock()
        if now - self._figures_at >= FIGURES_EVERY_S and self._status.metrics_url:
            self._figures_at = now
            figures = read_figures(self._status.metrics_url)
            if figures is not None:
                self._state.advance(progress_of(figures), now)
        self._show(phase)

    def _drain(self, topics: FollowedTopics) -> None:
        heard = self._clock()
        while self._clock() - heard < SILENT_S:
            self._interrupts.check()
            if received := topics.poll(POLL_S):
                heard = self._clock()
                self._state.apply(received)

    # -- showing -----------------------------------------------------------------------------------------------------

    def _phase(self, phase: str) -> None:
        self._show(phase, force=phase != self._status.phase)

    def _show(self, phase: str, *, force: bool = False) -> None:
        self._interrupts.check()
        now = self._clock()
        self._status = replace(self._status, phase=phase, elapsed_s=now - self._started)
        if force or now - self._shown_at >= SHOW_EVERY_S:
            self._shown_at = now
            self._showing.show(self._status, self._state.view(now))

    def _out_of_time(self) -> bool:
        return self._clock() - self._started > self._most_s

    def _give_up_late(self) -> None:
        if self._out_of_time():
            raise ChildError(f"Nothing was published within {self._most_s:g} s.", "Give it longer with --seconds.")


def check_alive(broker: EmbeddedBroker) -> None:
    """Raise BrokerError where the broker is gone."""
    if broker.pid is None:
        raise BrokerError("The embedded broker ended before its time.", "Run the demo again.")


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a child: ours, with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {
        "BROKERS": settings.brokers,
        "PARTITIONS": settings.partitions,
        "GROUP_ID": settings.group_id,
        "STATE_DIR": settings.state_dir,
        "HORIZON_DAYS": settings.horizon_days,
        "PROPENSITY_HORIZON_DAYS": settings.propensity_horizon_days,
        "EMBEDDED_TRAINER": str(settings.embedded_trainer).lower(),
        "DEAD_LETTER_LIMIT_SHARE": settings.dead_letter_limit_share,
        "HTTP_PORT": settings.http_port,
    }
    if settings.policy is not None:
        given["POLICY"] = settings.policy
    return kept | {f"{PREFIX}{name}": str(value) for name, value in given.items()}


def published_so_far(folder: Path) -> int:
    """Records that Kafka has acknowledged, by the progress files of publishing."""
    return sum(int(json.loads(path.read_bytes())["acknowledged"]) for path in (folder / "publish").glob("*.json"))


def progress_of(figures: Figures) -> Progress:
    """The worker's figures, as far as the demo shows them."""
    outcomes = figures.by(catalogue.EVENTS, "outcome")
    newest = max(figures.by(catalogue.NEWEST_EVENT, "partition").values(), default=None)
    read, lag = round(figures.total(catalogue.RECORDS_READ)), round(figures.total(catalogue.CONSUMER_LAG))
    return Progress(
        published=read + lag,
        read=read,
        accepted=round(outcomes.get("accepted", 0)),
        duplicates=round(outcomes.get("duplicate", 0)),
        rejected=round(outcomes.get("rejected", 0)),
        unknown_actions=round(figures.total(catalogue.UNKNOWN_ACTIONS)),
        lag=lag,
        newest_ms=None if newest is None else round(newest * 1000),
    )


def enough(seconds: float, done: float) -> int:
    """Seconds that a run would have needed which did so much of its work (0 to 1) in these; a little more, rounded up.

    >>> enough(60, 0.5)
    150
    """
    return max(10, math.ceil(seconds / max(done, 0.01) * 1.2 / 10) * 10)


def where_next(own: Sequence[str] = ()) -> list[str]:
    """What to try after the demo."""
    log = " ".join(own) or "FILE"
    commands = {
        f"ebbtide demo --events {log}": "your own log, live",
        f"ebbtide backfill {log} --out out": "all of it in one go, to files",
        "ebbtide profile USER --from out": "one person's portrait",
        "ebbtide worker": "on a Kafka of your own (EBBTIDE_BROKERS)",
    }
    width = max(map(len, commands))
    return [
        *(f"{command:<{width}}  {meaning}" for command, meaning in commands.items()),
        "its topics: segment-changes, churn-risk, user-profiles; what was refused: dead-letters",
        "its metrics: http://127.0.0.1:6066/metrics, with /healthz and /readyz beside it",
    ]
