"""An event loop without a world: virtual time, processes that can be frozen and killed, seeded turns.

The production coroutines run on it unchanged. When nothing is ready, time jumps to the next timer, so a simulated hour
costs nothing. Every callback belongs to a process by its context; a frozen process's callbacks wait, a dead one's are
dropped. Within a process callbacks keep asyncio's order; between processes the seed decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from asyncio import base_events
from collections.abc import Callable
from contextvars import Context, ContextVar
from random import Random
from typing import Any


class Killed(BaseException):
    """Unwinds the stack of a process that has just died. Not an Exception: production code must not outlive it."""


class Stuck(Exception):
    """Nothing is ready and no timer runs: the simulated world has come to a halt."""


class Process:
    """Something that can be frozen and killed as one: a simulated operating system process."""

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen = False
        self.context = Context()
        self.context.run(PROCESS.set, self)
        self._loop = loop
        self.held: list[asyncio.Handle] = []

    def run(self, coroutine: Any, name: str) -> asyncio.Task[Any]:
        """Start a task of this process."""
        return self._loop.create_task(coroutine, name=name, context=self.context)

    def kill(self) -> None:
        """Dead at once: nothing of it runs any more."""
        self.dead = True
        self.held.clear()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT: what became due meanwhile runs now, in order."""
        if self.frozen and not self.dead:
            self.frozen = False
            self._loop.release(self.held)
            self.held = []


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class VirtualLoop(base_events.BaseEventLoop):
    """See the module."""

    _ready: Any
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, dice: Random) -> None:
        super().__init__()
        self._now = 1_000.0
        self._dice = dice
        self.complaints: list[str] = []
        """What asyncio wanted to say: a task of a living process that died unheard."""
        self.graveyard: list[asyncio.Task[Any]] = []
        """Every task, so that none is collected (and its ``finally`` run) at a moment that nobody chose."""
        self.turns = 0
        self.set_exception_handler(self._complain)
        self.set_task_factory(self._task)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def release(self, handles: list[asyncio.Handle]) -> None:
        """Callbacks of a thawed process."""
        self._ready.extend(handles)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Threads would escape the schedule: what others do in one is done here."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (as an executor: handed to whoever awaits it)
            future.set_exception(error)
        return future

    # -- what BaseEventLoop leaves to its heirs ----------------------------------------------------------------------

    def bury(self) -> None:
        """The end: close what is left of every task, and the loop."""
        for task in self.graveyard:
            with contextlib.suppress(Exception, Killed):
                task.get_coro().close()
        self.graveyard.clear()
        self.close()

    def _write_to_self(self) -> None:
        """Nobody sleeps."""

    def _process_events(self, event_list: Any) -> None:
        """There are no sockets."""

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        while True:
            while scheduled and scheduled[0]._when <= self._now:  # type: ignore[attr-defined]
                timer = heapq.heappop(scheduled)
                timer._scheduled = False  # type: ignore[attr-defined]
                if not timer.cancelled():
                    ready.append(timer)
            if not ready:
                if not scheduled:
                    raise Stuck("nothing is ready and no timer runs")
                self._now = scheduled[0]._when  # type: ignore[attr-defined]
                continue
            handle = ready.popleft() if len(ready) == 1 else self._choose()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is None or not (process.dead or process.frozen):
                break
            if process.frozen and not process.dead:
                process.held.append(handle)
        self.turns += 1
        handle._run()

    def _choose(self) -> Any:
        """The oldest callback of a process that the seed picks."""
        ready = self._ready
        chosen = ready[int(self._dice.random() * len(ready))]._context.get(PROCESS)
        for at, handle in enumerate(ready):
            if handle._context.get(PROCESS) is chosen:
                del ready[at]
                return handle
        raise AssertionError

    def _task(self, loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.graveyard.append(task)
        return task

    def _complain(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Killed | asyncio.CancelledError):
            self.complaints.append(f"{context.get('message')}: {error!r}")
