"""``ebbtide publish``: event logs to the input topics."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.terminal import examples, note, progress, say, settings_here

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from streams.replay.publisher import PublishReport, PublishState


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "publish",
        epilog=examples(
            ("as fast as Kafka takes it", "ebbtide publish orders.parquet clicks.jsonl.gz"),
            ("a thousand records a second", "ebbtide publish orders.parquet --rate 1000"),
            ("a day of the log in a minute", "ebbtide publish orders.parquet --speed 1440"),
            ("once more, from the first row", "ebbtide publish orders.parquet --again"),
            more="Interrupted, it goes on behind the last row that Kafka acknowledged; ids are the same every time.",
        ),
    )(publish)


def publish(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="JSON lines (plain, .gz, .zst) or Parquet; several are merged by event time."
        ),
    ],
    rate: Annotated[float | None, typer.Option(help="Records per second, at most.", metavar="N")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Event time over real time: 60 sends an hour in a minute.", metavar="X")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Send from the first row on, whatever was sent.")] = False,
) -> None:
    """Send event logs to the input topics, each row to the topic of its event type, keyed by user.

    Rows without an event_id are given one made of the file's content and the row, so that publishing again repeats the
    same ids. Topics that are missing are created.
    """
    from streams.replay.files import open_log
    from streams.replay.publisher import publish as send
    from streams.replay.resume import publication

    if rate is not None and speed is not None:
        raise typer.BadParameter("give --rate or --speed, not both")
    for name, value in (("--rate", rate), ("--speed", speed)):
        if value is not None and not 0 < value < float("inf"):
            raise typer.BadParameter(f"{name} must be more than 0")
    settings = settings_here()
    logs = [open_log(path, note) for path in files]
    resume_path = settings.state_dir.parent / "publish" / f"{publication([log.digest for log in logs])}.json"
    with progress("records") as bar:
        shown = Progress(bar, bar.add_task("publish", total=sum(log.rows for log in logs)))
        try:
            report = send(
                logs,
                settings,
                resume_path=resume_path,
                rate=rate,
                speed=speed,
                again=again,
                on_progress=shown.show,
            )
        except KeyboardInterrupt:
            note(f"{shown.done:,} of {shown.rows:,} rows are published; the same command goes on from there.")
            raise
    _tell(report, settings.topic_prefix)


class Progress:
    """What is told while it runs: a bar on a terminal, a line now and then elsewhere."""

    LINE_EVERY_S = 10.0

    def __init__(self, bar: Bar, task: TaskID, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._task = task
        self._clock = clock
        self._line_at = clock() + self.LINE_EVERY_S
        self._started = False
        self.done = 0
        self.rows = 0

    def show(self, state: PublishState) -> None:
        """Take the next state."""
        if state.resumed and not self._started:
            note(f"{state.resumed:,} of {state.rows:,} rows were published before; going on from there.")
        self._started = True
        self.done, self.rows = state.done, state.rows
        self._bar.update(self._task, completed=state.done)
        if self._bar.disable and self._clock() >= self._line_at:
            self._line_at = self._clock() + self.LINE_EVERY_S
            note(f"{state.done:,} of {state.rows:,} rows are published.")


def _tell(report: PublishReport, prefix: str) -> None:
    if not report.acknowledged and not report.unroutable:
        say(f"Nothing to do: all {report.rows:,} rows are published. --again sends them once more.")
        return
    rate = report.acknowledged / report.seconds if report.seconds else 0.0
    say(f"{report.acknowledged:,} records acknowledged in {report.seconds:.1f} s ({rate:,.0f}/s).")
    for topic, count in sorted(report.by_topic.items()):
        say(f"  {prefix}{topic}: {count:,}")
    if report.resumed:
        say(f"  published before: {report.resumed:,}")
    if report.unroutable:
        say(f"  not sent, as no topic can be told or they are too large: {report.unroutable:,}")
