"""``ebbtide broker``: the embedded broker in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.terminal import examples, note


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "broker",
        epilog=examples(
            ("at 127.0.0.1:9092, where everything looks for it", "ebbtide broker"),
            ("elsewhere; then EBBTIDE_BROKERS=127.0.0.1:9192", "ebbtide broker --port 9192"),
            ("in a second terminal: the topics", "ebbtide topics --create"),
        ),
    )(broker)


def broker(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes any free port.", min=0, max=65_535)] = 9092,
    log: Annotated[Path | None, typer.Option(help="Append the broker's own output to this file.")] = None,
) -> None:
    """Run a Kafka-compatible broker here, until Ctrl-C.

    It needs neither Java nor Docker, lives in memory, and forgets everything when it stops: for trying things out. For
    real work name your Kafka with EBBTIDE_BROKERS.
    """
    from streams.broker import EmbeddedBroker
    from streams.core.errors import BrokerError

    with EmbeddedBroker(port, log) as running:
        note(f"The embedded broker answers at {running.brokers} (in memory). Ctrl-C stops it.")
        code = running.wait()
        raise BrokerError(f"The embedded broker ended by itself with code {code}: {running.last_words()}")
