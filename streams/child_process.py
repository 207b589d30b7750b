"""A server of our own on loopback: started, watched until it answers, stopped, and gone when we are."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.core.errors import BrokerError

LOOPBACK: Final = "127.0.0.1"
_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.02


def free_port(host: str = LOOPBACK) -> int:
    """A port that nobody listens on just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_is_taken(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could not listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection of the past is no obstacle
        try:
            probe.bind((host, port))
        except OSError:
            return True
        return False


def end_with_parent(last_words: int) -> Callable[[], None] | None:
    """What the child does before it becomes the server; None where the system knows no such thing.

    Linux sends the signal when the *thread* that started the child ends: start servers from the main thread.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, last_words)
        if os.getppid() != parent:  # it ended between the fork and here
            os._exit(1)

    return in_child


class ServerProcess:
    """One server as a child process with a session of its own, so that Ctrl-C reaches us first and we stop it in order.

    Parameters
    ----------
    name
        How errors call it.
    command
        Program and arguments; nothing is interpreted by a shell.
    port
        Where it will listen on loopback; it counts as ready once it accepts a connection there.
    log_path
        Where its output goes (appended).
    environ
        Its whole environment.
    ready_within_s
        Past that, a start has failed.
    stop_within_s
        Past that, a stop becomes a kill.

    Examples
    --------
    >>> with ServerProcess("a broker", ["broker", "--port", "9092"], 9092, Path("log"), {}):  # doctest: +SKIP
    ...     pass
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        log_path: Path,
        environ: Mapping[str, str],
        *,
        ready_within_s: float = 20.0,
        stop_within_s: float = 20.0,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.port = port
        self.log_path = log_path
        self._environ = dict(environ)
        self._ready_within_s = ready_within_s
        self._stop_within_s = stop_within_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it and return once it listens.

        Raises
        ------
        BrokerError
            The port is taken, the program cannot be run, or it did not come up; the message ends with its last words.
        """
        if port_is_taken(self.port):
            raise BrokerError(
                f"Port {self.port} on {LOOPBACK} is taken, so {self.name} cannot listen there.",
                "Stop what listens there, or choose another port with --port.",
            )
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environ,
                    start_new_session=True,
                    preexec_fn=end_with_parent(signal.SIGTERM),
                )
            except OSError as error:
                raise BrokerError(f"{self.name} cannot be run: {self.command[0]}: {error.strerror}.") from error
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ask it to end, wait, then make it end. Does nothing where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # frozen, it could not obey
        try:
            process.wait(self._stop_within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it at once, without asking. Does nothing where it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._started().send_signal(number)

    def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._started().wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._ready_within_s
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BrokerError(
                    f"{self.name} ended with code {process.returncode} while it started: {self.last_words()}",
                    f"Its log is {self.log_path}.",
                )
            try:
                socket.create_connection((LOOPBACK, self.port), timeout=1.0).close()
            except OSError:
                time.sleep(_POLL_S)
            else:
                return
        raise BrokerError(
            f"{self.name} did not listen on port {self.port} within {self._ready_within_s:g} s: {self.last_words()}",
            f"Its log is {self.log_path}.",
        )
