"""Processes of the demo: started, watched, and gone when it is."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.child_process import end_with_parent
from streams.core.errors import ChildError

ENDED_BY_SIGTERM: Final = (-signal.SIGTERM, 128 + signal.SIGTERM)
"""How a process ends that had no handler yet, and one whose command line has a plain one."""


class Child:
    """A Python process of ours with a session of its own, so that Ctrl-C reaches only the demo, which then ends it.

    On Linux it is killed with its parent, however that ends; so start it from the main thread.

    Parameters
    ----------
    name
        How errors call it.
    arguments
        For the interpreter, after ``-P``.
    log_path
        Where its output goes.
    environ
        Its whole environment.
    folder
        Its working folder.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], log_path: Path, environ: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-P", *arguments]
        self._log_path = log_path
        self._environ = dict(environ)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False

    @property
    def pid(self) -> int | None:
        """Process id, once started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it; returns at once."""
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environ,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGKILL),
            )

    def ended(self) -> bool:
        """Whether it has ended well; one that was asked to stop may have been too young to hear it in order.

        Raises
        ------
        ChildError
            It ended otherwise.
        """
        code = None if self._process is None else self._process.poll()
        if code is None:
            return False
        if code != 0 and not (self._asked and code in ENDED_BY_SIGTERM):
            hint = "The end of its log is above." if self.last_words(1) else "It logged nothing."
            raise ChildError(f"{self.name.capitalize()} ended before its time, with code {code}.", hint)
        return True

    def ask_to_stop(self) -> None:
        """SIGTERM: finish what is begun. Does nothing where it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._asked = True
            self._process.terminate()

    def kill(self) -> None:
        """End it now and wait for it. Does nothing where it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def last_words(self, lines: int = 20) -> list[str]:
        """The end of its log."""
        if not self._log_path.exists():
            return []
        return self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
