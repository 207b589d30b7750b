"""One contract for every local copy of a partition's state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.live.bulk_load import LEAST_PART
from streams.live.store import CopyPosition, MemoryStore, RocksStore, Store

Make = Callable[[], Store]


@pytest.fixture(params=["memory", "rocks", "rocks in small files"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """In small files: a restore of so little would be one write batch, and never more than one file."""
    if request.param == "memory":
        return MemoryStore()
    return RocksStore(tmp_path / "db", load_bytes=LEAST_PART * 20 if "small" in request.param else 32 << 20)


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


def test_profiles_are_listed_in_the_order_of_their_keys(store: Store) -> None:
    store.write([("ü".encode(), b"1"), (b"bob", b"2"), (b"ann", b"3"), (b"\x01", b"4")], at(3))
    assert [key for key, _ in store.profiles()] == [b"\x01", b"ann", b"bob", "ü".encode()]


PORTIONS = (
    [(b"ann", b"1" * 30), (b"bob", b"1" * 30), (b"\x00partition", b"{}" * 30)],
    [(b"cyd", None), (b"bob", None), (b"ann", b"2" * 700)],
    [(b"bob", b"3" * 30)] + [(b"u%03d" % number, b"u" * 30) for number in range(100)],
    [(b"ann", b"4")] + [(b"u%03d" % number, None) for number in range(100)],
)
LOADED = {b"ann": b"4", b"bob": b"3" * 30}


def test_what_was_loaded_in_portions_is_read_by_key_at_once(store: Store) -> None:
    for portion in PORTIONS:
        store.load(portion)
    assert [store.get(key) for key in (b"ann", b"bob", b"cyd", b"u000")] == [b"4", b"3" * 30, None, None]
    assert store.get(b"\x00partition") == b"{}" * 30


def test_what_was_loaded_in_portions_is_listed(store: Store) -> None:
    for portion in PORTIONS:
        store.load(portion)
    assert dict(store.profiles()) == LOADED


def test_what_was_loaded_is_written_over(store: Store) -> None:
    for portion in PORTIONS:
        store.load(portion)
    store.write([(b"ann", b"5"), (b"bob", None)], at(9))
    assert list(store.profiles()) == [(b"ann", b"5")]


def test_what_is_loaded_comes_over_what_was_written(store: Store) -> None:
    store.write([(b"ann", b"old"), (b"u001", b"old"), (b"zoe", b"old")], at(1))
    for portion in PORTIONS:
        store.load(portion)
    assert dict(store.profiles()) == {**LOADED, b"zoe": b"old"}


def test_loading_moves_no_position(store: Store) -> None:
    store.load(PORTIONS[0])
    assert store.position is None


@pytest.mark.parametrize("load_bytes", [LEAST_PART * 20, 32 << 20])
def test_what_was_loaded_is_there_after_a_restart_once_its_position_was_written(
    tmp_path: Path, load_bytes: int
) -> None:
    store = RocksStore(tmp_path / "db", load_bytes=load_bytes)
    for portion in PORTIONS:
        store.load(portion)
    store.write([], at(9))
    store.close()
    again = RocksStore(tmp_path / "db")
    assert (again.position, dict(again.profiles())) == (at(9), LOADED)


def test_13_rocksdbs_cache_and_buffers_are_set_and_not_its_gigabytes(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "db", cache_bytes=1 << 20, buffer_bytes=1 << 20)
    try:
        assert store._db.property_int_value("rocksdb.block-cache-capacity") == 1 << 20
    finally:
        store.close()
