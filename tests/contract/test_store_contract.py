"""One contract for every local copy of a partition's state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.live.store import CopyPosition, MemoryStore, RocksStore, Store

Make = Callable[[], Store]


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "db")


def at(offset: int) -> CopyPosition:
    return CopyPosition(offset, 7, 1_000)


def test_an_empty_copy_has_no_position(store: Store) -> None:
    assert store.position is None


def test_an_unknown_key_has_no_value(store: Store) -> None:
    assert store.get(b"ann") is None


def test_what_was_written_is_read(store: Store) -> None:
    store.write([(b"ann", b"1"), (b"ann", b"2")], at(3))
    assert store.get(b"ann") == b"2"


def test_a_tombstone_deletes(store: Store) -> None:
    store.write([(b"ann", b"1")], at(3))
    store.write([(b"ann", None)], at(4))
    assert store.get(b"ann") is None


def test_deleting_what_is_not_there_is_fine(store: Store) -> None:
    store.write([(b"ann", None)], at(3))
    assert list(store.profiles()) == []


def test_the_position_moves_with_the_values(store: Store) -> None:
    store.write([(b"ann", b"1")], at(3))
    assert store.position == at(3)


def test_keys_of_our_own_are_no_profiles(store: Store) -> None:
    store.write([(b"ann", b"1"), (b"\x00partition", b"{}")], at(3))
    assert list(store.profiles()) == [(b"ann", b"1")]


def test_an_empty_value_is_not_a_tombstone(store: Store) -> None:
    store.write([(b"ann", b"")], at(3))
    assert store.get(b"ann") == b""


def test_a_batch_may_be_written_while_profiles_are_listed(store: Store) -> None:
    store.write([(b"%03d" % n, b"1") for n in range(100)], at(3))
    seen = 0
    for key, _ in store.profiles():
        store.write([(key, b"2")], at(4))
        seen += 1
    assert seen == 100


def test_without_a_position_the_old_one_stays(store: Store) -> None:
    store.write([(b"ann", b"1")], at(3))
    store.write([(b"ann", b"2")])
    assert (store.get(b"ann"), store.position) == (b"2", at(3))


def test_13_rocksdbs_cache_and_buffers_are_set_and_not_its_gigabytes(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "db", cache_bytes=1 << 20, buffer_bytes=1 << 20)
    try:
        assert store._db.property_int_value("rocksdb.block-cache-capacity") == 1 << 20
    finally:
        store.close()
