"""One run of one rival: its process on a core of its own, followed from its first event to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streams.child_process import end_with_parent
from tests.bench.live_processes import confined
from tests.bench.measuring import BenchmarkFailed, Run
from tests.bench.rivals.assignment import Assignment, Mark, marks_in

ROOT: Final = Path(__file__).resolve().parents[3]
LOOK_EVERY_S: Final = 0.05
END_WITHIN_S: Final = 60.0
"""How long a rival may take to flush, commit and leave after its last event."""


def race(command: Sequence[str | Path], assignment: Assignment, core: int, log: Path, *, within_s: float) -> Run:
    """Run a rival to its end.

    Parameters
    ----------
    command
        What runs it; the assignment's path is put behind it.
    assignment
        What it is to do.
    core
        Where it may run, all of its threads.
    log
        Where its output goes.
    within_s
        How long it may take.

    Raises
    ------
    BenchmarkFailed
        It ended before all was applied, or took too long; ends with its last words.
    """
    path = log.with_suffix(".json")
    assignment.write(path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    with confined({core}), log.open("wb") as output:
        process = subprocess.Popen(
            [*(str(part) for part in command), str(path)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGKILL),
        )
    try:
        peak_mb = _followed(process, Path(assignment.marks), assignment.total, within_s)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    marks = marks_in(Path(assignment.marks))
    if not marks or marks[-1].applied < assignment.total:
        applied = marks[-1].applied if marks else 0
        words = log.read_text(errors="replace")[-3_000:]
        came = f"{applied} of {assignment.total} events within {within_s:g} s"
        raise BenchmarkFailed(f"{log.stem} applied {came}:\n{words}")
    return run_of(marks, assignment.total, peak_mb)


def run_of(marks: Sequence[Mark], total: int, peak_mb: float) -> Run:
    """The figures of a run, from what it told.

    The whole: CPU from before the first event until everything is flushed and committed, events a second until the last
    one was applied. The steady part: the second half of the events, so without start and warm-up, but also without
    what is left to flush in the end.

    >>> marks = [Mark(0, 1.0, 5.0), Mark(50, 3.0, 6.0), Mark(100, 4.0, 6.5), Mark(100, 4.5, 6.6, ended=True)]
    >>> run = run_of(marks, 100, 10.0)
    >>> round(run.cpu_s, 6), run.seconds, run.more["steady_cpu_us"], run.more["steady_per_s"]
    (1.6, 3.0, 10000.0, 50.0)
    """
    first = marks[0]
    half = next(mark for mark in marks if 2 * mark.applied >= total)
    last = next(mark for mark in marks if mark.applied >= total)
    more = {"start_cpu_s": first.cpu_s}
    if events := last.applied - half.applied:
        more["steady_cpu_us"] = (last.cpu_s - half.cpu_s) / events * 1e6
        more["steady_per_s"] = events / (last.at_s - half.at_s)
    return Run(total, last.at_s - first.at_s, marks[-1].cpu_s - first.cpu_s, peak_mb, more)


def _followed(process: subprocess.Popen[bytes], marks: Path, total: int, within_s: float) -> float:
    """Wait for its end, or end it where it takes too long; its highest resident memory in MiB.

    What the kernel accounts to an ended child will not do: it begins with the memory of who forked it.
    """
    until = time.monotonic() + within_s
    applied, peak = False, 0.0
    while process.poll() is None:
        peak = max(peak, _peak_mb(process.pid))
        if not applied and (told := marks_in(marks)) and told[-1].applied >= total:
            applied, until = True, time.monotonic() + END_WITHIN_S
        if time.monotonic() > until:
            process.kill()
        time.sleep(LOOK_EVERY_S)
    return peak


def _peak_mb(pid: int) -> float:
    """0 where it is about to begin, or has ended and nobody has asked for its exit code yet."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
