"""``ebbtide backfill``: event logs from files through the whole engine, without Kafka."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.summary import tell_summary
from streams.cli.terminal import examples, note, progress, settings_here

if TYPE_CHECKING:
    from streams.replay.offline import Progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "backfill",
        epilog=examples(
            ("portraits, stages and risks of a log", "ebbtide backfill orders.parquet --out out"),
            ("several files, merged by event time", "ebbtide backfill clicks.jsonl.gz orders.parquet --out out"),
            (
                "churn over 60 days, as of a day",
                "ebbtide backfill orders.parquet --out out --horizon-days 60 --until 2011-09-30",
            ),
            ("everybody scored at an instant", "ebbtide backfill orders.parquet --out out --score-at 2011-08-31"),
            ("a long log, on two cores", "ebbtide backfill year.parquet --out out --workers 2"),
            ("then look at one customer", "ebbtide profile 17850 --from out"),
            ("or go on from there, live", "ebbtide bootstrap out"),
            more="An interrupted run leaves nothing behind; an earlier result in DIR stays until the new one is whole.",
        ),
    )(backfill)


def backfill(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="JSON lines (plain, .gz, .zst) or Parquet; several are merged by event time."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")],
    horizon_days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=365, help="Days without a purchase that mean churned.")
    ] = None,
    propensity_days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=90, help="Days that the propensity to buy looks ahead.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Policy (TOML); see ebbtide policy.", show_default=False)
    ] = None,
    dedup_rows: Annotated[bool, typer.Option("--dedup-rows", help="Identical rows are repeats.")] = False,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Leave out what is later, and end with W at TIME.")
    ] = None,
    score_at: Annotated[
        list[str] | None,
        typer.Option(metavar="TIME", help="Score everyone with a purchase in the look-back at TIME; repeatable."),
    ] = None,
    look_back_days: Annotated[int, typer.Option(metavar="N", min=1, help="The look-back of --score-at.")] = 540,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Processes that share the users; more than one run on Ray.")
    ] = 1,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDR", help="A Ray cluster to run them on; without it, this machine.")
    ] = None,
    handover: Annotated[
        bool, typer.Option("--handover/--no-handover", help="Leave what ebbtide bootstrap needs, in DIR/handover.")
    ] = True,
) -> None:
    """Run event logs through the engine and the trainer, into a folder of results.

    The results are those of a live worker that had read the same log: segment-changes, churn-risk, profiles,
    late-events, dead-letters and training-examples as JSON lines; model.json, scorecard.json and summary.json. They
    are the same to the byte for any number of workers.
    """
    from streams.cli.instants import instant
    from streams.core.events import MINUTE_MS
    from streams.garbage import collect_seldom
    from streams.policies.reader import read_policy
    from streams.replay.backfill import run_backfill, shards_of
    from streams.replay.files import open_log
    from streams.replay.offline import RunOptions

    settings = settings_here()
    options = RunOptions(
        horizon_days=horizon_days or settings.horizon_days,
        propensity_days=propensity_days or settings.propensity_horizon_days,
        policy=read_policy(policy or settings.policy),
        dedup_rows=dedup_rows,
        until=None if until is None else instant(until, "--until"),
        score_at=tuple(instant(text, "--score-at") for text in score_at or ()),
        look_back_days=look_back_days,
        grace_ms=round(settings.grace_minutes * MINUTE_MS),
        hold_least_users=settings.hold_least_users,
        stored_profiles=handover,
    )
    collect_seldom()
    # Workers start while the logs are looked through.
    with shards_of(workers, options, note, ray_address=ray_address) as shards:
        logs = [open_log(path, note) for path in files]
        started = time.time()
        with progress("rows") as bar:
            task = bar.add_task("backfill", total=sum(log.rows for log in logs))

            def show(state: Progress) -> None:
                bar.update(task, completed=state.rows)

            summary = run_backfill(logs, out, options, started_ms=int(started * 1000), on_progress=show, shards=shards)
    tell_summary(summary, "rows", str(out), time.time() - started)
