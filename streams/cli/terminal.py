"""What commands print with: colours and boxes where a person looks on, plain text where it is piped."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streams.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def is_terminal() -> bool:
    """Whether standard output goes to a person's terminal."""
    return sys.stdout.isatty()


def stdout() -> Console:
    """A rich console on standard output, made anew, so that a redirected output is seen; it never wraps when piped."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """The same on standard error: progress, notes and errors."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())


def printable(text: str) -> str:
    """Text from a log, safe to show: control characters, which could steer the terminal, as escapes.

    >>> print(printable("a" + chr(27) + "[31m"))
    a\\x1b[31m
    """
    return "".join(repr(one)[1:-1] if unicodedata.category(one) == "Cc" else one for one in text)


def say(text: str = "") -> None:
    """One line of the result, as it is (no markup)."""
    print(text, file=sys.stdout)


def note(text: str) -> None:
    """One line about the run: what was left out, where a file went. Standard error, so that results can be piped."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str, label: str = "error: ") -> None:
    """One line on standard error, whatever line breaks the text has."""
    line = printable(" ".join(text.split()))
    if sys.stderr.isatty():
        stderr().print(f"[bold red]{label}[/]", end="")
    else:
        line = label + line
    note(line)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table on standard output: with lines in a terminal, else columns of plain text parted by two blanks.

    None shows as nothing; numbers stand on the right.
    """
    found = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    kinds = [list(column) for column in zip(*found, strict=True)] or [[] for _ in columns]
    right = [bool(column) and all(_is_number(cell) for cell in column if cell) for column in kinds]
    if is_terminal():
        from rich.markup import escape
        from rich.table import Table

        drawn = Table(title=title or None, title_justify="left", header_style="bold")
        for name, to_right in zip(columns, right, strict=True):
            drawn.add_column(name, justify="right" if to_right else "left")
        for row in found:
            drawn.add_row(*(escape(cell) for cell in row))
        stdout().print(drawn)
        return
    if title:
        say(title)
    widths = [max(map(len, (name, *column))) for name, column in zip(columns, kinds, strict=True)]
    for row in [list(columns), *found]:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        say("  ".join(cells).rstrip())


def progress(unit: str = "records") -> Progress:
    """A progress bar on standard error with rate and time left; silent where nobody looks on.

    Use it as a context manager: ``task = bar.add_task("orders.parquet", total=n)``, ``bar.advance(task, 1_000)``.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "", style="progress.data.speed")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=stderr(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def examples(*lines: tuple[str, str], more: str = "") -> str:
    """The end of a command's help: what to type, with what it does beside it.

    Parameters
    ----------
    lines
        (what it does, what to type); no square brackets, as they are markup in a terminal.
    more
        A closing sentence.

    >>> print(examples(("all topics", "ebbtide topics")).removeprefix(chr(8)))
    <BLANKLINE>
    Examples:
      ebbtide topics   # all topics
    """
    width = max(len(command) for _, command in lines)
    shown = [f"  {command.ljust(width)}   # {meaning}" if meaning else f"  {command}" for meaning, command in lines]
    text = "\n".join(["\b", "Examples:", *shown])
    return f"{text}\n\n{more}" if more else text


def settings_here() -> Settings:
    """Settings from the environment over ``ebbtide.toml`` of the working folder, if there is one.

    Raises
    ------
    SettingsError
        An unknown setting or a bad value.
    """
    path = Path("ebbtide.toml")
    return load_settings(os.environ, path if path.exists() else None)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "", 1).removeprefix("-").removesuffix("%").isdigit()
