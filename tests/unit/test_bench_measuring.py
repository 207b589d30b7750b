"""How benchmarks are measured: medians, turns, and processes as the kernel accounts for them."""

from __future__ import annotations

import os
import sys

import pytest

from tests.bench.measuring import BenchmarkFailed, Pinned, Result, Run, cores, finished, here, interleaved

BUSY = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
HOLDING = "import time\nheld = b'x' * (200 << 20)\ntime.sleep(1)\n"


def runs(*cpu_s: float) -> tuple[Run, ...]:
    return tuple(Run(1_000, 2 * seconds, seconds, 10.0, {"p99_ms": seconds * 1_000}) for seconds in cpu_s)


def test_cpu_is_told_in_microseconds_an_event() -> None:
    assert Run(1_000, 4.0, 0.025, 0.0).cpu_us == pytest.approx(25)


def test_throughput_is_of_wall_time() -> None:
    assert Run(1_000, 4.0, 0.025, 0.0).per_second == pytest.approx(250)


def test_a_figure_is_the_median_of_its_runs() -> None:
    assert Result("b", "c", "w1", runs(0.1, 0.9, 0.2)).figure("cpu_us") == pytest.approx(200)


def test_a_further_figure_is_the_median_of_its_runs() -> None:
    assert Result("b", "c", "w1", runs(0.1, 0.9, 0.2)).figure("p99_ms") == pytest.approx(200)


def test_the_body_holds_every_run() -> None:
    assert [run["cpu_s"] for run in Result("b", "c", "w1", runs(0.1, 0.9, 0.2)).body()["runs"]] == [0.1, 0.9, 0.2]


def test_candidates_take_turns() -> None:
    heard: list[str] = []
    candidates = {"one": lambda: Run(1, 1, 1, 1), "other": lambda: Run(1, 1, 1, 1)}
    interleaved("b", "w1", candidates, 2, heard.append)
    assert [line.split(": ")[1] for line in heard] == [
        "one, run 1 of 2",
        "other, run 1 of 2",
        "one, run 2 of 2",
        "other, run 2 of 2",
    ]


def test_each_candidate_keeps_its_own_runs() -> None:
    results = interleaved("b", "w1", {"one": lambda: Run(1, 1, 1, 1), "other": lambda: Run(2, 1, 1, 1)}, 3, print)
    assert [(result.candidate, len(result.runs), result.runs[0].events) for result in results] == [
        ("one", 3, 1),
        ("other", 3, 2),
    ]


def test_a_finished_process_is_charged_its_own_cpu() -> None:
    run, _ = finished([sys.executable, "-c", BUSY], cores()[:1], 10)
    assert run.cpu_s >= 0.3


def test_a_finished_process_tells_its_peak_of_memory() -> None:
    run, _ = finished([sys.executable, "-c", HOLDING], cores()[:1], 10)
    assert run.peak_mb > 200


def test_a_finished_process_is_not_charged_the_memory_of_whoever_started_it() -> None:
    ballast = b"x" * (300 << 20)
    run, _ = finished([sys.executable, "-c", "import time; time.sleep(0.1)"], cores()[:1], 10)
    assert run.peak_mb < len(ballast) >> 20


def test_a_finished_process_gives_what_it_printed() -> None:
    _, printed = finished([sys.executable, "-c", "print('done')"], cores()[:1], 10)
    assert printed == "done\n"


def test_a_finished_process_ran_on_its_core_alone() -> None:
    allowed = cores()[1]
    _, printed = finished(
        [sys.executable, "-c", "import os, time; time.sleep(0.2); print(os.sched_getaffinity(0))"], [allowed], 10
    )
    assert printed == f"{ {allowed} }\n"


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(BenchmarkFailed, match="no such log"):
        finished([sys.executable, "-c", "raise SystemExit('no such log')"], cores()[:1], 10)


def test_a_pinned_process_is_ended_on_leaving() -> None:
    with Pinned([sys.executable, "-c", "import time; time.sleep(60)"], cores()[:1]) as pinned:
        pid = pinned.running.pid
        assert os.sched_getaffinity(pid) == {cores()[0]}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_work_in_this_process_is_measured_with_what_it_returns() -> None:
    run = here(5, lambda: {"users": 3.0})
    assert (run.events, run.more) == (5, {"users": 3.0})
