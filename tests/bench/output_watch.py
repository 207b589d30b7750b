"""Watches outputs as other services do: through :mod:`tests.bench.output_consumer`, a process of its own."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from tests.bench.open_loop import Sighting

_READY_WITHIN_S: Final = 60.0
_SETTLED_S: Final = 1.0
"""How long a consumer is given to have its first fetches at the broker: it says nothing of it."""


class OutputWatch:
    """Watches topics from now on, until asked what it saw.

    Parameters
    ----------
    brokers, topics, partitions
        Where, with full topic names.

    Examples
    --------
    >>> with OutputWatch("127.0.0.1:9092", ["segment-changes"], 8) as watch:  # doctest: +SKIP
    ...     seen = watch.seen()
    """

    def __init__(self, brokers: str, topics: Sequence[str], partitions: int) -> None:
        self._command = [sys.executable, "-m", "tests.bench.output_consumer", brokers, str(partitions), *topics]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], _READY_WITHIN_S)[0] or not self._process.stdout.readline():
            self._end()
            raise AssertionError("the consumer of outputs did not start")
        time.sleep(_SETTLED_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def seen(self) -> list[Sighting]:
        """All that came, in the order it came; it stops watching."""
        lines, _ = self._process.communicate()
        cut = (line.partition(b" ") for line in lines.splitlines())
        return [sighting(json.loads(body), float(at_s)) for at_s, _, body in cut]

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def sighting(body: dict[str, Any], at_s: float) -> Sighting:
    """What an output says of itself: segment changes name their event, scores their user and the event's time.

    >>> sighting({"id": "o1", "user_id": "u", "as_of": "2026-01-01T00:00:00.000Z"}, 1.0).cause
    'u at 2026-01-01T00:00:00.000Z'
    """
    event_id = body.get("cause", {}).get("event_id")
    return Sighting(body["id"], event_id or f"{body['user_id']} at {body['as_of']}", at_s)
