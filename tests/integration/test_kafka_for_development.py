"""``make kafka``: one Apache Kafka broker from Java and Maven, that keeps its topics and stops in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.kafka.run import ApacheKafka, java, main, maven
from streams.child_process import LOOPBACK, free_port, port_is_taken
from streams.core.errors import BrokerError
from streams.provisioning import ensure_topics, topic_ids, wait_for_broker
from streams.settings import Settings
from tests.support.brokers import RunningBroker
from tests.support.checkout import CHECKOUT


def started(port: int, folder: Path) -> subprocess.Popen[str]:
    """The program behind ``make kafka``, once it says that it answers."""
    command = [sys.executable, "-m", "deploy.kafka.run", "--port", str(port), "--folder", str(folder)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    if said.startswith("Fetching"):
        said = process.stdout.readline()
    assert f"answers at 127.0.0.1:{port}" in said
    return process


def ended(process: subprocess.Popen[str], sent: signal.Signals) -> int:
    process.send_signal(sent)
    assert process.communicate(timeout=60)[0] == "Stopped.\n"
    return process.returncode


@pytest.mark.kafka
def test_it_stops_in_order_and_keeps_its_topics(apache_kafka: RunningBroker, tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(brokers=f"127.0.0.1:{port}", partitions=2)
    process = started(port, tmp_path)
    ensure_topics(settings)
    before = topic_ids(settings)
    assert ended(process, signal.SIGINT) == 0
    assert not port_is_taken(port)

    process = started(port, tmp_path)
    after = topic_ids(settings)
    assert ended(process, signal.SIGTERM) == 0
    assert after == before


@pytest.mark.kafka
def test_killed_and_frozen_it_comes_back_on_its_port_with_its_topics(mortal_kafka: ApacheKafka) -> None:
    settings = Settings(brokers=mortal_kafka.brokers, partitions=2)
    ensure_topics(settings)
    before = topic_ids(settings)
    mortal_kafka.kill()
    assert mortal_kafka.pid is None
    with pytest.raises(BrokerError, match="No Kafka broker answered"):
        wait_for_broker(settings.brokers, 0.2)
    mortal_kafka.start()
    assert mortal_kafka.brokers == settings.brokers
    mortal_kafka.freeze()
    with pytest.raises(BrokerError, match="No Kafka broker answered"):
        wait_for_broker(settings.brokers, 0.2)
    mortal_kafka.thaw()
    assert topic_ids(settings) == before


@pytest.mark.kafka
def test_a_taken_port_is_one_line_and_1(
    apache_kafka: RunningBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        try:
            assert main(["--port", str(holder.getsockname()[1]), "--folder", str(tmp_path)]) == 1
        finally:
            signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr().err
    assert said.startswith("error: Port ")
    assert said.count("\n") == 1


def test_without_java_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="Java is not installed") as caught:
        java()
    assert "apt-get install" in caught.value.hint


def test_without_maven_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="Maven is not installed"):
        maven()


def fake_java(folder: Path, said: str, code: int = 0) -> None:
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)


@pytest.mark.parametrize("said", ['openjdk version "11.0.2"', 'java version "1.8.0_202"', "no version at all"])
def test_an_old_java_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str) -> None:
    fake_java(tmp_path, said)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BrokerError, match="is not 17 or newer"):
        java()


def test_a_java_that_does_not_run_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_java(tmp_path, "broken", code=1)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BrokerError, match="does not run"):
        java()
