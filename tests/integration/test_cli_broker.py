"""``ebbtide broker`` and ``ebbtide topics`` as a person runs them: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.child_process import LOOPBACK, free_port, port_is_taken
from streams.topics import CATALOGUE
from tests.support.brokers import RunningBroker

CHECKOUT = Path(__file__).resolve().parents[2]
EBBTIDE = [sys.executable, "-c", "from streams.cli import main; main()"]


def ebbtide(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EBBTIDE, *arguments], cwd=CHECKOUT, env=os.environ | variables, capture_output=True, text=True, check=False
    )


@pytest.fixture
def running() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``ebbtide broker`` once it says that it answers, and its port."""
    port = free_port()
    process = subprocess.Popen(
        [*EBBTIDE, "broker", "--port", str(port)], cwd=CHECKOUT, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert f"answers at 127.0.0.1:{port}" in process.stderr.readline()
    yield process, port
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stderr.close()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_broker_and_frees_its_port(
    running: tuple[subprocess.Popen[str], int], sent: signal.Signals, code: int
) -> None:
    process, port = running
    process.send_signal(sent)
    assert process.wait(30) == code
    assert not port_is_taken(port)


def test_a_taken_port_is_one_line_and_1() -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        ended = ebbtide("broker", "--port", str(holder.getsockname()[1]))
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "is taken" in ended.stderr


def test_topics_are_listed_created_and_then_fit(broker: RunningBroker) -> None:
    variables = {"EBBTIDE_BROKERS": broker.brokers, "EBBTIDE_TOPIC_PREFIX": broker.settings().topic_prefix}
    before, created, after = (
        ebbtide("topics", **variables),
        ebbtide("topics", "--create", **variables),
        ebbtide("topics", **variables),
    )
    assert (before.returncode, created.returncode, after.returncode) == (1, 0, 0)
    assert before.stdout.count("missing") == len(CATALOGUE)
    assert created.stderr.count("created ") == len(CATALOGUE)
    assert after.stdout.count(" ok\n") == len(CATALOGUE)


def test_topics_as_json_are_one_object_a_line(broker: RunningBroker) -> None:
    variables = {"EBBTIDE_BROKERS": broker.brokers, "EBBTIDE_TOPIC_PREFIX": broker.settings().topic_prefix}
    ended = ebbtide("topics", "--create", "--json", **variables)
    listed = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [entry["state"] for entry in listed] == ["ok"] * len(CATALOGUE)


def test_a_broker_that_is_away_is_one_line_and_1() -> None:
    ended = ebbtide("topics", EBBTIDE_BROKERS=f"127.0.0.1:{free_port()}")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "No Kafka broker answered" in ended.stderr
