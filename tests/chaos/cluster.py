"""Broker, workers, trainers and load of one run, and the loop that hurts them and looks whether they recover."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.kafka.run import ApacheKafka
from streams.child_process import free_port
from streams.core.events import DAY_MS
from streams.core.instants import format_instant
from streams.provisioning import ensure_topics
from streams.settings import Settings
from tests.chaos.feeder import Feeder
from tests.chaos.injection import Injector
from tests.chaos.processes import Exit, Member, environment
from tests.chaos.recovery import HANG_S, hung_for
from tests.chaos.report import generalised
from tests.chaos.schedule import GUEST, SECOND_TRAINER, TRAINER, WORKERS, Fault, Kind, Schedule
from tests.chaos.shop_days import ShopDays
from tests.chaos.watching import Watch

PARTITIONS: Final = 6
TICK_S: Final = 0.1
BREATH_S: Final = 5.0
"""Between a fault that took longer than planned and the next."""
LONG_BREATH_S: Final = 45.0
"""After the broker's long absence, to see the workers go on by themselves."""
START_WITHIN_S: Final = 120.0
END_WITHIN_S: Final = 300.0


class Hang(Exception):
    """Nothing went on any more; what the processes were doing is in their logs."""


@dataclass(slots=True)
class Injected:
    """A fault that was done: seconds on a steady clock."""

    fault: Fault
    at_s: float
    over_s: float | None = None

    @property
    def felt_from_s(self) -> float:
        """From when recovery counts: for a broker that was away, from its return."""
        return self.over_s if self.fault.target == "broker" and self.over_s is not None else self.at_s


@dataclass(slots=True)
class Story:
    """What happened in a run."""

    began_s: float
    faults: list[Injected] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


Tell = Callable[["Cluster", str], None]
"""Told of each event; with no words, now and then."""


class Cluster:
    """See the module. A context manager: whatever happens, no process stays.

    Parameters
    ----------
    folder
        For everything of this run.
    by_log
        ``--clock log``, or the wall clock.
    tell
        Hears what happens.
    """

    def __init__(self, folder: Path, plan: Schedule, *, by_log: bool, tell: Tell) -> None:
        self.folder = folder
        self.plan = plan
        self.by_log = by_log
        self.story = Story(time.monotonic())
        self._tell = tell
        self._kafka = ApacheKafka(folder / "kafka", free_port(), heap="768m")
        self.settings = Settings()
        self.members: dict[str, Member] = {}
        self.days = ShopDays(plan.seed)
        self.feeder: Feeder
        self.watch: Watch
        self.injector: Injector
        self._ports: dict[str, int] = {}
        self._quiet_s = 0.0

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    # -- the run -----------------------------------------------------------------------------------------------------

    def hurt(self) -> None:
        """The load with its faults, until both are over.

        Raises
        ------
        Hang
            Nothing was applied for two minutes though the broker was there.
        """
        self.feeder.start()
        began_s = time.monotonic()
        faults = list(self.plan.faults)
        free_s = 0.0
        while faults or time.monotonic() - began_s < self.plan.load_s:
            if faults and time.monotonic() - began_s >= max(faults[0].at_s, free_s):
                fault = faults.pop(0)
                self._inject(fault)
                breath_s = LONG_BREATH_S if fault.kind is Kind.BROKER_AWAY else BREATH_S
                free_s = time.monotonic() - began_s + breath_s
            self._tick()
        self._say("the load ends")
        self.feeder.finish()
        self._until(lambda: self.feeder.done and self.watch.lag == 0, "everything published is applied", END_WITHIN_S)

    def finish(self) -> int:
        """Let the workers come to the end of the log and stop; the end, ms of event time."""
        until_ms = self.days.day(self.feeder.days)[0].ts // DAY_MS * DAY_MS
        workers = [member for name, member in self.members.items() if name in (*WORKERS, GUEST) and member.wanted]
        for member in workers:
            member.wanted = False
            member.send(signal.SIGTERM, "SIGTERM")
        self._until(lambda: not any(member.pid for member in workers), "all workers stopped", END_WITHIN_S)
        if self.by_log:
            self._say(f"workers go on to the end, {format_instant(until_ms)}")
            for member in workers:
                member.arguments += ["--until", format_instant(until_ms)]
                member.wanted = True
            self._until(lambda: not any(member.wanted for member in workers), "the end of the log", END_WITHIN_S)
            time.sleep(3.0)  # the trainer's last cut
        trainer = self.members[TRAINER]
        trainer.wanted = False
        trainer.send(signal.SIGTERM, "SIGTERM")
        self._until(lambda: trainer.pid is None, "the trainer stopped", END_WITHIN_S)
        self.watch.stop()
        return until_ms

    def _inject(self, fault: Fault) -> None:
        injected = Injected(fault, time.monotonic())
        self.story.faults.append(injected)
        self._say(f"fault {fault.number}: {fault.kind}: {fault.target}")
        for _ in self.injector.steps(fault):
            self._tick()
        injected.over_s = time.monotonic()

    def _tick(self) -> None:
        time.sleep(TICK_S)
        now_s = time.monotonic()
        for member in self.members.values():
            ended = member.tick(now_s)
            if ended is not None:
                self._note(member, ended)
            if member.overdue(now_s):
                self._dump()
                self.violation(f"{member.name} did not stop in order")
                member.send(signal.SIGKILL, "SIGKILL")
        if self.feeder.failed is not None:
            raise self.feeder.failed
        hung_s = hung_for(now_s, self.injector.reachable_since_s, self.watch.chunks())
        if hung_s > HANG_S:
            self._dump()
            raise Hang(f"nothing published since {hung_s:.0f} s was applied, while the broker was there")
        if now_s - self._quiet_s > 10.0:
            self._say("")

    def _note(self, member: Member, ended: Exit) -> None:
        if ended.code == 0 and "--until" in member.arguments:
            member.wanted = False
            ended = Exit(ended.at_s, ended.name, 0, ended.reason, "the end")
        self.story.exits.append(ended)
        if ended.wrong is not None:
            self.violation(ended.wrong)
        self._say(f"{ended.name} ended with {ended.code}{f': {generalised(ended.reason)}' if ended.reason else ''}")

    def _until(self, reached: Callable[[], bool], what: str, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while not reached():
            self._tick()
            if time.monotonic() > until_s:
                self._dump()
                raise Hang(f"not within {seconds:g} s: {what}")

    def _dump(self) -> None:
        """What all processes are doing, into their logs."""
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            for member in self.members.values():
                member.send(number)
            time.sleep(2.0)

    def violation(self, words: str) -> None:
        """Something that must not be."""
        self.story.violations.append(words)
        self._say(f"VIOLATION: {words}")

    def _say(self, words: str) -> None:
        self._quiet_s = time.monotonic()
        self._tell(self, words)

    # -- start and end -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._kafka.start()
        self.settings = Settings(
            brokers=self._kafka.brokers,
            topic_prefix="chaos.",
            group_id="chaos",
            partitions=PARTITIONS,
            horizon_days=self.plan.horizon_days,
        )
        ensure_topics(self.settings)
        clock = ["--clock", "log"] if self.by_log else []
        for name in (*WORKERS, GUEST):
            self._member(name, ["worker", *clock])
        for name in (TRAINER, SECOND_TRAINER):
            self._member(name, ["trainer"])
        cut_order = self.folder / "die-in-cut"
        self.members[TRAINER].environ["CHAOS_DIE_IN_CUT"] = str(cut_order)
        self.watch = Watch(self.settings, self._running)
        self.feeder = Feeder(self.settings, self.days, self.watch.published)
        self.injector = Injector(self.members, self._kafka, self.folder / "state", cut_order, self.violation)
        self.watch.start()
        for name in (TRAINER, *WORKERS):
            self.members[name].wanted = True
        self._until(self._all_ready, "workers and trainer are ready", START_WITHIN_S)

    def _all_ready(self) -> bool:
        return {TRAINER, *WORKERS} <= {sight.name for sight in self.watch.sights if sight.ready}

    def _member(self, name: str, arguments: list[str]) -> None:
        self._ports[name] = free_port()
        settings = {
            "brokers": self.settings.brokers,
            "topic_prefix": self.settings.topic_prefix,
            "group_id": self.settings.group_id,
            "partitions": self.settings.partitions,
            "horizon_days": self.settings.horizon_days,
            "state_dir": self.folder / "state" / name,
            "http_port": self._ports[name],
        }
        variables = {f"EBBTIDE_{key.upper()}": str(value) for key, value in settings.items()}
        self.members[name] = Member(name, arguments, environment(variables), self.folder / f"{name}.log")

    def _running(self) -> Mapping[str, tuple[int, int]]:
        found = {name: (member.pid, self._ports[name]) for name, member in list(self.members.items())}
        return {name: (pid, port) for name, (pid, port) in found.items() if pid is not None}

    def _end(self) -> None:
        for member in self.members.values():
            member.end()
        if hasattr(self, "watch"):
            self.feeder.abandon()
            self.watch.stop()
        self._kafka.stop()
