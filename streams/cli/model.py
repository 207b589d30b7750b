"""``ebbtide model``: which models served when, what is in them, what changed, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.terminal import examples, note, say, settings_here, table

if TYPE_CHECKING:
    from streams.replay.model_history import ModelHistory

Folder = Annotated[
    Path | None, typer.Option("--from", metavar="DIR", help="A finished backfill instead of the model-cuts topic.")
]
Most = Annotated[int, typer.Option("--most", metavar="N", min=1, help="Show at most this many lines.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        help="The models that score: their cuts, weights and history; roll back to an earlier one.",
        no_args_is_help=True,
        epilog=examples(
            ("which cuts served, and what happened to the models", "ebbtide model list"),
            ("what the newest has learned", "ebbtide model show"),
            ("what a week has changed", "ebbtide model diff 20110930-0e3c71aa 20111007-91d2b4c5"),
            ("go back to how it was before a bad batch of data", "ebbtide model rollback 20110930-0e3c71aa --yes"),
        ),
    )
    group.command("list")(list_cuts)
    group.command("show")(show)
    group.command("diff")(diff)
    group.command("rollback")(rollback)
    app.add_typer(group, name="model")


def list_cuts(folder: Folder = None, most: Most = 20, as_json: AsJson = False) -> None:
    """Show the cuts, one a line, and what happened to the models: takeovers, drift alarms, rollbacks."""
    from streams.codec import encode

    history = _history(folder)
    if as_json:
        for cut in history.cuts:
            say(encode({"type": "cut", "version": cut.version, "days": cut.days, "heads": cut.heads}).decode())
        for event in history.events:
            say(encode(event).decode())
        return
    if not history.cuts:
        say("No model was cut yet.")
        return
    heads = sorted({name for cut in history.cuts for name in cut.heads})
    table(
        ("version", "until", "days", *(f"{name}: {what}" for name in heads for what in ("champion", "labels"))),
        [(cut.version, _day(cut.day_ms), cut.days, *_cells(cut.heads, heads)) for cut in history.cuts[-most:]],
    )
    if len(history.cuts) > most:
        note(f"{len(history.cuts) - most} earlier cuts; show more with --most.")
    if history.events:
        say()
        table(
            ("at", "head", "what happened"),
            [(event["at"][:16].replace("T", " "), event["head"], told(event)) for event in history.events[-most:]],
        )


def show(
    version: Annotated[str | None, typer.Argument(help="Of the cut; the newest by default.")] = None,
    folder: Folder = None,
    most: Most = 12,
    as_json: AsJson = False,
) -> None:
    """Show what a cut has learned: per head its champion, how much it learned, and its heaviest weights.

    A weight is in logits per standard deviation of the feature, given all others; ± is its posterior deviation.
    """
    from models.comparison import weights_of
    from models.contest import evidence_of
    from streams.codec import encode

    history = _history(folder, *([] if version is None else [version]))
    if not history.cuts:
        say("No model was cut yet.")
        return
    cut = history.cut(version or history.cuts[-1].version)
    if as_json:
        say(encode(cut).decode())
        return
    for name, head in sorted(cut["heads"].items()):
        cold = ", still too little to serve" if head["cold_start"] else ""
        learned = f"{head['champion']}, {head['examples']:,} labels{cold}"
        say(f"{cut['version']}  {name}, {head['horizon_days']} d ahead: {learned}")
        weights = weights_of(head)
        table(
            ("feature", "weight", "±", "mean of the feature"),
            [(one.feature, f"{one.weight:+.4f}", f"{one.spread:.4f}", f"{one.mean:.4g}") for one in weights[:most]],
        )
        for challenger, case in evidence_of(head).items():
            say(f"Challenger {challenger}: {_case(case)}")
        say()


def diff(
    before: Annotated[str, typer.Argument(help="Version of a cut.")],
    after: Annotated[str, typer.Argument(help="Version of another one.")],
    most: Most = 12,
) -> None:
    """Show what changed between two cuts: champions, labels learned, and the weights that moved most."""
    from models.comparison import differences

    history = _history(None, before, after)
    for one in differences(history.cut(before), history.cut(after)):
        old, new = one.champion
        who = f"champion {new}" if old == new else f"champion {old or 'none'} → {new or 'none'}"
        say(f"{one.head}: {who}, {one.examples[0]:,} → {one.examples[1]:,} labels")
        moved = [move for move in one.moves if move.by][:most]
        if moved:
            table(
                ("feature", before, after, "change"),
                [(move.feature, _weight(move.before), _weight(move.after), f"{move.by:+.4f}") for move in moved],
            )
        else:
            say("No weight differs.")
        say()


def rollback(
    version: Annotated[str, typer.Argument(help="Of the cut to go back to; see: ebbtide model list.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")] = False,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who asks, for the record on model-events.")] = "",
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Wait this long for the trainer.")] = 30.0,
) -> int:
    """Go back to the models of an earlier cut, champion and challengers, and serve them at once.

    What was learned since that cut is forgotten; learning goes on from there. Scorecards stay: they are of what was
    served. Nothing is deleted, so a rollback can be rolled back.
    """
    import getpass
    import time

    from models.comparison import differences
    from streams.replay.model_history import ask_for_rollback, rollback_record, wait_for_rollback

    settings = settings_here()
    history = _history(None, version)
    target, newest = history.cut(version), history.cut(history.cuts[-1].version)
    table(
        ("head", "champion", "then", "labels", "then"),
        [
            (one.head, one.champion[0], one.champion[1] or "stays", *(f"{count:,}" for count in one.examples))
            for one in differences(newest, target)
        ],
    )
    if not yes:
        note(f"Nothing was done. To serve these models: ebbtide model rollback {version} --yes")
        return 1
    record = rollback_record(target, by or getpass.getuser(), time.time_ns() // 1_000_000)
    ask_for_rollback(settings, record)
    done = wait_for_rollback(settings, record, wait)
    if done is None:
        note("The trainer has not answered yet; once one runs it will, see: ebbtide model list")
        return 1
    say(f"The models of {version} serve again, as {done['to']}; before them {done['from']} did.")
    return 0


def _case(case: dict[str, Any]) -> str:
    """What speaks for a challenger, in a clause."""
    than = f"{'better' if case['better_by'] >= 0.0 else 'worse'} than the champion"
    over = f"over {case['examples']:,} scores of {case['days']:,} days"
    evidence = f"evidence {case['e_value']:.3g} of the {case['needed']:g} it takes"
    return f"{abs(case['better_by']):.4f} nats {than} {over}; {evidence}"


def told(event: dict[str, Any]) -> str:
    """One line about something that happened to a model."""
    match event.get("type"):
        case "rollback":
            return f"rolled back to {event['as_of_version']} by {event['by']}; serves as {event['to']}"
        case "takeover":
            return f"{event['to']} took over from {event['from']}: {_case(event)}"
        case "drift":
            before, after = event["before"]["mean"], event["after"]["mean"]
            moved = ", ".join(feature["feature"] for feature in event["features"])
            what = f"{event['signal']} ({moved})" if moved else event["signal"]
            return f"drift of {what}: {event['moment']} {before:.3f} to {after:.3f}; {event['done']}"
        case other:
            return str(other)


def _history(folder: Path | None, *versions: str) -> ModelHistory:
    from streams.replay.model_history import from_folder, from_topics

    return from_topics(settings_here(), frozenset(versions)) if folder is None else from_folder(folder)


def _cells(heads: dict[str, dict[str, Any]], names: list[str]) -> list[object]:
    cells: list[object] = []
    for name in names:
        head = heads.get(name)
        if head is None:
            cells += [None, None]
        else:
            cells += ["cold" if head["cold_start"] else head["champion"], f"{head['examples']:,}"]
    return cells


def _day(day_ms: int) -> str:
    from streams.core.instants import format_instant

    return format_instant(day_ms)[:16].replace("T", " ")


def _weight(value: float | None) -> str | None:
    return None if value is None else f"{value:+.4f}"
