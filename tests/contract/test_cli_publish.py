"""``ebbtide publish`` as a person runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.child_process import free_port
from tests.support.brokers import RunningBroker
from tests.support.event_logs import click, write_log

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from streams.cli import main; main()", "publish"]


class Shell:
    """A working folder of its own, with settings for topics that nobody has used."""

    def __init__(self, folder: Path, brokers: str, prefix: str) -> None:
        self.folder = folder
        self.environ = os.environ | {
            "EBBTIDE_BROKERS": brokers,
            "EBBTIDE_TOPIC_PREFIX": prefix,
            "EBBTIDE_PARTITIONS": "4",
            "PYTHONPATH": str(CHECKOUT),
        }

    def publish(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False
        )


@pytest.fixture
def shell(embedded_broker: RunningBroker, tmp_path: Path) -> Shell:
    return Shell(tmp_path, embedded_broker.brokers, embedded_broker.settings().topic_prefix)


@pytest.fixture
def nowhere(tmp_path: Path) -> Shell:
    return Shell(tmp_path, f"127.0.0.1:{free_port()}", "")


def test_it_tells_what_was_acknowledged(shell: Shell) -> None:
    write_log(shell.folder / "log.jsonl", [click(ts=n) for n in range(20)])
    ended = shell.publish("log.jsonl")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "20 records acknowledged" in ended.stdout
    assert "clicks: 20" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_a_second_time_there_is_nothing_to_do(shell: Shell) -> None:
    write_log(shell.folder / "log.jsonl", [click(ts=n) for n in range(20)])
    shell.publish("log.jsonl")
    assert "all 20 rows are published" in shell.publish("log.jsonl").stdout
    assert "20 records acknowledged" in shell.publish("log.jsonl", "--again").stdout


def test_ctrl_c_says_how_far_it_came_and_the_next_run_goes_on(shell: Shell) -> None:
    write_log(shell.folder / "log.jsonl", [click(ts=n) for n in range(400)])
    running = subprocess.Popen(
        [*COMMAND, "log.jsonl", "--rate", "50"], cwd=shell.folder, env=shell.environ, stderr=subprocess.PIPE, text=True
    )
    kept = shell.folder / ".ebbtide" / "publish"
    while not list(kept.glob("*.json")):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=30)
    assert running.returncode == 130
    done = int(told.split(" of 400 rows are published")[0])
    assert 0 < done < 400
    ended = shell.publish("log.jsonl")
    assert f"{400 - done} records acknowledged" in ended.stdout
    assert f"{done} of 400 rows were published before" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["missing.jsonl"], 1, "missing.jsonl does not exist"),
        ([], 2, "Missing argument"),
        (["log.jsonl", "--rate", "0"], 2, "--rate must be more than 0"),
        (["log.jsonl", "--rate", "5", "--speed", "2"], 2, "not both"),
    ],
)
def test_wrong_use_is_one_line(nowhere: Shell, arguments: list[str], code: int, told: str) -> None:
    ended = nowhere.publish(*arguments)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (code, "", 1)
    assert told in ended.stderr


def test_no_broker_is_one_line_and_1(nowhere: Shell) -> None:
    write_log(nowhere.folder / "log.jsonl", [click()])
    ended = nowhere.publish("log.jsonl")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "No Kafka broker answered" in ended.stderr
    assert not (nowhere.folder / ".ebbtide").exists()
