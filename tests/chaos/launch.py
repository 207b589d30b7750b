"""``python -m tests.chaos.launch worker|trainer …``: the program itself, with what a chaos run needs to look into it.

SIGUSR1 dumps the stacks of all threads, SIGUSR2 those of all tasks. A trainer that finds the file ``CHAOS_DIE_IN_CUT``
names kills itself with SIGKILL at its next cut: before sending it, or after, as the file says.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from streams.cli import main as program
from streams.live.trainer_loop import TrainerLoop

DIE_IN_CUT = "CHAOS_DIE_IN_CUT"


def show_tasks(number: int, frame: FrameType | None) -> None:
    """The stacks of all tasks, on standard error."""
    try:
        tasks = asyncio.all_tasks(asyncio.get_running_loop())
    except RuntimeError:
        print("no event loop runs here", file=sys.stderr, flush=True)
        return
    for task in tasks:
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


def die_in_cut(order: Path) -> None:
    """Let the trainer of this process die in the middle of a cut, once the order is there."""
    publish = TrainerLoop._publish

    async def publish_and_die(self: TrainerLoop, records: Sequence[dict[str, Any]]) -> None:
        cuts = any(record["type"] != "frontier" for record in records)
        when = order.read_text() if cuts and order.exists() else ""
        if when:
            order.unlink()
            if when == "after":
                await publish(self, records)
            os.kill(os.getpid(), signal.SIGKILL)
        await publish(self, records)

    TrainerLoop._publish = publish_and_die  # type: ignore[method-assign]


def main() -> None:
    """The process."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGUSR2, show_tasks)
    if DIE_IN_CUT in os.environ:
        die_in_cut(Path(os.environ[DIE_IN_CUT]))
    program()


if __name__ == "__main__":
    main()
