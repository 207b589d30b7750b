"""How a worker ends when something can no longer be trusted: loudly, at once, and never by skipping.

A frozen event loop, a stuck flush or a cancelled task must not keep a worker alive that has to go, so this is
``os._exit`` and not an exception. What was not acknowledged is repeated by whoever comes next; repeats do no harm.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from streams.core.errors import BrokerError, EbbtideError
from streams.live.log_lines import trace_of

log = logging.getLogger(__name__)

STOP_WITHIN_S: Final = 55.0
"""An orderly stop takes less, or is cut short: Kubernetes grants 60 s."""
FROZEN_S: Final = 100.0
"""An event loop without a beat for this long is ended from outside."""
BUG_EXIT_CODE = 70
"""A fault of ours (EX_SOFTWARE of sysexits)."""


class Exits:
    """The one way out.

    Parameters
    ----------
    leave
        Ends the process with a code; ``os._exit``, or a recorder in tests.
    """

    def __init__(self, leave: Callable[[int], None] = os._exit) -> None:
        self._leave = leave

    def end(self, error: BaseException, where: str) -> None:
        """End the process because of ``error``; ``where`` names topic, partition and offset where there are any."""
        if isinstance(error, EbbtideError):
            log.critical("%s (%s)", error, where)
            code = error.exit_code
        else:
            log.critical("A fault in Ebbtide %s: %s\n%s", where, type(error).__name__, trace_of(error))
            code = BUG_EXIT_CODE
        _flush()
        self._leave(code)


class Watchdog(threading.Thread):
    """Ends the process unless it is fed: a thread, because a frozen event loop cannot watch itself.

    Parameters
    ----------
    limit_s
        Seconds without feeding.
    error
        What to end with.
    """

    def __init__(
        self, limit_s: float, error: EbbtideError, exits: Exits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(name="ebbtide-watchdog", daemon=True)
        self._limit_s = limit_s
        self._error = error
        self._exits = exits
        self._clock = clock
        self._fed = clock()
        self._done = threading.Event()

    def feed(self) -> None:
        """Alive."""
        self._fed = self._clock()

    def cancel(self) -> None:
        """No longer watch."""
        self._done.set()

    def run(self) -> None:
        while not self._done.wait(min(1.0, self._limit_s / 4)):
            if self._clock() - self._fed > self._limit_s:
                self._exits.end(self._error, f"not done within {self._limit_s:g} s")
                return


@contextlib.contextmanager
def cut_short(what: str, exits: Exits, limit_s: float = STOP_WITHIN_S) -> Iterator[None]:
    """FAUST.md 17: stopping may wait without bound, so it is cut short; what was not acked is repeated."""
    late = BrokerError(
        f"The {what} did not stop in order within {limit_s:g} s.",
        "It was ended; nothing is lost: what Kafka has not acknowledged is repeated after the next start.",
    )
    watchdog = Watchdog(limit_s, late, exits)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _flush() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stderr.flush()
    sys.stdout.flush()
