"""A backfill on Ray: the same folder for any number of workers, killed or not, and no memory for the log itself."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from streams.codec import encode
from tests.bench.reference_logs import W3, rows
from tests.support.result_folders import digests
from tests.support.shared_logs import real_log

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
WORKER: Final = "ray::BackfillWorker"
MEGABYTES: Final = 1024


class Backfill:
    """``ebbtide backfill`` in a process of its own."""

    def __init__(self, log: Path, out: Path, *options: str) -> None:
        command = [sys.executable, "-m", "streams.cli", "backfill", str(log), "--out", str(out), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.peak_worker_kb = 0

    def running(self) -> bool:
        state = _read(self._process.pid, "stat").rpartition(")")[2].split()
        return bool(state) and state[0] != "Z"

    def workers(self) -> list[int]:
        """Processes of its Ray workers."""
        return [pid for pid in _descendants(self._process.pid) if _command(pid).startswith(WORKER)]

    def watch(self) -> None:
        """Take note of how much memory its workers have had."""
        for pid in self.workers():
            self.peak_worker_kb = max(self.peak_worker_kb, _peak_kb(pid))

    def kill_a_worker(self, *, after_cpu_s: float) -> None:
        """Kill a worker that has worked for so long."""
        while self.running():
            for pid in self.workers():
                if _cpu_s(pid) > after_cpu_s:
                    os.kill(pid, signal.SIGKILL)
                    return
            time.sleep(0.05)
        told = self.ended()
        pytest.fail(f"it ended before a worker had worked that long: {told}")

    def ended(self) -> str:
        """What it said, once it has ended well."""
        _, told = self._process.communicate()
        assert self._process.returncode == 0, told
        return told

    def peak_kb(self) -> int:
        """The most memory the process itself had; it ends."""
        assert self._process.stderr is not None
        told = self._process.stderr.read()
        self._process.stderr.close()
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        assert self._process.returncode == 0, told
        return usage.ru_maxrss


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:  # the thread has ended
            continue
        for child in children:
            yield child
            yield from _descendants(child)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:  # it has ended
        return ""


def _command(pid: int) -> str:
    return _read(pid, "cmdline")


def _cpu_s(pid: int) -> float:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _peak_kb(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", _read(pid, "status"))
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference log: 5 % out of order, 2 % repeats."""
    path = tmp_path_factory.mktemp("log") / "w3.jsonl"
    with path.open("wb") as lines:
        lines.writelines(encode(row, newline=True) for row in rows(W3.scaled(100_000)))
    return path


@pytest.fixture(scope="module")
def alone(log: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process leaves of it."""
    out = tmp_path_factory.mktemp("alone") / "out"
    Backfill(log, out).ended()
    return digests(out)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_on_ray_leave_what_one_process_leaves(
    log: Path, alone: dict[str, str], tmp_path: Path, workers: int
) -> None:
    Backfill(log, tmp_path / "out", "--workers", str(workers)).ended()
    assert digests(tmp_path / "out") == alone


@pytest.mark.data
def test_a_real_log_comes_to_the_same(tmp_path: Path) -> None:
    log = real_log("bestbuy_dev")
    Backfill(log, tmp_path / "one").ended()
    Backfill(log, tmp_path / "two", "--workers", "2").ended()
    assert digests(tmp_path / "two") == digests(tmp_path / "one")


def test_a_killed_worker_is_begun_anew_and_nothing_is_different(
    log: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    run = Backfill(log, tmp_path / "out", "--workers", "2")
    run.kill_a_worker(after_cpu_s=2.5)
    told = run.ended()
    assert len(re.findall(r"worker \d ended \(.*\); begun anew, \d+ turns are done again \(try 1 of 3\)", told)) == 1
    assert digests(tmp_path / "out") == alone


# -- memory ----------------------------------------------------------------------------------------------------------


def spacious(path: Path, events: int, *, shuffled: bool = False) -> Path:
    """A log of 1,000 users whose lines take 1.3 kB each; ``shuffled`` puts some of them a day too early."""
    dice, at = random.Random(3), 1_700_000_000_000
    words = ["".join(dice.choices("abcdefgh", k=120)) for _ in range(40)]
    with path.open("w") as lines:
        for number in range(events):
            at += 30_000
            row = {
                "event_type": "click",
                "user_id": f"u{dice.randrange(1_000)}",
                "ts": at - (dice.randrange(86_400_000) if shuffled and number % 50 == 0 else 0),
                "action": "view",
                "item_id": f"{dice.choice(words)}{number}",
                "category": dice.choice(words),
                "session_id": dice.choice(words),
                "note": dice.choice(words) * 7,
            }
            lines.write(json.dumps(row) + "\n")
    return path


Peak = Callable[[Path, Path], tuple[int, int]]


def alone_peak(log: Path, out: Path) -> tuple[int, int]:
    """Peak memory of a run in one process, kB."""
    return Backfill(log, out).peak_kb(), 0


def shared_peak(log: Path, out: Path) -> tuple[int, int]:
    """Peak memory of a run with two workers, kB: the reader's, and the larger worker's."""
    run = Backfill(log, out, "--workers", "2")
    while run.running() and not run.workers():
        time.sleep(0.1)
    while run.workers():
        run.watch()
        time.sleep(0.2)
    return run.peak_kb(), run.peak_worker_kb


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "out of order"])
@pytest.mark.parametrize("peak", [alone_peak, shared_peak], ids=["one process", "two workers"])
def test_a_long_log_takes_little_more_memory_than_a_short_one(tmp_path: Path, peak: Peak, shuffled: bool) -> None:
    short = spacious(tmp_path / "short.jsonl", 15_000)
    long = spacious(tmp_path / "long.jsonl", 150_000, shuffled=shuffled)
    headroom_kb = 64 * MEGABYTES
    assert long.stat().st_size > 2.5 * headroom_kb * 1024
    first, second = peak(short, tmp_path / "a"), peak(long, tmp_path / "b")
    print(f"short {first}, long {second} kB; the log {long.stat().st_size >> 10} kB")
    assert second[0] < first[0] + headroom_kb
    assert second[1] < first[1] + headroom_kb
