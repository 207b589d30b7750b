"""What each fault does to the cluster, as steps: a generator yields while it waits, and ends when the fault is over."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from deploy.kafka.run import ApacheKafka
from tests.chaos.processes import Member
from tests.chaos.schedule import GUEST, SECOND_TRAINER, TRAINER, Fault, Kind

EXIT_WITHIN_S: Final = 120.0
CUT_WITHIN_S: Final = 60.0
SMALL_FILE: Final = 16 * 1024

Steps = Generator[None, None, None]


class Injector:
    """Knows how each kind of fault is done.

    Parameters
    ----------
    members
        The processes, by name.
    kafka
        The broker.
    state
        Folder of the state folders, one per worker.
    cut_order
        The file in which the trainer finds the order to die in its next cut.
    violation
        Told of what must not be.
    """

    def __init__(
        self,
        members: dict[str, Member],
        kafka: ApacheKafka,
        state: Path,
        cut_order: Path,
        violation: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._members = members
        self._kafka = kafka
        self._state = state
        self._cut_order = cut_order
        self._violation = violation
        self._clock = clock
        self.reachable_since_s: float | None = clock()
        """Since when the broker answers; None while it is away."""
        self.away: list[tuple[float, float]] = []
        """When it was away for long, from and to."""

    def steps(self, fault: Fault) -> Steps:
        """The steps of a fault."""
        match fault.kind:
            case Kind.KILLED:
                return self._killed(fault)
            case Kind.STOPPED:
                return self._stopped(fault)
            case Kind.FROZEN:
                return self._frozen(fault)
            case Kind.REASSIGNED:
                return self._reassigned()
            case Kind.DISK_FULL:
                return self._disk_full(fault)
            case Kind.STATE_LOST_RUNNING:
                return self._state_lost(fault, running=True)
            case Kind.STATE_LOST_STOPPED:
                return self._state_lost(fault, running=False)
            case Kind.TRAINER_IN_CUT:
                return self._trainer_in_cut(fault)
            case Kind.TWO_TRAINERS:
                return self._two_trainers(fault)
            case Kind.BROKER_RESTARTED | Kind.BROKER_KILLED | Kind.BROKER_AWAY:
                return self._broker(fault)

    # -- workers -----------------------------------------------------------------------------------------------------

    def _killed(self, fault: Fault) -> Steps:
        yield from self._running(fault)
        self._members[fault.target].send(signal.SIGKILL, "SIGKILL")

    def _stopped(self, fault: Fault) -> Steps:
        member = yield from self._running(fault)
        starts = member.starts
        member.send(signal.SIGTERM, "SIGTERM")
        yield from self._until(lambda: member.starts > starts, EXIT_WITHIN_S)

    def _frozen(self, fault: Fault) -> Steps:
        member = yield from self._running(fault)
        member.send(signal.SIGSTOP)
        try:
            yield from self._wait(fault.seconds)
        finally:
            member.send(signal.SIGCONT)

    def _reassigned(self) -> Steps:
        guest = self._members[GUEST]
        if guest.wanted:
            guest.wanted = False
            guest.send(signal.SIGTERM, "SIGTERM")
            yield from self._until(lambda: guest.pid is None, EXIT_WITHIN_S)
        else:
            guest.wanted = True

    def _disk_full(self, fault: Fault) -> Steps:
        """Either the disk is full from one moment to the next, or it is when a worker starts and has to restore."""
        member = yield from self._running(fault)
        starts = member.starts
        if fault.variant:
            member.limit_next = SMALL_FILE
            member.send(signal.SIGKILL, "SIGKILL")
            yield from self._until(lambda: member.pid is None, EXIT_WITHIN_S)
            self._lose_state(member)
            starts += 1
        else:
            member.no_disk()
        if not (yield from self._until(lambda: member.starts > starts, EXIT_WITHIN_S)):
            self._violation(f"{member.name} went on for {EXIT_WITHIN_S:g} s though its disk was full")
            member.send(signal.SIGKILL, "SIGKILL")

    def _state_lost(self, fault: Fault, *, running: bool) -> Steps:
        member = yield from self._running(fault)
        if running:
            self._lose_state(member)
            return
        starts = member.starts
        member.send(signal.SIGKILL, "SIGKILL")
        yield from self._until(lambda: member.pid is None, EXIT_WITHIN_S)
        self._lose_state(member)
        yield from self._until(lambda: member.starts > starts, EXIT_WITHIN_S)

    def _lose_state(self, member: Member) -> None:
        shutil.rmtree(self._state / member.name, ignore_errors=True)

    # -- trainers ----------------------------------------------------------------------------------------------------

    def _trainer_in_cut(self, fault: Fault) -> Steps:
        member = yield from self._running(fault)
        starts = member.starts
        member.asked = "SIGKILL"
        self._cut_order.write_text("after" if fault.variant else "before")
        if not (yield from self._until(lambda: member.starts > starts, CUT_WITHIN_S)):
            self._cut_order.unlink(missing_ok=True)
            self._violation(f"no cut was made within {CUT_WITHIN_S:g} s, so the trainer could not be killed in one")

    def _two_trainers(self, fault: Fault) -> Steps:
        """A second one; then either of the two is killed."""
        second = self._members[SECOND_TRAINER]
        second.wanted = True
        yield from self._wait(fault.seconds)
        second.wanted = False
        if fault.variant:
            self._members[TRAINER].send(signal.SIGKILL, "SIGKILL")
            yield from self._wait(5.0)
        second.send(signal.SIGTERM, "SIGTERM")
        yield from self._until(lambda: second.pid is None, EXIT_WITHIN_S)

    # -- the broker --------------------------------------------------------------------------------------------------

    def _broker(self, fault: Fault) -> Steps:
        began_s, self.reachable_since_s = self._clock(), None
        if fault.kind is Kind.BROKER_KILLED:
            self._kafka.kill()
        else:
            self._kafka.stop()
        yield from self._wait(fault.seconds)
        self._kafka.start()
        self.reachable_since_s = self._clock()
        if fault.kind is Kind.BROKER_AWAY:
            self.away.append((began_s, self.reachable_since_s))

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _running(self, fault: Fault) -> Generator[None, None, Member]:
        """Wait for the target to run, and return it."""
        member = self._members[fault.target]
        yield from self._until(lambda: member.pid is not None, EXIT_WITHIN_S)
        return member

    def _wait(self, seconds: float) -> Steps:
        until_s = self._clock() + seconds
        while self._clock() < until_s:
            yield

    def _until(self, reached: Callable[[], bool], seconds: float) -> Generator[None, None, bool]:
        """Wait until something is so, and return whether it became so."""
        until_s = self._clock() + seconds
        while not reached():
            if self._clock() > until_s:
                return False
            yield
        return True
