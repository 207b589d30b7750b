"""When a copy on disk is continued, and when it is thrown away."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from streams.core.errors import StateError
from streams.live.log_identity import LogIdentity, decode_identity
from streams.live.store import CopyPosition, MemoryStore, RocksStore, StoreFolder
from tests.support.stored_states import STATES

HERE = LogIdentity(changelog="log", cluster_id="kafka", partitions=4, inputs=("c", "s", "p"))


def filled(root: Path, made_from: LogIdentity = HERE, written_ms: int = 1_000) -> None:
    store = StoreFolder(root, made_from).open(0)
    store.write([(b"ann", b"1")], CopyPosition(5, 7, written_ms))
    store.close()


def test_a_copy_of_the_same_log_is_continued(tmp_path: Path) -> None:
    filled(tmp_path)
    store = StoreFolder(tmp_path, HERE).open(0)
    assert (store.get(b"ann"), store.position) == (b"1", CopyPosition(5, 7, 1_000))


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(HERE, cluster_id="another"),
        msgspec.structs.replace(HERE, cluster_id="another", changelog="another"),
        msgspec.structs.replace(HERE, inputs=("c", "created anew", "p")),
        msgspec.structs.replace(HERE, partitions=8),
        LogIdentity(changelog="another"),
    ],
)
def test_a_copy_of_another_log_is_thrown_away(tmp_path: Path, other: LogIdentity) -> None:
    filled(tmp_path, other)
    store = StoreFolder(tmp_path, HERE).open(0)
    assert (store.position, store.get(b"ann")) == (None, None)


def test_a_copy_says_which_log_it_was_made_from(tmp_path: Path) -> None:
    filled(tmp_path)
    assert json.loads((tmp_path / "partition-0" / "identity.json").read_text()) == {
        "format": 2,
        "changelog": "log",
        "cluster_id": "kafka",
        "partitions": 4,
        "inputs": ["c", "s", "p"],
    }


def test_a_copy_of_version_1_is_continued_and_says_more_from_then_on(tmp_path: Path) -> None:
    here = msgspec.structs.replace(HERE, changelog="0a1b2c3d-0000-4000-8000-00000000c4a9")
    filled(tmp_path, here)
    identity = tmp_path / "partition-0" / "identity.json"
    identity.write_bytes((STATES / "store-identity-1.json").read_bytes())
    assert StoreFolder(tmp_path, here).open(0).get(b"ann") == b"1"
    assert decode_identity(identity.read_bytes()) == here


def test_a_copy_of_version_1_of_another_changelog_is_thrown_away(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "partition-0" / "identity.json").write_bytes((STATES / "store-identity-1.json").read_bytes())
    assert StoreFolder(tmp_path, HERE).open(0).position is None


def test_a_copy_of_a_newer_version_is_thrown_away(tmp_path: Path) -> None:
    """It is only a copy; whether the state itself can be read, the changelog says."""
    filled(tmp_path)
    (tmp_path / "partition-0" / "identity.json").write_bytes(b'{"format": 3, "changelog": "log"}')
    assert StoreFolder(tmp_path, HERE).open(0).position is None


class TestAChangelogThatAloneWasCreatedAnew:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> StoreFolder:
        filled(tmp_path, msgspec.structs.replace(HERE, changelog="the one before"))
        return StoreFolder(tmp_path, HERE)

    def test_its_copy_is_not_continued(self, folder: StoreFolder) -> None:
        assert folder.open(0).position is None

    def test_its_copy_stays_as_it_is(self, folder: StoreFolder, tmp_path: Path) -> None:
        folder.open(0).close()
        assert folder.outlived(0) == [tmp_path / "partition-0"]

    def test_its_copy_can_be_discarded(self, folder: StoreFolder, tmp_path: Path) -> None:
        folder.discard_outlived(0)
        assert not (tmp_path / "partition-0").exists()


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


def test_a_copy_whose_bulk_restore_was_not_finished_is_thrown_away(tmp_path: Path) -> None:
    store = StoreFolder(tmp_path, HERE).open(0)
    assert isinstance(store, RocksStore)
    store.load((b"u%06d" % number, b"v" * 1_000) for number in range(40_000))
    assert not store.empty
    store.close()
    assert StoreFolder(tmp_path, HERE).open(0).get(b"u000000") is None


def test_what_a_crash_left_of_a_file_of_a_restore_is_removed(tmp_path: Path) -> None:
    StoreFolder(tmp_path, HERE).open(0).close()
    left = tmp_path / "partition-0" / "db.loading.sst"
    left.write_bytes(b"half a file")
    StoreFolder(tmp_path, HERE).open(0)
    assert not left.exists()


def test_a_copy_that_the_changelog_does_not_continue_can_be_emptied(tmp_path: Path) -> None:
    filled(tmp_path)
    folder = StoreFolder(tmp_path, HERE)
    assert folder.empty(folder.open(0)).get(b"ann") is None


def test_a_damaged_copy_is_thrown_away(tmp_path: Path) -> None:
    filled(tmp_path)
    for file in (tmp_path / "partition-0" / "db").glob("MANIFEST*"):
        file.write_bytes(b"not a manifest")
    assert StoreFolder(tmp_path, HERE).open(0).position is None


def damaged(root: Path, where: float) -> StoreFolder:
    """A copy with a flipped byte in its largest file, so far from the beginning of it."""
    folder = StoreFolder(root, HERE)
    store = folder.open(0)
    store.load((b"u%06d" % number, b"%d" % number * 200) for number in range(20_000))
    store.write([], CopyPosition(5, 7, 1_000))
    store.close()
    files = (root / "partition-0" / "db").glob("*.sst")
    file = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[int(len(content) * where)] ^= 0xFF
    file.write_bytes(content)
    return folder


@pytest.mark.parametrize("where", [0.1, 0.5, 0.8])
def test_a_copy_of_which_a_block_cannot_be_read_says_so_when_it_is_read_from_end_to_end(
    tmp_path: Path, where: float
) -> None:
    """RocksDB's iterator says that it is at its end."""
    store = damaged(tmp_path, where).open(0)
    with pytest.raises(StateError, match="is damaged") as caught:
        list(store.profiles())
    assert "it is rebuilt from the changelog" in caught.value.hint


def test_a_copy_of_which_a_block_cannot_be_read_says_so_when_a_value_of_it_is_wanted(tmp_path: Path) -> None:
    store = damaged(tmp_path, 0.5).open(0)
    with pytest.raises(StateError, match="is damaged: Corruption"):
        [store.get(b"u%06d" % number) for number in range(20_000)]


def test_a_copy_whose_filter_cannot_be_read_is_thrown_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = damaged(tmp_path, 0.95).open(0)
    assert (store.position, list(store.profiles())) == (None, [])
    assert "it is damaged" in caplog.text


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
