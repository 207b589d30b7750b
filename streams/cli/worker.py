"""``ebbtide worker``: portraits, risks and segment changes, live."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from streams.cli.terminal import examples


class ClockName(StrEnum):
    """Which clock silence is measured by."""

    WALL = "wall"
    LOG = "log"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "worker",
        epilog=examples(
            ("live: silence is measured by the clock on the wall", "ebbtide worker"),
            ("trainer and worker in one process, for a small shop", "ebbtide worker --trainer"),
            ("an old log that was published today, as backfill would read it", "ebbtide worker --clock log --trainer"),
            ("the same up to an instant, then end", "ebbtide worker --clock log --until 2011-12-01 --trainer"),
            more="Any number of workers share the partitions. SIGTERM and Ctrl-C finish the slice and leave the group.",
        ),
    )(worker)


def worker(
    clock: Annotated[
        ClockName,
        typer.Option(help="wall: who stays silent slips away in real time. log: only events move time on."),
    ] = ClockName.WALL,
    until: Annotated[
        str | None, typer.Option(help="With --clock log: apply events up to this instant (RFC 3339), then end.")
    ] = None,
    trainer: Annotated[
        bool | None,
        typer.Option("--trainer/--no-trainer", help="Run the trainer in this process (EBBTIDE_EMBEDDED_TRAINER)."),
    ] = None,
) -> None:
    """Read clicks, searches and purchases from Kafka, keep every user's portrait, and tell who changes.

    Missing topics are created. The state is kept in Kafka's changelog topic, with a copy on disk that makes starts
    quick. A worker that is killed loses nothing, and an output it repeats has the id of the first.
    """
    from streams.cli.instants import instant
    from streams.cli.terminal import settings_here
    from streams.core.errors import SettingsError
    from streams.live.serve import serve_worker

    until_ms = None if until is None else instant(until, "--until")
    if until_ms is not None and clock is not ClockName.LOG:
        raise SettingsError("--until needs --clock log: on the wall there is no end.", "Add --clock log.")
    settings = settings_here()
    with_trainer = settings.embedded_trainer if trainer is None else trainer
    code = serve_worker(settings, clock.value, until_ms, with_trainer=with_trainer)
    if code:
        raise typer.Exit(code)
