"""The demo as it is run: to its end, interrupted, with a worker that dies, over somebody's own log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.demo.books import books
from streams.demo.interrupts import Interrupts
from streams.demo.run import DemoRun, Outcome
from streams.demo.shop import Shop
from streams.demo.shop_log import write_log
from streams.demo.showing import PlainLines
from streams.demo.subject import simulated
from streams.demo.verdict import verdict

pytestmark = pytest.mark.slow


class Demo:
    """``ebbtide demo`` as a process; everything it starts and writes can be told from everybody else's."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = folder / "demo.log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("EBBTIDE_")}
        self.marker = f"DEMO_OF={folder}"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "demo", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environ, "TMPDIR": str(folder), "DEMO_OF": str(folder)},
                start_new_session=True,
            )

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def children(self) -> dict[int, str]:
        """Processes of this demo but itself: by the folder that their command or environment names."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.process.pid:
                continue
            try:
                parent = re.search(r"^PPid:\s+(\d+)$", (entry / "status").read_text(), re.MULTILINE)
                environ = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it ended meanwhile
                continue
            if (parent and int(parent[1]) == self.process.pid) or str(self.folder).encode() in environ:
                found[int(entry.name)] = command
        return found

    def left(self) -> list[str]:
        """Files and folders that it made and did not take away."""
        return sorted(path.name for path in self.folder.iterdir() if path != self.log)


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Demo]:
    demo = Demo(folder, *arguments)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
        demo.process.wait()


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")


@on_linux
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting the embedded broker", signal.SIGINT),
        ("publishing begins", signal.SIGTERM),
        ("joins its group", signal.SIGHUP),
        ("/s, lag", signal.SIGINT),
    ],
)
def test_interrupted_it_leaves_nothing(moment: str, number: signal.Signals, tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for(moment)
        demo.process.send_signal(number)
        assert demo.process.wait(30) == 128 + number
        assert demo.children() == {}
        assert demo.left() == []


@on_linux
def test_ctrl_c_twice_leaves_nothing_either(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for("publishing begins")
        demo.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(30) in (130, -signal.SIGINT)  # the second may come when all that is left is to exit
        assert demo.children() == {}
        assert demo.left() == []


@on_linux
def test_killed_it_leaves_no_process(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for("publishing begins")
        assert any("streams.demo.feed" in command for command in demo.children().values())
        demo.process.kill()
        demo.process.wait()
        until = time.monotonic() + 20
        while demo.children() and time.monotonic() < until:
            time.sleep(0.1)
        assert demo.children() == {}


def one_of(demo: Demo, sought: str) -> int:
    (pid,) = [pid for pid, command in demo.children().items() if sought in command]
    return pid


@on_linux
def test_a_worker_that_dies_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for("joins its group")
        (log,) = tmp_path.glob("ebbtide-demo-*")
        until = time.monotonic() + 30
        while "Metrics" not in (log / "worker.log").read_text() and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(one_of(demo, " worker --clock"), signal.SIGKILL)
        assert demo.process.wait(30) == 1
        said = demo.log.read_text()
        assert re.search(r"^the worker: .*Metrics, /healthz and /readyz at", said, re.MULTILINE)
        assert said.endswith("error: The worker ended before its time, with code -9. The end of its log is above.\n")
        assert demo.children() == {}
        assert demo.left() == []


@on_linux
def test_a_broker_that_dies_is_told(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for("publishing begins")
        os.kill(one_of(demo, " broker --listener-url"), signal.SIGKILL)
        assert demo.process.wait(30) == 1
        assert "error: The embedded broker ended before its time." in demo.log.read_text()
        assert demo.children() == {}
        assert demo.left() == []


def test_somebodys_own_log_is_read_to_its_end(tmp_path: Path) -> None:
    shop = Shop(seed=3, days=40, users=60)
    log = tmp_path / "own.jsonl"
    write_log(shop, log)
    folder = tmp_path / "run"
    folder.mkdir()
    with running(folder, "--events", str(log)) as demo:
        assert demo.process.wait(90) == 0, demo.log.read_text()
        said = demo.log.read_text()
    assert f"{shop.truth.records:,} of {shop.truth.records:,} records read" in said
    assert "What happened: own.jsonl" in said
    assert "Held against the truth" not in said
    assert "\x1b" not in said
    assert demo.left() == []


def test_out_of_time_it_reports_how_far_it_came(tmp_path: Path) -> None:
    with running(tmp_path, "--seconds", "10") as demo:
        assert demo.process.wait(60) == 0, demo.log.read_text()
        said = demo.log.read_text()
    assert "The time was up at" in said
    assert "Every record is there" not in said
    assert demo.left() == []


def test_a_missing_log_is_one_line(tmp_path: Path) -> None:
    with running(tmp_path, "--events", str(tmp_path / "none.parquet")) as demo:
        assert demo.process.wait(30) == 1
        (line,) = demo.log.read_text().splitlines()
    assert line.startswith("error: ")
    assert "none.parquet" in line


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """The whole demo, as it ships."""
    with Interrupts() as interrupts:
        return DemoRun(
            simulated(7), PlainLines(lambda line: None), interrupts, most_seconds=150, complain=lambda line: None
        ).run()


def test_every_count_adds_up(outcome: Outcome) -> None:
    shop = simulated(7).shop
    assert shop is not None
    assert outcome.complete
    assert [entry for entry in books(shop, outcome.state) if not entry.balanced] == []


def test_slipping_customers_are_caught_far_more_often_than_by_chance(outcome: Outcome) -> None:
    shop = simulated(7).shop
    assert shop is not None
    found = verdict(shop.truth, outcome.state.history)
    assert found.by_chance is not None
    assert found.median_days_before is not None
    assert len(found.catches) > 100
    assert len(found.caught) / len(found.catches) > 0.8 > 0.3 > found.by_chance
    assert found.median_days_before > 21


def test_the_model_ends_warm_and_better_than_its_base_rate(outcome: Outcome) -> None:
    model = outcome.view.model
    assert not model.cold
    assert model.auc is not None
    assert model.auc > 0.9
    assert model.ece is not None
    assert model.ece < 0.1
