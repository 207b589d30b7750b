"""What a kill leaves of a local copy: values and the position they reach, together, and not long ago."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from streams.live.store import RocksStore

KILLED = """
import os, sys
from pathlib import Path
from streams.live.store import CopyPosition, RocksStore

store = RocksStore(Path(sys.argv[1]), buffer_bytes=65_536)
def write(offset, at_s, size=1):
    store.write([(b"last", b"%d" % offset), (b"u%d" % offset, bytes(size))], CopyPosition(offset, 7, at_s * 1_000))
{work}
os.kill(os.getpid(), 9)
"""


def left(folder: Path, work: str) -> tuple[int | None, bytes | None]:
    """The position and the value that a process killed after some work leaves, as the next one finds them."""
    subprocess.run([sys.executable, "-c", KILLED.format(work=work), str(folder / "db")], check=False)
    store = RocksStore(folder / "db")
    try:
        return (None if store.position is None else store.position.offset, store.get(b"last"))
    finally:
        store.close()


def test_behind_a_restore_all_of_it_is_left(tmp_path: Path) -> None:
    work = 'store.load([(b"u%d" % n, b"v") for n in range(9)]); write(9, 1)'
    assert left(tmp_path, work) == (9, b"9")


def test_the_newest_writes_go_together_with_their_position(tmp_path: Path) -> None:
    offset, last = left(tmp_path, "write(0, 1); store.load([]); write(1, 2); write(2, 3)")
    assert (offset, last) == (1, b"1")


def test_what_is_older_than_a_minute_is_left(tmp_path: Path) -> None:
    work = "write(0, 0); write(1, 61)\nimport time; time.sleep(0.5)\nwrite(2, 62)"
    assert left(tmp_path, work) == (1, b"1")


def test_wherever_it_is_killed_value_and_position_agree(tmp_path: Path) -> None:
    offset, last = left(tmp_path, "for n in range(400): write(n, 1, 1_000)")
    assert last == (None if offset is None else b"%d" % offset)
