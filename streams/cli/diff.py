"""``ebbtide diff``: do two runs say the same?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.terminal import examples, say, table

_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "diff",
        epilog=examples(
            ("two runs over the same log", "ebbtide diff out-a out-b"),
            ("a replay of the topics against a backfill of the files", "ebbtide diff out-replay out-files"),
            more="Exit code 0: the same. 1: they differ; what differs is printed.",
        ),
    )(diff)


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A result folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The other one.")],
    positions: Annotated[
        bool, typer.Option("--positions", help="Also compare partition and offset of what caused an output.")
    ] = False,
) -> None:
    """Compare two sets of outputs by id and body, profiles by user, and say what differs."""
    from streams.replay.output_sets import compare_folders

    differences = compare_folders(a, b, positions=positions)
    table(
        ("output", "in A", "in B", "equal", "only in A", "only in B", "differ"),
        [
            (
                one.name,
                f"{one.left:,}",
                f"{one.right:,}",
                f"{one.equal:,}",
                f"{len(one.only_left):,}",
                f"{len(one.only_right):,}",
                f"{len(one.changed):,}",
            )
            for one in differences
        ],
    )
    for one in differences:
        for key in one.only_left[:_SHOWN]:
            say(f"{one.name}: only in A: {key}")
        for key in one.only_right[:_SHOWN]:
            say(f"{one.name}: only in B: {key}")
        for key, fields in one.changed[:_SHOWN]:
            say(f"{one.name}: {key}: {fields}")
    if all(one.same for one in differences):
        say("the same")
        return
    say("they differ")
    raise typer.Exit(1)
