"""``ebbtide diff``: do two runs say the same?"""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.terminal import examples, say, settings_here, table

_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "diff",
        epilog=examples(
            ("two runs over the same log", "ebbtide diff out-a out-b"),
            ("a replay against what was said live", "ebbtide diff topics topics:trial"),
            ("a replay into topics against a backfill of the files", "ebbtide diff topics:trial out-files"),
            more="A and B are result folders, `topics` (what workers wrote) or `topics:NAME` (what a replay wrote). "
            "Exit code 0: the same. 1: they differ; what differs is printed.",
        ),
    )(diff)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A result folder, `topics` or `topics:NAME`.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    positions: Annotated[
        bool,
        typer.Option(
            "--positions", help="Also compare where the record that caused an output was read, and by which mode."
        ),
    ] = False,
) -> None:
    """Compare two sets of outputs by id and body, portraits by user, and say what differs.

    Repeats carry the same id, so of each id the last message counts, as for any consumer.
    """
    from streams.replay.comparison import compare
    from streams.replay.output_sets import open_outputs

    differences = compare(open_outputs(a, settings_here), open_outputs(b, settings_here), positions=positions)
    table(
        ("output", "in A", "in B", "equal", "only in A", "only in B", "differ"),
        [
            (
                one.topic,
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
            say(f"{one.topic}: only in A: {key}")
        for key in one.only_right[:_SHOWN]:
            say(f"{one.topic}: only in B: {key}")
        for key, fields in one.changed[:_SHOWN]:
            say(f"{one.topic}: {key}: {fields}")
    if all(one.same for one in differences):
        say("the same")
        return
    say("they differ")
    raise typer.Exit(1)
