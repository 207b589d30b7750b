"""Workers of a backfill within this process, which can be told when to die: what Ray does, without Ray."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from streams.replay.crew import WorkerLostError
from streams.replay.run_options import RunOptions
from streams.replay.shard_worker import ShardWorker

Fate = Callable[[int, str], bool]
"""Whether a worker dies at a call, by how many calls the crew had before, and the method."""


def nobody_dies(number: int, method: str) -> bool:
    """No worker ever dies."""
    return False


class LocalCrew:
    """A crew within this process. A worker does what it is asked when somebody waits for the answer, in order.

    Parameters
    ----------
    options
        Of the run.
    dies
        Decides at every call whether the worker dies of it: before it does anything, or behind it, by turns.
    """

    def __init__(self, options: RunOptions, dies: Fate = nobody_dies) -> None:
        self.calls = 0
        self.hired: list[int] = []
        """Numbers of the workers hired, in order."""
        self._options = options
        self._dies = dies

    def hire(self, number: int, partitions: Sequence[int]) -> LocalWorker:
        """As :class:`streams.replay.crew.Crew` has it."""
        self.hired.append(number)
        return LocalWorker(self, ShardWorker(self._options, partitions))

    def fate(self, method: str) -> str:
        """``lives``, ``before`` or ``behind``: what becomes of a worker at its next call."""
        self.calls += 1
        if not self._dies(self.calls, method):
            return "lives"
        return "behind" if self.calls % 2 else "before"


class LocalWorker:
    """A worker that works when it is waited for."""

    def __init__(self, crew: LocalCrew, worker: ShardWorker) -> None:
        self._crew = crew
        self._worker: ShardWorker | None = worker
        self._asked: deque[tuple[LocalAnswer, str, bytes]] = deque()

    def call(self, method: str, *arguments: Any) -> LocalAnswer:
        """As :class:`streams.replay.crew.Worker` has it; arguments go through pickle, as they would."""
        answer = LocalAnswer(self)
        self._asked.append((answer, method, pickle.dumps(arguments)))
        return answer

    def end(self) -> None:
        """As :class:`streams.replay.crew.Worker` has it."""
        self._worker = None

    def work_until(self, answer: LocalAnswer) -> None:
        """Do what was asked, up to one answer."""
        while not answer.given and self._asked:
            next_answer, method, arguments = self._asked.popleft()
            fate = "before" if self._worker is None else self._crew.fate(method)
            if fate != "before":
                next_answer.value = getattr(self._worker, method)(*pickle.loads(arguments))  # noqa: S301 - our own
                next_answer.given = True
            if fate != "lives":
                self._worker = None
                next_answer.given, next_answer.lost = True, True


class LocalAnswer:
    """What a worker will say."""

    def __init__(self, worker: LocalWorker) -> None:
        self.value: Any = None
        self.given = False
        self.lost = False
        self._worker = worker

    def ready(self) -> bool:
        """As :class:`streams.replay.crew.Answer` has it: never sooner than somebody waits."""
        return self.given

    def get(self) -> Any:
        """As :class:`streams.replay.crew.Answer` has it."""
        self._worker.work_until(self)
        if self.lost:
            raise WorkerLostError("it was killed")
        return self.value
