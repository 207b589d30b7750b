"""``ebbtide outputs``: what the circuit breaker holds, and what is to become of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.terminal import examples, note, say, settings_here, table

if TYPE_CHECKING:
    from streams.replay.output_holds import PartitionHold

Partitions = Annotated[
    list[int] | None, typer.Option("--partition", metavar="N", min=0, help="Only this one; may be given repeatedly.")
]
Wait = Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Wait this long for the workers to carry it out.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        help="Segment changes and risks that are held because too many users changed stage at once.",
        epilog=examples(
            ("what is held, and why", "ebbtide outputs"),
            ("it was right: send it now", "ebbtide outputs release"),
            ("it was wrong: never send it", "ebbtide outputs discard"),
            ("of one partition only", "ebbtide outputs release --partition 3"),
            more="Mend what was wrong first (the policy, or the events, with refunds), then discard.",
        ),
        invoke_without_command=True,
    )
    group.callback()(show)
    group.command("release")(release)
    group.command("discard")(discard)
    app.add_typer(group, name="outputs")


def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a partition and line.")] = False,
) -> None:
    """Show which partitions hold their outputs and why; release or discard them.

    A partition holds when more than EBBTIDE_HOLD_SHARE of the users seen in a minute of event time change stage.
    State, learning and reading go on meanwhile; nothing is lost.
    """
    if context.invoked_subcommand is not None:
        return
    from streams.codec import encode
    from streams.replay.output_holds import standing

    holds = [one for one in standing(settings_here()) if one.hold is not None]
    if as_json:
        for one in holds:
            say(encode(one.body | {"share": round(one.share, 6), "decision": one.decision}).decode())
        return
    if not holds:
        say("Nothing is held.")
        return
    table(
        ("partition", "held since", "users", "changed", "share", "outputs", "most often", "state"),
        [_row(one) for one in holds],
    )
    note("Decide with: ebbtide outputs release, or ebbtide outputs discard.")


def release(partition: Partitions = None, wait: Wait = 30.0) -> None:
    """Send what is held, in its order and with its ids, then go on.

    Held outputs stand before anything newer of the same user. The breaker does not trip again until a minute has passed
    that would not have tripped it.
    """
    _decide("release", partition or [], wait)


def discard(partition: Partitions = None, wait: Wait = 30.0) -> None:
    """Never send what is held, then go on.

    State stays as it is. What subscribers know and what is true may differ until it is mended, or until a user's next
    change, which starts from what they know. Portraits of all users concerned are published as they are now.
    """
    _decide("discard", partition or [], wait)


def _decide(decision: str, partitions: list[int], wait: float) -> None:
    import time

    from streams.replay.output_holds import chosen, decide, standing, wait_until_settled

    settings = settings_here()
    holds = chosen(standing(settings), partitions)
    if not holds:
        say("Nothing is held.")
        return
    decide(settings, holds, decision, time.time_ns() // 1_000_000)
    ended = wait_until_settled(settings, holds, wait)
    done = {"release": "released", "discard": "discarded"}
    for one in holds:
        if (how := ended.get(one.partition)) is None:
            note(
                f"partition {one.partition}: {decision} is decided and will be carried out once a worker owns it; "
                "see: ebbtide outputs"
            )
        elif how.get("hold") == one.hold and how.get("decision") in done:
            say(f"partition {one.partition}: {done[how['decision']]} {how['outputs']:,} outputs")
        else:
            note(f"partition {one.partition}: another hold has begun meanwhile; see: ebbtide outputs")


def _row(one: PartitionHold) -> tuple[object, ...]:
    body = one.body
    moves = ", ".join(
        f"{previous} → {current} {count:,}".replace("_", " ") for previous, current, count in body["transitions"][:3]
    )
    return (
        one.partition,
        f"{body['tripped_at'][:10]} {body['tripped_at'][11:16]}",
        f"{body['users']:,}",
        f"{body['changed']:,}",
        f"{one.share:.0%}",
        f"{body['outputs']:,}",
        moves,
        "held" if one.decision is None else f"{one.decision} is decided",
    )
