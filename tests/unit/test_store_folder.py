"""When a copy on disk is continued, and when it is thrown away."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.core.errors import StateError
from streams.live.store import CopyPosition, MemoryStore, StoreFolder

HERE = "topic-id"


def filled(root: Path, changelog_id: str = HERE, written_ms: int = 1_000) -> None:
    store = StoreFolder(root, changelog_id).open(0)
    store.write([(b"ann", b"1")], CopyPosition(5, 7, written_ms))
    store.close()


def test_a_copy_of_the_same_log_is_continued(tmp_path: Path) -> None:
    filled(tmp_path)
    store = StoreFolder(tmp_path, HERE).open(0)
    assert (store.get(b"ann"), store.position) == (b"1", CopyPosition(5, 7, 1_000))


def test_a_copy_of_a_changelog_that_was_created_anew_is_thrown_away(tmp_path: Path) -> None:
    filled(tmp_path, "the topic id it had before")
    assert StoreFolder(tmp_path, HERE).open(0).position is None


def test_a_copy_without_an_identity_is_thrown_away(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "partition-0" / "identity.json").unlink()
    assert StoreFolder(tmp_path, HERE).open(0).position is None


def test_a_copy_older_than_tombstones_live_is_thrown_away(tmp_path: Path) -> None:
    filled(tmp_path, written_ms=1_000)
    assert StoreFolder(tmp_path, HERE, oldest_ms=1_001).open(0).position is None


def test_a_copy_whose_restore_was_not_finished_is_thrown_away(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path, HERE).open(0)
    store.write([(b"ann", b"1")])
    store.close()
    assert StoreFolder(tmp_path, HERE).open(0).get(b"ann") is None


def test_a_copy_that_the_changelog_does_not_continue_can_be_emptied(tmp_path: Path) -> None:
    filled(tmp_path)
    folder = StoreFolder(tmp_path, HERE)
    assert folder.empty(folder.open(0)).get(b"ann") is None


def test_a_damaged_copy_is_thrown_away(tmp_path: Path) -> None:
    filled(tmp_path)
    for file in (tmp_path / "partition-0" / "db").glob("MANIFEST*"):
        file.write_bytes(b"not a manifest")
    assert StoreFolder(tmp_path, HERE).open(0).position is None


def test_a_copy_held_by_another_owner_leaves_the_next_slot(tmp_path: Path) -> None:
    held = StoreFolder(tmp_path, HERE).open(0)
    held.write([(b"ann", b"1")], CopyPosition(5, 7, 1_000))
    assert StoreFolder(tmp_path, HERE).open(0).position is None


def test_partitions_have_copies_of_their_own(tmp_path: Path) -> None:
    filled(tmp_path)
    assert StoreFolder(tmp_path, HERE).open(1).get(b"ann") is None


def test_without_a_folder_state_stays_in_memory() -> None:
    assert isinstance(StoreFolder(None, HERE).open(0), MemoryStore)


def test_a_folder_that_is_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError, match="state folder"):
        StoreFolder(tmp_path / "state", HERE).open(0)
