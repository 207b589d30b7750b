"""``ebbtide policy``: the limits decisions are made by."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.terminal import examples, note, progress, say


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        help="The limits that stages, tiers and bands are decided by: show, check, fit to a log of your own.",
        no_args_is_help=True,
        epilog=examples(
            ("the policy that is built in, to start from", "ebbtide policy show > mine.toml"),
            ("a policy for your shop, from its log", "ebbtide policy fit orders.parquet > mine.toml"),
            ("does it hold together?", "ebbtide policy check mine.toml"),
            ("use it", "ebbtide backfill orders.parquet --out out --policy mine.toml"),
        ),
    )
    group.command("show")(show)
    group.command("check")(check)
    group.command("fit")(fit)
    app.add_typer(group, name="policy")


def show() -> None:
    """Print the built-in policy with its comments."""
    from streams.policies.reader import default_text

    say(default_text().rstrip())


def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="Policy (TOML).")]) -> None:
    """Say whether a policy holds together."""
    from streams.policies.reader import read_policy

    policy = read_policy(file)
    say(f"{file} holds together: version {policy.version}, fingerprint {policy.fingerprint:08x}")


def fit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Event logs; purchases are what counts.")],
    version: Annotated[str, typer.Option(metavar="NAME", help="Name of the new policy.")] = "fitted-1",
    base: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Policy whose other limits are kept.", show_default=False)
    ] = None,
) -> None:
    """Propose a policy from a log: the shop's gap between purchases, and RFM cut points at its own quintiles."""
    from streams.core.cleaning import clean, cleaning_policy
    from streams.core.events import Event
    from streams.core.policy_fit import PolicyFit, render_policy
    from streams.policies.reader import read_policy
    from streams.replay.files import open_log
    from streams.replay.sources import FileSource

    policy = read_policy(base)
    cleaning = cleaning_policy(policy)
    source = FileSource([open_log(path, note) for path in files], int(time.time() * 1000))
    fitting = PolicyFit(policy)
    with progress("rows") as bar:
        task = bar.add_task("fit", total=source.total)
        for number, row in enumerate(source.rows()):
            if number % 10_000 == 0:
                bar.update(task, completed=number)
            if row.fault is None and row.kind is not None:
                event = clean(
                    row.raw,
                    row.kind,
                    position=row.position,
                    record_id=row.record_id,
                    published_ms=row.published_ms,
                    policy=cleaning,
                    from_file=True,
                )
                if isinstance(event, Event):
                    fitting.add(event)
    fitted = fitting.proposal(version)
    names = ", ".join(path.name for path in files)
    say(f"# Proposed by `ebbtide policy fit` from {fitting.customers:,} customers of {names}.")
    say(render_policy(fitted).rstrip())
