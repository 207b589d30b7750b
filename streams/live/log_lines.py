"""What may stand in a log above DEBUG: where something happened and of which kind, never what was in a record.

An exception's message may quote the value that it stumbled over (``KeyError('ann@example.com')``), so of a fault the
lines of code are shown and the message is left out. At DEBUG everything is shown.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any, Final

from streams.core.errors import EbbtideError

log = logging.getLogger(__name__)

FORMAT: Final = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"
_SPEAK_OF_KAFKA_ALONE: Final = ("kafka.errors", "aiokafka.errors")
LEFT_OUT: Final = "(message left out, as it may quote a record; EBBTIDE_LOG_LEVEL=debug shows it)"


def quote_no_records() -> None:
    """Have every fault that reaches the log, or that nobody catches, told without its message.

    Call it once the log has its handlers.
    """
    for handler in logging.getLogger().handlers:
        handler.setFormatter(DiscreetFormatter(FORMAT))
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread


def trace_of(error: BaseException) -> str:
    """A traceback with the lines of code and the kinds of the errors; with their messages only at DEBUG.

    >>> try:
    ...     {}["ann@example.com"]
    ... except KeyError as error:
    ...     print(trace_of(error).splitlines()[-1])
    KeyError: (message left out, as it may quote a record; EBBTIDE_LOG_LEVEL=debug shows it)
    """
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        return "".join(traceback.format_exception(error)).rstrip("\n")
    return "\n".join(_parts(error, set()))


def _parts(error: BaseException, seen: set[int]) -> list[str]:
    seen.add(id(error))
    lines: list[str] = []
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        lines += [*_parts(before, seen), "", "and because of it, or on top of it:", ""]
    if isinstance(error, BaseExceptionGroup):
        for number, inner in enumerate(error.exceptions, start=1):
            if id(inner) not in seen:
                lines += [f"error {number} of a group:", *_parts(inner, seen)]
    lines.append("Traceback (most recent call last):")
    lines += [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    return [*lines, f"{type(error).__name__}: {_message(error)}"]


def _message(error: BaseException) -> str:
    if isinstance(error, EbbtideError) or type(error).__module__ in _SPEAK_OF_KAFKA_ALONE:
        return str(error)  # written by rule without values of records
    if isinstance(error, NameError | AttributeError | ImportError | RecursionError | ZeroDivisionError):
        return str(error)  # names of ours, or nothing
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return LEFT_OUT


class DiscreetFormatter(logging.Formatter):
    """A formatter whose tracebacks quote no record."""

    def formatException(  # noqa: N802 (logging's name)
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return "" if ei[1] is None else trace_of(ei[1])


def told_by_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler: asyncio's own would print the error and the task that holds it."""
    error = context.get("exception")
    trace = trace_of(error) if isinstance(error, BaseException) else "without an error"
    log.error("%s\n%s", context.get("message", "The event loop complains"), trace)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("A fault in Ebbtide: %s\n%s", kind.__name__, trace_of(error))


def _uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None:
        name = given.thread.name if given.thread is not None else "a thread"
        log.critical("A fault in Ebbtide, in %s: %s\n%s", name, given.exc_type.__name__, trace_of(given.exc_value))


def _unraisable(given: Any) -> None:
    if given.exc_value is not None:
        log.error("An error nobody could take: %s\n%s", type(given.exc_value).__name__, trace_of(given.exc_value))
