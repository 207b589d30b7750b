"""The fence rules, one fact each."""

from __future__ import annotations

from streams.live.fence import (
    NO_WRITER,
    ChangelogRecord,
    Restore,
    fence_key,
    judge_gap,
    rewrites,
    writer_header,
    writer_of,
)

OLD, NEW = 11, 22


def put(offset: int, key: bytes, value: bytes | None, writer: int) -> ChangelogRecord:
    return ChangelogRecord(offset, key, value, writer)


def fence(offset: int, writer: int) -> ChangelogRecord:
    return ChangelogRecord(offset, fence_key(writer), b"{}", writer)


def test_a_record_before_any_fence_does_not_count() -> None:
    restore = Restore()
    assert restore.counted([put(0, b"ann", b"1", OLD)]) == []
    assert list(restore.shadowed) == [b"ann"]


def test_what_a_zombie_appends_behind_its_successors_fence_does_not_count() -> None:
    restore = Restore()
    writes = restore.counted([fence(0, OLD), put(1, b"ann", b"1", OLD), fence(2, NEW), put(3, b"ann", b"9", OLD)])
    assert writes == [(b"ann", b"1")]


def test_a_key_is_no_longer_shadowed_once_its_owner_wrote_it_again() -> None:
    restore = Restore()
    restore.counted([fence(0, NEW), put(1, b"ann", b"9", OLD), put(2, b"ann", b"1", NEW)])
    assert not restore.shadowed


def test_a_zombies_tombstone_does_not_erase() -> None:
    restore = Restore()
    writes = restore.counted([fence(0, NEW), put(1, b"ann", b"1", NEW), put(2, b"ann", None, OLD)])
    assert writes == [(b"ann", b"1")]


def test_a_record_without_a_writer_never_counts() -> None:
    assert Restore().counted([put(0, b"ann", b"1", NO_WRITER)]) == []


def test_a_restore_that_continues_a_local_copy_trusts_the_writer_stored_with_it() -> None:
    assert Restore(writer=OLD).counted([put(8, b"ann", b"2", OLD)]) == [(b"ann", b"2")]


def test_a_gap_with_a_newer_fence_means_that_we_are_the_zombie() -> None:
    assert judge_gap([fence(5, NEW)], ours=OLD).newer_fence == NEW


def test_the_echo_of_our_own_retry_is_not_foreign() -> None:
    gap = judge_gap([fence(4, NEW), put(5, b"ann", b"1", NEW)], ours=NEW)
    assert gap == (NO_WRITER, ())


def test_foreign_keys_are_written_again_with_what_we_hold_and_else_buried() -> None:
    stored = {b"ann": b"1"}
    assert rewrites((b"ann", b"bob"), stored.get) == [(b"ann", b"1"), (b"bob", None)]


def test_the_writer_survives_the_headers() -> None:
    assert writer_of(writer_header(2**64 - 1)) == 2**64 - 1


def test_a_malformed_writer_header_names_nobody() -> None:
    assert writer_of([("writer", b"short")]) == NO_WRITER
