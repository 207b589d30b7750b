"""``ebbtide trainer``: learns from outcomes, and publishes a model at the end of each event-time day."""

from __future__ import annotations

import typer

from streams.cli.terminal import examples


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "trainer",
        epilog=examples(
            ("one for all workers", "ebbtide trainer"),
            ("beside a worker on the same machine", "EBBTIDE_HTTP_PORT=6067 ebbtide trainer"),
            ("a small shop needs no process of its own", "ebbtide worker --trainer"),
            more="One trainer is enough; a second one writes the same models once more, which does no harm.",
        ),
    )(trainer)


def trainer() -> None:
    """Learn churn from scores whose outcome is known (topic training-examples), and publish daily models (model-cuts).

    Started again, it goes on where its last model says.
    """
    from streams.cli.terminal import settings_here
    from streams.live.serve import serve_trainer

    code = serve_trainer(settings_here())
    if code:
        raise typer.Exit(code)
