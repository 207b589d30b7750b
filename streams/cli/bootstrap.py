"""``ebbtide bootstrap``: a finished backfill becomes the state that workers go on from."""

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

    from streams.live.bootstrap import Loaded
    from streams.replay.handover import Document
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "bootstrap",
        epilog=examples(
            ("the history, as fast as files are read", "ebbtide backfill history.parquet --out history"),
            ("its profiles, model and times into Kafka", "ebbtide bootstrap history"),
            ("and on from there", "ebbtide worker"),
            more="Interrupted, it is run again with the same folder; until it has ended, workers refuse to start.",
        ),
    )(bootstrap)


def bootstrap(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A finished backfill.")],
) -> None:
    """Load a finished backfill into the live topics, so that workers and trainer go on where it ended.

    Only where there is no state yet, and while nothing runs. Records of the input topics with an event time at or
    before the end of the backfill are then skipped and counted; later ones count. Services are told where each user
    stands now, not the way there.
    """
    import asyncio

    from streams.garbage import collect_seldom
    from streams.live.bootstrap import bootstrap as load
    from streams.replay.handed_over import HandedOver
    from streams.replay.outgoing import partition_of

    settings = settings_here()
    collect_seldom()
    run = HandedOver(folder)
    started = time.monotonic()
    with progress("users") as bar:
        shown = Progress(bar, bar.add_task("bootstrap", total=run.document.users), run.document.users)
        loaded = asyncio.run(load(settings, run, partition_of, progress=shown.show))
    _tell(loaded, run.document, settings, time.monotonic() - started)


class Progress:
    """What is told while it runs: a bar on a terminal, a line now and then elsewhere."""

    LINE_EVERY_S = 10.0

    def __init__(self, bar: Bar, task: TaskID, users: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._task = task
        self._users = users
        self._clock = clock
        self._line_at = clock() + self.LINE_EVERY_S

    def show(self, done: int) -> None:
        """So many users are loaded."""
        self._bar.update(self._task, completed=done)
        if self._bar.disable and self._clock() >= self._line_at:
            self._line_at = self._clock() + self.LINE_EVERY_S
            note(f"{done:,} of {self._users:,} users are loaded.")


def _tell(loaded: Loaded, document: Document, settings: Settings, seconds: float) -> None:
    from streams.core.instants import format_instant
    from streams.policies.reader import read_policy

    if not loaded.partitions:
        say("Nothing to do: this backfill is loaded. Start the workers.")
        return
    rate = loaded.users / max(seconds, 1e-9)
    say(f"{loaded.users:,} users in {loaded.partitions} partitions in {seconds:.1f} s ({rate:,.0f}/s).")
    say(f"  everything through {format_instant(document.applied_until)} is in")
    say(f"  told: {loaded.changes:,} changes of segment, {loaded.portraits:,} portraits")
    if loaded.forgotten:
        say(f"  portraits ended, of users whom the backfill does not know: {loaded.forgotten:,}")
    say(f"  model: {loaded.cuts:,} days, and {loaded.examples:,} examples that the last cut has not learned")
    policy = read_policy(settings.policy)
    if policy.fingerprint != document.policy_fingerprint:
        note(
            f"The backfill decided by policy {document.policy_version}, and workers here have {policy.version}: they "
            "bring every user over at their start, and tell what is different then."
        )
    say("Start workers and trainer.")
