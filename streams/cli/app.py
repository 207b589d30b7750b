"""One program: its commands, and what every one of them does with an error, Ctrl-C and a closed pipe.

Exit codes: 0 done, 1 failed, 2 used or set wrongly, 130 Ctrl-C, 143 SIGTERM. An error that a user can mend is one line
on standard error; anything else is a bug of ours and ends with its traceback.

Each command has a module of its own here, whose ``register(app)`` adds it. Such a module imports what is heavy inside
its functions, so that ``ebbtide --help`` stays quick.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer

from streams.cli.terminal import complain, examples, is_terminal, note, say
from streams.core.errors import EbbtideError

COMMANDS: Final = (
    "demo",
    "broker",
    "topics",
    "access",
    "state",
    "publish",
    "worker",
    "trainer",
    "backfill",
    "bootstrap",
    "replay",
    "diff",
    "policy",
    "profile",
    "model",
    "scorecard",
    "dead_letters",
    "outputs",
)
"""Modules of :mod:`streams.cli` in the order of ``ebbtide --help``."""

CTRL_C: Final = 130
TERMINATED: Final = 143
CLOSED_PIPE: Final = 141


def build() -> typer.Typer:
    """The program with all its commands; boxes and colours in the help only where a person reads it."""
    app = typer.Typer(
        name="ebbtide",
        help="Customer portraits and churn risk from Kafka, in real time, learned online.",
        epilog=examples(
            ("see it work, with a simulated shop", "ebbtide demo"),
            ("portraits and risks from a file, without Kafka", "ebbtide backfill orders.parquet --out out"),
            ("a Kafka of your own: topics, then a worker", "ebbtide topics --create"),
            ("", "ebbtide worker"),
            ("what a command does and takes", "ebbtide backfill --help"),
            more="Settings: EBBTIDE_* variables over ebbtide.toml; an unknown one is refused with the list.",
        ),
        add_completion=False,
        rich_markup_mode="rich" if is_terminal() else None,
        pretty_exceptions_enable=False,  # a bug shows its plain traceback
    )
    app.callback()(_options)
    for name in COMMANDS:
        importlib.import_module(f"streams.cli.{name}").register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``ebbtide`` and end the process with its exit code.

    Parameters
    ----------
    arguments
        Without the program's name; those of the process by default.
    """
    _quieten_libraries()
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(_run(sys.argv[1:] if arguments is None else list(arguments)))
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments: list[str]) -> int:
    try:
        command = typer.main.get_command(build())
        code = command.main(args=arguments or ["--help"], prog_name="ebbtide", standalone_mode=False)
        sys.stdout.flush()
    except EbbtideError as error:
        complain(str(error))
        return error.exit_code
    except typer.TyperException as error:
        return _misused(error)
    except (KeyboardInterrupt, typer.Abort):
        code = CTRL_C
    except BrokenPipeError:
        # Whoever read us has enough (`ebbtide ... | head`); Python must not complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    if code == CTRL_C:  # typer gives the code of an interrupted command as it gives any other
        complain("interrupted", label="")
    return code if isinstance(code, int) else 0


def _misused(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message().strip()
    if message.startswith("Usage:"):
        note(message)  # a group without its command: what it offers
    elif message:
        path = context.command_path if context else "ebbtide"
        complain(f"{message if message[-1] in '.?!' else message + '.'} See: {path} --help")
    return error.exit_code


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"ebbtide {version('ebbtide')}")
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options before the command."""


def _quieten_libraries() -> None:
    """Kafka clients log what we catch and put into words; a command that wants their logs adds a handler."""
    for name in ("kafka", "aiokafka"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def _terminated(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)  # through every finally, so that what we started is stopped
