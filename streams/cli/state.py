"""``ebbtide state``: whether the stored state still fits topics and group, and how to go on where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.terminal import examples, note, progress, say, settings_here, table

if TYPE_CHECKING:
    from streams.live.survey import Standing
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        help="The state in the changelog held against topics and consumer group: why a worker refuses, and going on.",
        no_args_is_help=True,
        epilog=examples(
            ("why do workers refuse to start?", "ebbtide state check"),
            ("what would be done about it", "ebbtide state accept"),
            ("do it, once all workers are stopped", "ebbtide state accept --yes"),
        ),
    )
    group.command("check", epilog=examples(("for a script", "ebbtide state check --json")))(check)
    group.command("accept")(accept)
    app.add_typer(group, name="state")


def check(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a partition and line.")] = False,
) -> int:
    """Read all state and say what does not fit; the exit code is 1 where something does not.

    Nothing is written. While workers run, their offsets may look ahead of their state for a moment.
    """
    settings = settings_here()
    standings = _survey(settings)
    if as_json:
        for one in standings:
            _print_json(one)
    else:
        _show(standings)
    return int(any(one.misfits for one in standings))


def accept(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")] = False,
) -> int:
    """Go on with what is there: topics created anew, records or state that are gone.

    Writes the position to go on from into the changelog and the group's offsets, for every partition that is refused.
    Stop all workers first: Kafka refuses it while one runs.
    """
    import asyncio

    from streams.live.survey import accept as write
    from streams.live.survey import survey

    settings = settings_here()
    standings = _survey(settings)
    wanted = [one for one in standings if one.misfits]
    _show(standings)
    if not wanted:
        return 0
    for one in wanted:
        for misfit in one.misfits:
            if not misfit.acceptable:
                raise misfit.error()
    _show_going_on(wanted)
    if not yes:
        note("Nothing was written. To go on like this, stop all workers and run: ebbtide state accept --yes")
        return 1
    asyncio.run(write(settings, standings))
    left = sum(len(one.misfits) for one in asyncio.run(survey(settings)))
    say(f"{len(wanted)} partitions go on as shown; {left} misfits are left. Start the workers.")
    return int(left > 0)


def _survey(settings: Settings) -> list[Standing]:
    import asyncio

    from streams.live.survey import survey

    with progress("partitions") as bar:
        task = bar.add_task("reading the changelog", total=settings.partitions)
        return asyncio.run(survey(settings, lambda read, total: bar.update(task, completed=read, total=total)))


def _show(standings: list[Standing]) -> None:
    found = [(one.partition, misfit.cause.value, misfit.what) for one in standings for misfit in one.misfits]
    if found:
        table(("partition", "what", "why"), found)
    else:
        begun = sum(not one.record.blank for one in standings)
        say(f"All fits: {begun} of {len(standings)} partitions have state, and workers can go on with it.")


def _show_going_on(wanted: list[Standing]) -> None:
    from streams.live.standing import accepted

    rows = []
    for one in wanted:
        going_on = accepted(one.record, one.now).inputs
        for kind, now in enumerate(one.now.inputs):
            applied = None if one.record.blank else _offset(one.record.inputs[kind].next)
            next_ = _offset(going_on[kind].next)
            rows.append((one.partition, now.topic, applied, next_, now.committed, now.oldest, now.end))
    table(("partition", "input", "applied up to", "goes on at", "committed", "oldest", "end"), rows)


def _offset(offset: int) -> int | None:
    return None if offset < 0 else offset


def _print_json(one: Standing) -> None:
    from streams.codec import encode

    body = {
        "partition": one.partition,
        "version": one.record.version,
        "partitions": one.record.partitions,
        "cluster_id": one.record.cluster_id,
        "inputs": [
            {
                "topic": now.topic,
                "topic_id": now.topic_id,
                "applied": None if one.record.blank else _offset(one.record.inputs[kind].next),
                "committed": now.committed,
                "oldest": now.oldest,
                "end": now.end,
            }
            for kind, now in enumerate(one.now.inputs)
        ],
        "misfits": [{"cause": misfit.cause.value, "what": misfit.what, "hint": misfit.hint} for misfit in one.misfits],
    }
    say(encode(body).decode())
