"""When a copy on disk is continued, and when it is thrown away."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from streams.core.errors import StateError
from streams.live.log_identity import LogIdentity, decode_identity
from streams.live.store import CopyPosition, MemoryStore, StoreFolder
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
