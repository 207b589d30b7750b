"""Ctrl-C at any moment: noted at once, acted on where nothing is half begun."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Final, Self

_NOTED: Final = tuple(
    number for number in (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")) if number is not None
)


class Interrupts:
    """Notes SIGINT, SIGTERM and SIGHUP while it is entered, so that starting and stopping are never cut in two.

    Use it in the main thread; :meth:`check` between steps that are short.

    Examples
    --------
    >>> with Interrupts() as interrupts:
    ...     interrupts.check()
    """

    def __init__(self) -> None:
        self._noted: int | None = None
        self._before: dict[signal.Signals, object] = {}

    def check(self) -> None:
        """Do now what a signal asked for.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C.
        SystemExit
            Another signal.
        """
        if self._noted is None:
            return
        if self._noted == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + self._noted)

    def __enter__(self) -> Self:
        for number in _NOTED:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number if self._noted is None else self._noted
