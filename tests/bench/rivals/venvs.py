"""The virtual environments of the rivals, each its own: what they need never meets what Ebbtide needs.

They stand in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``), one for each content of a lock file, made
when first asked for.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Skipped

LOCKS: Final = Path(__file__).resolve().parent / "requirements"


def cache_folder() -> Path:
    """Where benchmarks keep what takes long to make."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ebbtide-bench"


def kept(name: str, content: bytes, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made anew for other content, by one process at a time.

    Parameters
    ----------
    name
        What it is.
    content
        What it is made from.
    make
        Fills the folder.
    """
    folder = cache_folder() / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder / "made"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.is_file():
            make(folder)
            done.touch()
    return folder


def python_of(rival: str, heard: Callable[[str], None]) -> Path:
    """The Python of a rival's virtual environment.

    Raises
    ------
    Skipped
        It could not be installed; says why.
    """
    lock = LOCKS / f"{rival}.lock"

    def make(folder: Path) -> None:
        heard(f"installing {rival} into {folder}, once")
        _ran([sys.executable, "-m", "venv", "--clear", str(folder)], rival)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _ran([*pip, "--require-hashes", "--requirement", str(lock)], rival)

    return kept(rival, lock.read_bytes() + sys.version.encode(), make) / "bin" / "python"


def _ran(command: Sequence[str], rival: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if run.returncode:
        last = (run.stderr or run.stdout).strip().splitlines()[-1:]
        raise Skipped(f"{rival} cannot be installed here: {' '.join(last)}")
