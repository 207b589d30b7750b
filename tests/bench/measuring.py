"""How a benchmark is measured: own cores, CPU and memory as Linux counts them, interleaved runs."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
CPU_US: Final = "cpu_us"
_LOOK_EVERY_S: Final = 0.02
_PACKAGES: Final = ("faust-streaming", "aiokafka", "river", "msgspec", "orjson", "rocksdict", "quixstreams", "bytewax")


class BenchmarkFailed(AssertionError):
    """What was to be measured did not work."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one candidate."""

    events: int
    seconds: float
    cpu_s: float
    """User and system time of the process under test, its children included."""
    peak_mb: float
    """Highest resident memory."""
    more: dict[str, float] = field(default_factory=dict)
    """What this benchmark measures besides; names end in their unit."""

    @property
    def per_second(self) -> float:
        """Events a second of wall time."""
        return self.events / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float:
        """CPU microseconds an event."""
        return self.cpu_s / self.events * 1e6


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of one candidate on one log."""

    benchmark: str
    candidate: str
    log: str
    runs: tuple[Run, ...]
    compared: str = CPU_US
    """The figure that ratios within one benchmark and log are made of: CPU, a name in ``more``, or none."""

    def figure(self, name: str) -> float:
        """A median by name: ``cpu_us``, ``per_second``, ``peak_mb``, ``seconds``, or one of ``more``."""
        if name in self.runs[0].more:
            return self.median(lambda run: run.more[name])
        return self.median(lambda run: float(getattr(run, name)))

    def median(self, of: Callable[[Run], float]) -> float:
        """The median over the runs."""
        return statistics.median(map(of, self.runs))

    def body(self) -> dict[str, Any]:
        """JSON-ready, with the medians."""
        return {
            "benchmark": self.benchmark,
            "candidate": self.candidate,
            "log": self.log,
            "events": self.runs[0].events,
            "events_per_s": self.figure("per_second"),
            "cpu_us_per_event": self.figure(CPU_US),
            "peak_mb": self.figure("peak_mb"),
            "more": {name: self.figure(name) for name in self.runs[0].more},
            "compared": self.compared,
            "runs": [asdict(run) for run in self.runs],
        }


def interleaved(
    benchmark: str,
    log: str,
    candidates: Mapping[str, Callable[[], Run]],
    repeats: int,
    heard: Callable[[str], None],
    *,
    compared: str = CPU_US,
) -> list[Result]:
    """Run all candidates in turn, as often as asked: a machine that slows down slows all of them.

    Parameters
    ----------
    benchmark, log
        What is measured, on what.
    candidates
        By name, what makes one run; ratios are against the first.
    repeats
        Runs of each.
    heard
        Told before every run.
    compared
        See :class:`Result`.
    """
    runs: dict[str, list[Run]] = {name: [] for name in candidates}
    for number in range(1, repeats + 1):
        for name, run in candidates.items():
            heard(f"{benchmark} {log}: {name}, run {number} of {repeats}")
            runs[name].append(run())
    return [Result(benchmark, name, log, tuple(found), compared) for name, found in runs.items()]


class Pinned:
    """A process on given cores, watched from outside; it is ended on leaving.

    Parameters
    ----------
    command
        What to start.
    cores
        The cores that it may run on.
    environment
        Added to ours.
    log
        Where its output goes.
    """

    def __init__(
        self,
        command: Sequence[str],
        cores: Iterable[int],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self._command, self._cores = list(command), set(cores)
        self._environment = {**os.environ, **(environment or {})}
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Pinned:
        with (self._log or Path(os.devnull)).open("wb") as out:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        os.sched_setaffinity(self.process.pid, self._cores)
        return self

    def __exit__(self, *_: object) -> None:
        process = self.running
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self.process is not None, "enter the context first"
        return self.process

    def cpu_s(self) -> float:
        """CPU seconds so far, of it and of children that have ended."""
        return cpu_seconds(self.running.pid)

    def peak_mb(self) -> float:
        """Highest resident memory so far, MiB."""
        return peak_mb(self.running.pid)


def cpu_seconds(pid: int | str = "self") -> float:
    """User and system time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS


def peak_mb(pid: int | str = "self") -> float:
    """Highest resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0  # a process that has ended holds none


def finished(
    command: Sequence[str | Path],
    cores: Iterable[int],
    events: int,
    *,
    environment: Mapping[str, str] | None = None,
) -> tuple[Run, str]:
    """Run a command to its end on given cores: what it took as the kernel accounts for it, and its standard output.

    Raises
    ------
    BenchmarkFailed
        It ended with another code than 0.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], env={**os.environ, **(environment or {})}, stdout=out, stderr=told
        )
        os.sched_setaffinity(process.pid, set(cores))
        highest, ended = 0.0, 0
        while not ended:
            # Not ru_maxrss: what is forked from a large process is charged that one's memory, even after exec.
            highest = max(highest, peak_mb(process.pid))
            time.sleep(_LOOK_EVERY_S)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise BenchmarkFailed(f"{command} ended with {process.returncode}: {told.read().decode(errors='replace')}")
        out.seek(0)
        printed = out.read().decode()
    return Run(events, seconds, usage.ru_utime + usage.ru_stime, highest), printed


def here(events: int, work: Callable[[], dict[str, float] | None]) -> Run:
    """Measure work in this process; what it returns is kept besides.

    Examples
    --------
    >>> here(1_000, lambda: {"users": 2.0}).more
    {'users': 2.0}
    """
    cpu, began = time.process_time(), time.perf_counter()
    more = work() or {}
    return Run(events, time.perf_counter() - began, time.process_time() - cpu, peak_mb(), more)


def cores() -> tuple[int, int]:
    """The core of what is measured, and that of everything beside it."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def machine() -> dict[str, Any]:
    """What all this runs on, and how busy it is now."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kb / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "load": round(os.getloadavg()[0], 2),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
