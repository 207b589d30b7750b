"""``ebbtide replay``: the input topics of a live installation through the engine once more, beside it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.summary import tell_summary
from streams.cli.terminal import examples, note, progress, settings_here

if TYPE_CHECKING:
    from streams.replay.offline import Progress, RunOptions, Sink
    from streams.replay.result_folder import ResultFolder
    from streams.replay.shadow_topics import ShadowTopics
    from streams.replay.topic_source import TopicSource
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "replay",
        epilog=examples(
            ("everything up to a day, into <topic>-trial", "ebbtide replay --to 2024-06-01 --suffix trial"),
            (
                "what would another policy have said?",
                "ebbtide replay --to 2024-06-01 --suffix strict --policy strict.toml",
            ),
            ("hold it against what was said live", "ebbtide diff topics topics:strict"),
            ("into files", "ebbtide replay --to 2024-06-01 --out replayed"),
            more="Profiles begin empty at --from: to repeat what was said live, begin where the topics begin.",
        ),
    )(replay)


def replay(
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="First event time; without it the beginning of the topics."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="TIME", help="Last event time; the run ends with W there. Without it the end of the topics."
        ),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write shadow topics: the worker's topics with -NAME behind.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write a folder of results, as backfill does.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete the shadow topics that an earlier replay NAME has left.")
    ] = False,
    horizon_days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=365, help="Days without a purchase that mean churned.")
    ] = None,
    propensity_days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=90, help="Days that the propensity to buy looks ahead.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Policy (TOML); see ebbtide policy.", show_default=False)
    ] = None,
) -> None:
    """Run the input topics, as they stand now, through the engine and the trainer, without touching what is live.

    No consumer group is joined, nothing is committed, and the live topics and tables are only read. Records are
    sorted by event time before the run: up to 32 MiB in memory, beyond that in the temporary folder (TMPDIR), which
    then needs as much room as the records within --from and --to.
    """
    from streams.cli.instants import instant
    from streams.core.events import MINUTE_MS
    from streams.garbage import collect_seldom
    from streams.policies.reader import read_policy
    from streams.replay.offline import RunOptions
    from streams.replay.topic_source import TopicSource

    if (suffix is None) == (out is None):
        raise typer.BadParameter("give --suffix NAME for shadow topics, or --out DIR for files")
    since_ms = None if since is None else instant(since, "--from")
    until_ms = None if until is None else instant(until, "--to")
    if since_ms is not None and until_ms is not None and since_ms > until_ms:
        raise typer.BadParameter("--from is later than --to")
    settings = settings_here()
    options = RunOptions(
        horizon_days=horizon_days or settings.horizon_days,
        propensity_days=propensity_days or settings.propensity_horizon_days,
        policy=read_policy(policy or settings.policy),
        until=until_ms,
        grace_ms=round(settings.grace_minutes * MINUTE_MS),
        hold_least_users=settings.hold_least_users,
    )
    collect_seldom()
    started = time.monotonic()
    with TopicSource(settings, since_ms, until_ms) as source, _sink(settings, suffix, out, replace) as sink:
        _read(source)
        summary = _run(source, sink, options)
    where = str(out) if out is not None else f"{settings.topic_prefix}<topic>-{suffix}"
    tell_summary(summary, "records", where, time.monotonic() - started)


def _sink(settings: Settings, suffix: str | None, out: Path | None, replace: bool) -> ResultFolder | ShadowTopics:
    from streams.replay.result_folder import ResultFolder
    from streams.replay.shadow_topics import ShadowTopics

    if out is not None:
        return ResultFolder(out)
    assert suffix is not None
    return ShadowTopics(settings, suffix, replace=replace)


def _read(source: TopicSource) -> None:
    for name, count in source.topics.lost().items():
        note(f"{name}: retention has deleted {count:,} records; the replay begins with what is left.")
    with progress("records") as bar:
        task = bar.add_task("read", total=source.topics.total)
        source.read(lambda records: bar.update(task, completed=records))
    if source.left_out:
        note(f"{source.left_out:,} records lie outside --from and --to.")


def _run(source: TopicSource, sink: Sink, options: RunOptions) -> dict[str, Any]:
    from streams.replay.offline import OfflineRun

    with progress("records") as bar:
        task = bar.add_task("replay", total=source.total)

        def show(state: Progress) -> None:
            bar.update(task, completed=state.rows)

        return OfflineRun(source, sink, options, show).run()
