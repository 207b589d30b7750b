"""``ebbtide access``: what Kafka must allow a program, as commands for whoever administers it."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.access_list import WORKS, Role
from streams.cli.terminal import examples, say, settings_here


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "access",
        epilog=examples(
            ("for the workers' user", "ebbtide access worker --user shop-worker"),
            ("with a topic prefix", "EBBTIDE_TOPIC_PREFIX=eu. ebbtide access trainer --user trainer"),
            more="Each line calls Kafka's own tool; add --bootstrap-server and --command-config to it.",
        ),
    )(access)


def access(
    role: Annotated[Role, typer.Argument(help="Who works: one of the roles of SECURITY.md.")],
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its user on Kafka; else called as the role.")
    ] = None,
) -> None:
    """Print the least that Kafka must allow a role, with the topic names and the group of these settings.

    Kafka is not asked and nothing is changed.
    """
    from streams.access_list import access_list

    say(f"# {role.value}: {WORKS[role]}")
    for entry in access_list(role, settings_here()):
        say(entry.command(f"User:{user or role.value}"))
