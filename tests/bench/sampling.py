"""Where a process spends its CPU: stacks sampled from outside by py-spy (dependency group ``bench``)."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Skipped
from tests.bench.measuring import cores, finished

RATE_HZ: Final = 200
_LINE: Final = re.compile(r":\d+\)$")
Stack = tuple[str, ...]
"""Frames from the outermost on, as ``function (path/of/module.py)``."""


def sampled(command: Sequence[str | Path], folded: Path) -> Counter[Stack]:
    """Run a command to its end and tell in how many samples each stack was found on the CPU.

    The sampler has another core than the command: on the same one it would wake up when the command waits.

    Parameters
    ----------
    command
        What to run: a Python, first of all.
    folded
        Where the samples are put: a line for each stack, as flame graphs are made of.

    Raises
    ------
    Skipped
        py-spy is not installed.
    """
    tested, beside = cores()
    finished([*recording(folded), "--", "taskset", "--cpu-list", str(tested), *command], [beside], 1)
    return stacks(folded)


def recording(folded: Path, rate_hz: int = RATE_HZ) -> list[str | Path]:
    """The command that samples, but for what it is to look at.

    Raises
    ------
    Skipped
        py-spy is not installed.
    """
    spy = Path(sys.executable).with_name("py-spy")
    if not spy.is_file():
        raise Skipped("py-spy is not installed: `make bench` installs requirements-bench.lock")
    return [spy, "record", "--format", "raw", "--rate", str(rate_hz), "--output", folded]


def stacks(folded: Path) -> Counter[Stack]:
    """Read folded stacks, lines of one function taken together.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "stacks"
    >>> _ = path.write_text("main (a.py:1);work (b.py:2) 3\\nmain (a.py:1);work (b.py:5) 4\\n")
    >>> stacks(path)
    Counter({('main (a.py)', 'work (b.py)'): 7})
    """
    found: Counter[Stack] = Counter()
    for line in folded.read_text(encoding="utf-8").splitlines():
        frames, samples = line.rsplit(" ", 1)
        found[tuple(_LINE.sub(")", frame) for frame in frames.split(";"))] += int(samples)
    return found


def module_of(frame: str) -> str:
    """The file of a frame, without folder and ending.

    Examples
    --------
    >>> module_of("apply (streams/core/fold.py)"), module_of("<module>")
    ('fold', '')
    """
    _, _, path = frame.rpartition("(")
    return Path(path.rstrip(")")).stem if path != frame else ""
