"""A local copy whose disk is full or gone: said in words an operator can act on, and no reason not to stop."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.core.errors import StateError
from streams.live.store import RocksStore


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failure_of_a_write(store: RocksStore) -> BaseException | None:
    """What writes on a full disk raise, once the buffer is written; while there is no room, nothing is reported."""
    with full_disk():
        try:
            for _ in range(1_000):
                store.write([(b"ann", bytes(10_000))])
                time.sleep(0.001)  # the buffer is written in the background
        except StateError as error:
            return error
    return None


def test_a_full_disk_is_told_with_the_folder_and_what_to_do(tmp_path: Path) -> None:
    failure = failure_of_a_write(RocksStore(tmp_path / "db", buffer_bytes=65_536))
    assert isinstance(failure, StateError)
    assert str(tmp_path) in str(failure)
    assert "Make room on the disk" in str(failure)


def test_a_disk_too_full_for_a_restore_is_told_with_the_folder_and_what_to_do(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "db", load_bytes=1_000)
    with full_disk(), pytest.raises(StateError, match="Make room on the disk") as failure:
        store.load([(b"ann", b"state" * 1_000)])
    assert str(tmp_path) in str(failure.value)


def test_a_copy_deleted_under_its_owner_can_still_be_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = RocksStore(tmp_path / "db")
    store.write([(b"ann", b"state")])
    shutil.rmtree(tmp_path / "db")
    store.close()
    assert "could not be closed" in caplog.text
