"""``make fuzz``: so many inputs over all targets, two at a time; nothing may raise, and every input is accounted for.

``python -m tests.fuzz.run --inputs 1000000 --seed 1``
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from streams.child_process import end_with_parent
from tests.fuzz.targets import SHARES

EVENTS: Final = "events"
SHOW_EVERY_S: Final = 15.0
ROOT: Final = Path(__file__).parents[2]


@dataclass
class Job:
    """One process of one target."""

    target: str
    runs: int
    seed: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    log: IO[bytes] | None = None

    def start(self) -> None:
        """Begin."""
        self.folder.mkdir(parents=True)
        self.log = (self.folder / "log").open("wb")
        command = [sys.executable, "-m", "tests.fuzz.runner", self.target, "--runs", str(self.runs)]
        command += ["--seed", str(self.seed), "--folder", str(self.folder)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=self.log, stderr=self.log, preexec_fn=end_with_parent(signal.SIGKILL)
        )

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.process is not None and self.process.poll() is None

    def report(self) -> dict[str, Any]:
        """What it said last."""
        path = self.folder / "report.json"
        if not path.exists():
            return {"runs": 0, "outcomes": {}, "failure": None}
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def failure(self) -> str | None:
        """Why it ended before its time, or None."""
        if self.process is None or self.process.returncode in (0, None):
            return None
        log = (self.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        words = "\n".join(line for line in log if not line.startswith(("INFO", "WARNING")))[-4_000:]
        said = self.report()["failure"] or f"it ended with {self.process.returncode}"
        return (
            f"{self.target}, seed {self.seed}: {said}\n{words}\nagain: {sys.executable} -m tests.fuzz.runner "
            f"{self.target} --folder {self.folder}/again --trail {self.folder}/trail"
        )


def jobs(inputs: int, seed: int, at_once: int, folder: Path) -> list[Job]:
    """Who tries how much; the largest target is cut so that every process has a part of it."""
    rest = {name: round(inputs * share) for name, share in SHARES.items() if name != EVENTS}
    events = inputs - sum(rest.values())
    parts = [events // at_once + (n < events % at_once) for n in range(at_once)]
    planned = [Job(EVENTS, runs, seed + n, folder / f"{EVENTS}-{n + 1}") for n, runs in enumerate(parts)]
    planned += [Job(name, runs, seed, folder / name) for name, runs in rest.items()]
    return [job for job in planned if job.runs]


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--inputs", type=int, default=1_000_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--processes", type=int, default=max(2, os.cpu_count() or 1))
    given = asked.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ebbtide-fuzz-"))
    planned = jobs(given.inputs, given.seed, given.processes, folder)
    began = time.monotonic()
    failures = _work(planned, given.processes, given.inputs, began)
    _table(planned)
    done = sum(job.report()["runs"] for job in planned)
    totals = _outcomes(planned, EVENTS)
    rejected = {word.removeprefix("rejected: "): n for word, n in totals.items() if word.startswith("rejected: ")}
    for failure in failures:
        print(f"\nFAILED {failure}")
    reasons = ", ".join(f"{word} {n:,}" for word, n in sorted(rejected.items(), key=lambda pair: -pair[1]))
    records = sum(totals.values())
    print(
        f"fuzz: {done:,} inputs in {time.monotonic() - began:.0f} s, {len(failures)} failures; of {records:,} records "
        f"{totals['accepted']:,} accepted, {totals['duplicate']:,} duplicates, {sum(rejected.values()):,} rejected "
        f"({reasons}); loaders read {done - records:,}"
    )
    if failures or done < given.inputs:
        return 1
    shutil.rmtree(folder)
    return 0


def _work(planned: list[Job], at_once: int, inputs: int, began: float) -> list[str]:
    waiting = list(planned)
    shown = 0.0
    while waiting or any(job.running for job in planned):
        while waiting and sum(job.running for job in planned) < at_once:
            waiting.pop(0).start()
        time.sleep(0.2)
        if time.monotonic() - shown > SHOW_EVERY_S:
            shown = time.monotonic()
            done = sum(job.report()["runs"] for job in planned)
            at_work = ", ".join(job.folder.name for job in planned if job.running)
            print(f"{time.monotonic() - began:5.0f} s  {done:>9,} of {inputs:,}  {at_work}", flush=True)
    return [failure for job in planned if (failure := job.failure()) is not None]


def _outcomes(planned: list[Job], target: str) -> Counter[str]:
    totals: Counter[str] = Counter()
    for job in planned:
        if job.target == target:
            totals.update(job.report()["outcomes"])
    return totals


def _table(planned: list[Job]) -> None:
    print(f"\n{'target':<18}{'inputs':>10}  outcomes")
    for name in SHARES:
        outcomes = _outcomes(planned, name)
        runs = sum(job.report()["runs"] for job in planned if job.target == name)
        shown = ", ".join(f"{word} {n:,}" for word, n in outcomes.most_common())
        print(f"{name:<18}{runs:>10,}  {shown}")
    print()


if __name__ == "__main__":
    sys.exit(main())
