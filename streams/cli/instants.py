"""Instants that a person types."""

from __future__ import annotations

import typer

from streams.core.instants import parse_instant


def instant(text: str, option: str) -> int:
    """An instant in ms since the epoch.

    Raises
    ------
    typer.BadParameter
        It cannot be read; the message names the option.
    """
    found = parse_instant(text)
    if found is None:
        raise typer.BadParameter(f"{option} {text!r} is no time: write 2011-08-31 or 2011-08-31T12:00:00Z")
    return found
