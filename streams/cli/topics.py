"""``ebbtide topics``: what is on the broker, held against the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.terminal import examples, note, say, settings_here, table

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.topic_states import TopicState


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "topics",
        epilog=examples(
            ("what is there, and whether it fits", "ebbtide topics"),
            ("create what is missing", "ebbtide topics --create"),
            ("with more partitions", "EBBTIDE_PARTITIONS=32 ebbtide topics --create"),
            ("for a script", "ebbtide topics --json"),
            more="The exit code is 1 where a topic is missing or does not fit.",
        ),
    )(topics)


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the topics that are missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a topic and line.")] = False,
) -> None:
    """List the topics on the broker, and what does not fit.

    Partition count, cleanup policy and compaction lag must fit; retention is yours to change. Creating is safe to
    repeat, and for several at once.
    """
    from streams.provisioning import describe, ensure_topics
    from streams.topic_states import refuse_misfits

    settings = settings_here()
    if create:
        for name in ensure_topics(settings):
            note(f"created {name}")
    states = describe(settings)
    if as_json:
        _print_json(states, settings)
    else:
        rows = [
            (
                state.name,
                state.partitions or None,
                state.replication_factor or None,
                _kept(state),
                _verdict(state, settings),
            )
            for state in states
        ]
        table(("topic", "partitions", "copies", "kept", "state"), rows)
    refuse_misfits(states, settings)


def _verdict(state: TopicState, settings: Settings) -> str:
    if not state.exists:
        return "missing"
    return ", ".join(state.differences(settings)) or ", but ".join(("ok", *state.cautions))


def _kept(state: TopicState) -> str:
    from streams.core.events import DAY_MS
    from streams.topics import Cleanup

    if state.topic.cleanup is Cleanup.COMPACT:
        return "newest of each key"
    retention = state.config.get("retention.ms")
    if retention is None:
        return "" if not state.exists else "not reported"
    return "for ever" if retention == "-1" else f"{int(retention) / DAY_MS:g} d"


def _print_json(states: list[TopicState], settings: Settings) -> None:
    from streams.codec import encode

    for state in states:
        body = {
            "topic": state.name,
            "id": state.id,
            "partitions": state.partitions,
            "replication_factor": state.replication_factor,
            "config": {name: state.config[name] for name in state.topic.config(settings) if name in state.config},
            "purpose": state.topic.purpose,
            "state": _verdict(state, settings),
        }
        say(encode(body).decode())
