"""Workers and trainers as processes, and the supervisor that starts again what ends, as systemd would."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from streams.child_process import end_with_parent

ROOT: Final = Path(__file__).parents[2]
RESTART_AFTER_S: Final = 1.0
STOP_WITHIN_S: Final = 65.0
"""An orderly stop is cut short by the worker itself after 55 s."""
OUR_FAULT: Final = 70
_LAST_WORDS: Final = re.compile(r"\bCRITICAL\b|^error: ")
_TELLING: Final = re.compile(r"\bERROR\b|^\S*(Error|Exception)\b")


@dataclass(frozen=True, slots=True)
class Exit:
    """One process that ended, why, and whether that had been asked for."""

    at_s: float
    name: str
    code: int
    reason: str
    asked: str | None
    """What the harness had done to it: ``SIGKILL``, ``SIGTERM``, ``no disk`` …; None where it ended by itself."""

    @property
    def wrong(self) -> str | None:
        """Why no worker may end like this, or None."""
        if self.asked == "SIGKILL" and self.code == -signal.SIGKILL:
            return None
        if self.asked == "SIGTERM" and self.code in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
            return None
        if self.asked == "the end" and self.code == 0:
            return None
        if self.code == OUR_FAULT:
            return f"{self.name} ended with a fault of ours (code 70): {self.reason}"
        if self.code < 0:
            return f"{self.name} was ended by signal {-self.code} that nobody sent"
        if self.code == 0:
            return f"{self.name} ended with code 0 though nobody asked it to"
        if not self.reason:
            return f"{self.name} ended with code {self.code} and no reason"
        return None


class Member:
    """One process, its log, and what is to become of it.

    Its output goes through a pipe, so that a limit on file sizes concerns its state and not its last words.
    Start it from the main thread: it is killed when that ends.
    """

    def __init__(self, name: str, arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.arguments = list(arguments)
        self.environ = dict(environ)
        self.log = log
        self.wanted = False
        """Whether the supervisor starts it (again)."""
        self.asked: str | None = None
        self.asked_s = 0.0
        self.limit_next = 0
        """File size limit of the next start only, bytes; 0: none."""
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._last_words = self._telling = ""
        self._reader: threading.Thread | None = None
        self._ended_s = -RESTART_AFTER_S

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def tick(self, now_s: float) -> Exit | None:
        """Notice an end, start what is wanted; the exit, if there was one."""
        ended = None
        if self._process is not None and self._process.poll() is not None:
            ended = self._buried(now_s)
        if self.wanted and self._process is None and now_s - self._ended_s >= RESTART_AFTER_S:
            self._start()
        return ended

    def send(self, number: signal.Signals, asked: str | None = None) -> None:
        """Send it a signal; ``asked`` names it where it is meant to end."""
        if self._process is not None and self._process.poll() is None:
            if asked is not None:
                self.asked, self.asked_s = asked, time.monotonic()
            self._process.send_signal(number)

    def no_disk(self) -> None:
        """From now on no file of it can grow: the disk is full."""
        if (pid := self.pid) is not None:
            self.asked, self.asked_s = "no disk", time.monotonic()
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, 1))

    def overdue(self, now_s: float) -> bool:
        """Whether it was asked to stop in order and did not."""
        return self.asked == "SIGTERM" and self.pid is not None and now_s - self.asked_s > STOP_WITHIN_S

    def end(self) -> None:
        """Leave nothing behind."""
        self.wanted = False
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def _start(self) -> None:
        limit, self.limit_next = self.limit_next, 0
        self.asked = "no disk" if limit else None
        tied = end_with_parent(signal.SIGKILL)

        def in_child() -> None:
            if tied is not None:
                tied()
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.launch", *self.arguments],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=in_child,
        )
        self.starts += 1
        self._last_words = self._telling = ""
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: IO[bytes]) -> None:
        with lines, self.log.open("ab", buffering=0) as log:
            for line in lines:
                log.write(line)
                text = line.decode(errors="replace").strip()
                if _LAST_WORDS.search(text):
                    self._last_words = text
                elif _TELLING.search(text):
                    self._telling = text

    def _buried(self, now_s: float) -> Exit:
        assert self._process is not None
        code = self._process.wait()
        if self._reader is not None:
            self._reader.join(5.0)
        self._process, self._ended_s = None, now_s
        asked, self.asked = self.asked, None
        reason = self._last_words or self._telling if code > 0 else ""
        return Exit(now_s, self.name, code, reason, asked)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What a process sees: the bare system and the settings given, no ``EBBTIDE_*`` of whoever runs this."""
    kept = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | dict(given)
