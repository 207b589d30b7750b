"""Where a demo is watched: a terminal's whole screen, or lines in a pipe."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live

from streams.demo.report import progress_line
from streams.demo.screen import Status, draw
from streams.demo.view import View


class Showing(Protocol):
    """Shows one view after the other."""

    def show(self, status: Status, view: View) -> None:
        """Show how it stands."""


class LiveScreen:
    """The whole screen of a terminal, given back as it was at the end.

    Parameters
    ----------
    console
        Of the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False)

    def show(self, status: Status, view: View) -> None:
        """Draw it for the size that the terminal has now."""
        self._live.update(draw(status, view, *self._console.size), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


class PlainLines:
    """A line whenever the phase changes, and every few seconds.

    Parameters
    ----------
    say
        Takes a line.
    """

    EVERY_S: Final = 5.0

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._phase = ""
        self._next_s = 0.0

    def show(self, status: Status, view: View) -> None:
        """Say how it stands, if it is time."""
        if status.phase == self._phase and status.elapsed_s < self._next_s:
            return
        self._phase = status.phase
        self._next_s = status.elapsed_s + self.EVERY_S
        self._say(progress_line(status, view))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to give back."""
