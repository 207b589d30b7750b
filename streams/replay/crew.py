"""The workers of a backfill as the run sees them: processes that may end at any time, and are begun anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from streams.core.errors import WorkersError
from streams.replay.backups import Backup
from streams.replay.shard_worker import decode_page
from streams.replay.shards import PAGE
from streams.replay.turn_results import ClosingPage

RETRIES: Final = 3


class WorkerLostError(Exception):
    """A worker's process ended before it answered; says why."""


class Answer(Protocol):
    """What a worker will say."""

    def ready(self) -> bool:
        """Whether :meth:`get` returns, or raises, at once."""

    def get(self) -> Any:
        """Wait for it.

        Raises
        ------
        WorkerLostError
            The worker's process is gone.
        """


class Worker(Protocol):
    """A process that holds a :class:`~streams.replay.shard_worker.ShardWorker`."""

    def call(self, method: str, *arguments: Any) -> Answer:
        """Have it do something; calls are taken in order."""

    def end(self) -> None:
        """Let go of it, whatever is left of it."""


class Crew(Protocol):
    """Where workers come from."""

    def hire(self, number: int, partitions: Sequence[int]) -> Worker:
        """A new process, in the place of an earlier one of that number if there was any."""


class Member:
    """One worker of a run, for as long as the run lasts: whoever dies is begun anew and does its turns again.

    A turn done again comes to the same, so that what was answered before is not asked for twice.

    Parameters
    ----------
    crew
        Where its processes come from.
    number
        Its number.
    partitions
        Whose users it holds.
    backup
        What it is begun anew from.
    notify
        Is told when that happens.
    retries
        So many times in a row, without one more answer in between.
    """

    def __init__(
        self,
        crew: Crew,
        number: int,
        partitions: Sequence[int],
        backup: Backup,
        notify: Callable[[str], None],
        *,
        retries: int = RETRIES,
    ) -> None:
        self._crew = crew
        self._number = number
        self._partitions = partitions
        self._backup = backup
        self._notify = notify
        self._retries = retries
        self._worker = crew.hire(number, partitions)
        self._waiting: deque[Answer] = deque()
        self._answered = 0
        """Turns since the partitions were kept whose results were taken."""
        self._failures = 0

    # -- turns -------------------------------------------------------------------------------------------------------

    def give(self, records: Sequence[bytes], work: bytes) -> None:
        """Have it serve records and take a turn."""
        self._backup.given(records, work)
        self._waiting.append(self._worker.call("take", records, work))

    def ready(self) -> bool:
        """Whether the oldest turn it was given has come to its end, well or badly."""
        return self._waiting[0].ready()

    def answer(self) -> bytes:
        """The result of the oldest turn it was given."""
        while True:
            try:
                result: bytes = self._waiting[0].get()
            except WorkerLostError as lost:
                self._begin_anew(lost)
            else:
                self._waiting.popleft()
                self._answered += 1
                self._failures = 0
                return result

    # -- beginning anew ----------------------------------------------------------------------------------------------

    def keep(self, records: Sequence[bytes]) -> None:
        """Keep its partitions as they are now, between two turns: earlier turns need not be done again.

        ``records`` are the model records that serve now.
        """
        for partition in self._partitions:
            self._backup.keep(partition, self._asked("kept", partition))
        self._backup.commit(records)
        self._answered = 0

    def _begin_anew(self, lost: WorkerLostError) -> None:
        while True:
            self._failures += 1
            if self._failures > self._retries:
                raise WorkersError(
                    f"Worker {self._number} ended {self._failures} times over the same part of the log: {lost}.",
                    "If memory ran out, give the machine more or use fewer --workers; else see Ray's logs.",
                ) from lost
            self._notify(
                f"worker {self._number} ended ({lost}); begun anew, {self._answered} turns are done again "
                f"(try {self._failures} of {self._retries})"
            )
            try:
                self._do_again()
            except WorkerLostError as again:
                lost = again
            else:
                return

    def _do_again(self) -> None:
        self._worker.end()
        self._waiting.clear()
        self._worker = self._crew.hire(self._number, self._partitions)
        self._worker.call("serve", self._backup.records).get()
        for partition, state in self._backup.kept():
            self._worker.call("begin_anew", partition, state).get()
        for place, (records, work) in enumerate(self._backup.since()):
            answer = self._worker.call("take", records, work)
            if place < self._answered:
                answer.get()
            else:
                self._waiting.append(answer)

    # -- the end -----------------------------------------------------------------------------------------------------

    def pages(self) -> Iterator[ClosingPage]:
        """Its users at the end of a run; the next page is made while one is read."""
        begin, answer = 0, self._worker.call("closing", 0)
        while (page := self._asked("closing", begin, answer=answer)) is not None:
            begin += PAGE
            answer = self._worker.call("closing", begin)
            yield decode_page(page)

    def stages(self) -> dict[str, int]:
        """Its users by stage."""
        stages: dict[str, int] = self._asked("stages")
        return stages

    def _asked(self, method: str, *arguments: Any, answer: Answer | None = None) -> Any:
        """An answer, perhaps to what was asked before; where the worker is lost, it is begun anew and asked again."""
        while True:
            try:
                return (answer or self._worker.call(method, *arguments)).get()
            except WorkerLostError as lost:
                self._begin_anew(lost)
                answer = None
