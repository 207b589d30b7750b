"""What an operator could see of the run, once a second: committed offsets, readiness, memory."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from streams.child_process import LOOPBACK
from streams.settings import Settings
from tests.chaos.recovery import Chunk, Place

EVERY_S: Final = 1.0
PAGE_MB: Final = 4096 / 1_000_000


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at one process."""

    at_s: float
    name: str
    pid: int
    ready: bool
    rss_mb: float


class Watch:
    """See the module. Two threads: Kafka may take long to answer, and readiness is wanted meanwhile.

    Parameters
    ----------
    running
        Process id and HTTP port of each process that runs now, by name.
    """

    def __init__(self, settings: Settings, running: Callable[[], Mapping[str, tuple[int, int]]]) -> None:
        self._settings = settings
        self._running = running
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._first_open = 0
        self._chunks: list[Chunk] = []
        self._threads = [
            threading.Thread(target=self._each_second, args=(look,), daemon=True)
            for look in (self._look_at_group, self._look_at_processes)
        ]
        self._admin: KafkaAdminClient | None = None
        self.committed: dict[Place, int] = {}
        self.went_back: list[str] = []
        """Committed offsets that were lower than before."""
        self.sights: list[Sight] = []

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30.0)
        self._forget_admin()

    def published(self, chunk: Chunk) -> None:
        """Take note of a portion."""
        with self._lock:
            self._chunks.append(chunk)

    def chunks(self) -> list[Chunk]:
        """All portions so far, in order."""
        with self._lock:
            return list(self._chunks)

    @property
    def lag(self) -> int:
        """Portions published and not applied."""
        with self._lock:
            return len(self._chunks) - self._first_open

    def _each_second(self, look: Callable[[], None]) -> None:
        while not self._stopping.wait(EVERY_S):
            look()

    def _look_at_group(self) -> None:
        group = self._settings.group_id
        try:
            if self._admin is None:
                self._admin = KafkaAdminClient(
                    bootstrap_servers=self._settings.brokers, request_timeout_ms=5_000, reconnect_backoff_max_ms=1_000
                )
            found = self._admin.list_group_offsets({group: None})[group]
        except (KafkaError, OSError, ValueError, RuntimeError):  # the broker is away; the next look will tell
            self._forget_admin()
            return
        now_s = time.monotonic()
        for tp, committed in found.items():
            place = (tp.topic, tp.partition)
            if committed.offset < self.committed.get(place, 0):
                self.went_back.append(f"{place}: {self.committed[place]} to {committed.offset}")
            self.committed[place] = committed.offset
        with self._lock:
            for chunk in self._chunks[self._first_open :]:
                if chunk.applied_s is None and chunk.covered_by(self.committed):
                    chunk.applied_s = now_s
            while self._first_open < len(self._chunks) and self._chunks[self._first_open].applied_s is not None:
                self._first_open += 1

    def _forget_admin(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            try:
                admin.close()
            except (KafkaError, OSError, ValueError, RuntimeError):
                return

    def _look_at_processes(self) -> None:
        for name, (pid, port) in self._running().items():
            rss_mb = resident_mb(pid)
            if rss_mb is not None:
                self.sights.append(Sight(time.monotonic(), name, pid, answers_ready(port), rss_mb))


def answers_ready(port: int) -> bool:
    """Whether ``/readyz`` says 200."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def resident_mb(pid: int) -> float | None:
    """Resident memory of a process, MB; None where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
    except (OSError, IndexError, ValueError):
        return None
