"""Apache Kafka for development: one KRaft broker on loopback, from Java 17 and Maven alone.

``make kafka`` runs it until Ctrl-C; the integration tests run the same class.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import os
import re
import shutil
import signal
import string
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, NoReturn, Self

from streams.child_process import LOOPBACK, ServerProcess, free_port
from streams.core.errors import BrokerError
from streams.provisioning import wait_for_broker

HERE: Final = Path(__file__).resolve().parent
TARGET: Final = HERE / "target"
LEAST_JAVA: Final = 17
_BRIEF: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def java() -> str:
    """Path of Java 17 or newer: that of JAVA_HOME, else the one on the path.

    Raises
    ------
    BrokerError
        There is none, or it is older.
    """
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    hint = f"Install Java {LEAST_JAVA} or newer (on Debian: apt-get install openjdk-17-jre-headless)."
    if program is None:
        raise BrokerError("Java is not installed.", hint)
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=60).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise BrokerError(f"Java at {program} does not run: {error}.", hint) from error
    match = re.search(r'version "(\d+)', said)
    if match is None or int(match[1]) < LEAST_JAVA:
        raise BrokerError(f"Java at {program} is not {LEAST_JAVA} or newer: {said.splitlines()[0]}.", hint)
    return program


def maven() -> str:
    """Path of Maven, which fetches Kafka's jars.

    Raises
    ------
    BrokerError
        It is not installed.
    """
    program = shutil.which("mvn")
    if program is None:
        raise BrokerError("Maven is not installed.", "Install it (on Debian: apt-get install maven).")
    return program


def jars() -> Path:
    """Folder with Kafka's jars: fetched once for each content of pom.xml (54 MB), by one process at a time.

    Raises
    ------
    BrokerError
        Java or Maven is missing, or the jars cannot be resolved.
    """
    folder, done = TARGET / "jars", TARGET / "pom-of-jars.xml"
    pom = HERE / "pom.xml"
    TARGET.mkdir(exist_ok=True)
    with (TARGET / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.read_bytes() == pom.read_bytes():
            return folder
        command = [maven(), "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
        shutil.rmtree(folder, ignore_errors=True)
        run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if run.returncode != 0:
            reason = next((line for line in run.stdout.splitlines() if "ERROR" in line), run.stderr.strip())
            raise BrokerError(f"Maven did not fetch Kafka's jars: {reason}", "Its registry must be reachable once.")
        done.write_bytes(pom.read_bytes())
    return folder


class ApacheKafka:
    """One Apache Kafka broker on loopback, as a context manager.

    Parameters
    ----------
    folder
        Its own folder: data, settings and log. Topics are there again when it starts on the same folder.
    port
        Where clients connect; 0 takes any free one.
    heap
        Java's memory, as in ``-Xmx``.
    properties
        Lines of server.properties that stand over ours: more listeners, users, access control. ``${port}`` and
        ``${controller_port}`` are filled in.
    brief
        It lives for a test: Java compiles quickly rather than well, which halves the CPU that a start takes.

    Raises
    ------
    BrokerError
        On entering: Java or Maven is missing, the port is taken, or it did not come up.

    Examples
    --------
    >>> with ApacheKafka(Path("kafka")) as kafka:  # doctest: +SKIP
    ...     print(kafka.brokers)
    127.0.0.1:40331
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        heap: str = "1g",
        properties: Mapping[str, str] | None = None,
        *,
        brief: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self._port = port
        self._controller_port = 0
        self._java = ["-Xms256m", f"-Xmx{heap}", *(_BRIEF if brief else ())]
        self._properties = "".join(f"{name}={value}\n" for name, value in (properties or {}).items())
        self._server: ServerProcess | None = None

    @property
    def brokers(self) -> str:
        """What ``EBBTIDE_BROKERS`` must be to reach it. The same once started, however often it is stopped."""
        if not self._port:
            raise RuntimeError("Apache Kafka was never started")
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Format the storage where it is new, start, and return once it answers.

        After :meth:`stop` or :meth:`kill` it comes back on the same ports, with the same topics.
        """
        program, classpath = java(), f"{jars()}/*"
        port = self._port or free_port()
        self._controller_port = self._controller_port or free_port()
        properties, data = self.folder / "server.properties", self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        ours = (HERE / "server.properties.template").read_text(encoding="utf-8")
        template = string.Template(ours + self._properties)  # of two lines with one name the last one holds
        given = {"port": port, "controller_port": self._controller_port, "data": data}
        properties.write_text(template.substitute(given), encoding="utf-8")
        if not (data / "meta.properties").exists():
            self._format(program, classpath, properties)
        command = [program, *self._java, "-Dlog4j2.level=warn", "-cp", classpath]
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "TZ", "LANG") if name in os.environ}
        server = ServerProcess(
            "Apache Kafka",
            [*command, "kafka.Kafka", str(properties)],
            port,
            self.folder / "kafka.log",
            environ,
            ready_within_s=90.0,
            stop_within_s=30.0,
        )
        server.start()
        self._server, self._port = server, port
        try:
            wait_for_broker(self.brokers, timeout_s=60.0)  # the port opens before the broker serves
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it in order. Does nothing where it does not run."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """End it at once, as a power cut does. Does nothing where it does not run."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def freeze(self) -> None:
        """Let it answer nothing more, while its connections stay open (SIGSTOP)."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after :meth:`freeze` (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._running().wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> ServerProcess:
        if self._server is None:
            raise RuntimeError("Apache Kafka does not run")
        return self._server

    def _format(self, program: str, classpath: str, properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [program, "-cp", classpath, "kafka.tools.StorageTool", "format"]
        command += [f"--cluster-id={cluster}", "--config", str(properties)]  # with =, as an id may begin with a dash
        run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if run.returncode != 0:
            raise BrokerError(f"Kafka's storage at {self.folder} cannot be formatted: {run.stderr or run.stdout}")


def main(arguments: Sequence[str]) -> int:
    """Run one broker until Ctrl-C or SIGTERM; the exit code."""
    parser = argparse.ArgumentParser(prog="make kafka", description=__doc__)
    parser.add_argument("--port", type=int, default=9092, help="where clients connect (9092); 0 takes any free one")
    parser.add_argument("--folder", type=Path, help="its own folder (.kafka-dev/PORT here); keeps the topics")
    options = parser.parse_args(arguments)

    def ended(signum: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ended)
    try:
        if not (TARGET / "jars").exists():
            print("Fetching Apache Kafka once (54 MB) ...", flush=True)
        with ApacheKafka(options.folder or Path(".kafka-dev") / str(options.port), options.port) as kafka:
            print(
                f"Apache Kafka answers at {kafka.brokers}; its folder is {kafka.folder}. Ctrl-C stops it.", flush=True
            )
            code = kafka.wait()
            print(f"error: Apache Kafka ended by itself with code {code}.", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        return 0
    except BrokerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
