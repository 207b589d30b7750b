"""``ebbtide demo``: everything at once, on one machine, in about a minute."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.terminal import examples, is_terminal, note, say, settings_here, stderr, stdout

if TYPE_CHECKING:
    from streams.demo.report import Section
    from streams.demo.run import Outcome
    from streams.demo.subject import Subject


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "demo",
        epilog=examples(
            ("a simulated shop, live in this terminal", "ebbtide demo"),
            ("another shop", "ebbtide demo --seed 8"),
            ("your own log", "ebbtide demo --events orders.parquet"),
            ("as plain text, to keep", "ebbtide demo > demo.txt"),
            more="It needs neither Kafka nor Docker, and leaves nothing behind: Ctrl-C ends it at any moment.",
        ),
    )(demo)


def demo(
    events: Annotated[
        list[Path] | None,
        typer.Option("--events", metavar="FILE", help="An event log of your own instead of the shop; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed is another shop.")] = 7,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=10, max=86_400, help="End after S seconds, however far it is.")
    ] = 75.0,
) -> None:
    """Watch Ebbtide at work: a shop's clicks, searches and purchases in, portraits and churn risks out.

    Starts a Kafka-compatible broker and a worker, publishes a simulated shop over half a year at hundreds of thousands
    times real speed, and shows who moves, who is about to leave and how good the predictions are. At the end all of it
    is held against what the simulator knows. With --events it is your own log, without a truth to compare with.
    """
    from streams.broker import broker_binary
    from streams.demo.interrupts import Interrupts
    from streams.demo.run import DemoRun
    from streams.demo.showing import LiveScreen, PlainLines

    broker_binary()  # said at once where it is missing
    subject = _subject(events or [], seed)
    last_words: list[str] = []
    with Interrupts() as interrupts:
        try:
            with LiveScreen(stdout()) if is_terminal() else PlainLines(_say_now) as showing:
                outcome = DemoRun(subject, showing, interrupts, most_seconds=seconds, complain=last_words.append).run()
        finally:
            for line in last_words:  # the screen is given back first
                note(line)
    _tell(subject, outcome, [str(path) for path in events or []], seconds)


def _subject(events: list[Path], seed: int) -> Subject:
    from rich.markup import escape

    from streams.demo.subject import own_logs, simulated

    settings = settings_here()
    doing = f"reading {', '.join(path.name for path in events)}" if events else "simulating half a year of a shop"
    with stderr().status(f"{escape(doing)} ...") if is_terminal() else nullcontext():
        if events:
            return own_logs(events, settings, note, time.time_ns() // 1_000_000)
        return simulated(seed)


def _tell(subject: Subject, outcome: Outcome, own: list[str], seconds: float) -> None:
    from dataclasses import replace

    from streams.demo.books import books
    from streams.demo.report import closing
    from streams.demo.run import enough, where_next
    from streams.demo.story import story, typical
    from streams.demo.verdict import verdict

    state, shop = outcome.state, subject.shop
    found = None if shop is None else verdict(shop.truth, state.history)
    caught = None if found is None else typical(found)
    newest = state.progress.newest_ms or subject.span[0]
    sections = closing(
        outcome.status,
        replace(outcome.view, changes=state.last_changes(6)),
        verdict=found,
        entries=books(shop, state) if shop is not None and outcome.complete else [],
        span=subject.span if outcome.complete else (subject.span[0], newest),
        stories=[] if caught is None else [story(caught, state.history)],
        where_next=where_next(own),
    )
    _print(sections)
    if not outcome.complete:
        done = state.progress.read / outcome.status.rows
        note(f"The time was up at {done:.0%} of the records; --seconds {enough(seconds, done)} should do for the rest.")


def _print(sections: list[Section]) -> None:
    console = stdout() if is_terminal() else None
    for section in sections:
        say()
        if console is None:
            say(section.title)
        else:
            console.print(section.title, style="bold blue", markup=False)
        for line in section.lines:
            for part in [line] if console is None else _wrapped(line, console.width - 2):
                say(f"  {part}")


def _wrapped(line: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters, the further ones indented beneath the first."""
    indent = len(line) - len(line.lstrip()) + 4
    return wrap(line, max(width, 20), subsequent_indent=" " * indent) or [line]


def _say_now(line: str) -> None:
    say(line)
    stdout().file.flush()
