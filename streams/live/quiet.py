"""Libraries are heard once a minute: during an outage aiokafka says some 150 times a second that nobody answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

LOUD_LIBRARIES: Final = ("kafka", "aiokafka", "faust", "mode")
AGAIN_AFTER_S: Final = 60.0


class OnceAMinute(logging.Filter):
    """Lets each kind of message of a library pass once a minute, and says how many like it were left out.

    What is said of an outage is said by :mod:`streams.live.reach`: while :attr:`away` is true, libraries are silent.

    >>> quiet = OnceAMinute(clock=lambda: 0.0)
    >>> record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "no %s", ("answer",), None)
    >>> quiet.filter(record), quiet.filter(record)
    (True, False)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.away: Callable[[], bool] = lambda: False
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in LOUD_LIBRARIES or record.levelno >= logging.CRITICAL:
            return True
        if self.away():
            return False
        now, key = self._clock(), (record.name, str(record.msg))
        said_at, left_out = self._said.get(key, (None, 0))
        if said_at is not None and now - said_at < AGAIN_AFTER_S:
            self._said[key] = (said_at, left_out + 1)
            return False
        self._said[key] = (now, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} more like it)", ()
        return True
