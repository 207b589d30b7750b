"""Taking a partition: what is restored, what is written again, what is thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from streams.core.errors import StateError
from streams.core.tally import Tally, encode_tally
from streams.live.fence import PARTITION_KEY, Restore
from streams.live.partition_record import InputPosition, PartitionRecord, decode_record, encode_record
from streams.live.store import CopyPosition, MemoryStore, Store
from streams.live.taking import Taken, take_partition
from tests.support.changelog_in_memory import LogInMemory

OLD, NEW = 11, 22


def take(log: LogInMemory, store: Store, writer: int = NEW, empty: Callable[[Store], Store] | None = None) -> Taken:
    return asyncio.run(
        take_partition(
            lambda: store,
            empty or (lambda old: MemoryStore()),
            log.writer(writer),
            log,  # type: ignore[arg-type]
            now_ms=lambda: 1_000,
        )
    )


def written(log: LogInMemory, writer: int, *writes: tuple[bytes, bytes | None]) -> None:
    async def steps() -> None:
        owner = log.writer(writer)
        await owner.fence()
        await owner.append(writes)

    asyncio.run(steps())


def cut_off(log: LogInMemory, writer: int, *writes: tuple[bytes, bytes | None], tallies: dict[bytes, Tally]) -> None:
    """A slice of which only these records were appended."""

    async def steps() -> None:
        owner = log.writer(writer)
        await owner.fence()
        await owner.append(writes, {key: encode_tally(tally) for key, tally in tallies.items()})

    asyncio.run(steps())


def trespassed(log: LogInMemory, writer: int, key: bytes, value: bytes | None) -> None:
    """A zombie appends one more time."""

    async def steps() -> None:
        zombie = log.writer(writer)
        zombie.last = len(log.records) - 1
        await zombie.append([(key, value)])

    asyncio.run(steps())


def test_an_empty_changelog_gives_an_empty_partition() -> None:
    taken = take(LogInMemory(), MemoryStore())
    assert (list(taken.store.profiles()), taken.record) == ([], PartitionRecord())


def test_the_state_comes_back_from_the_changelog() -> None:
    log = LogInMemory()
    written(log, OLD, (b"ann", b"1"), (b"bob", b"2"), (b"bob", None))
    assert list(take(log, MemoryStore()).store.profiles()) == [(b"ann", b"1")]


def test_a_copy_is_continued_from_where_it_ends() -> None:
    log, store = LogInMemory(), MemoryStore()
    written(log, OLD, (b"ann", b"1"))
    taken = take(log, store)
    asyncio.run(taken.changelog.append([(b"ann", b"2")]))
    assert take(log, store, 33).store.get(b"ann") == b"2"


def test_what_a_zombie_wrote_is_not_restored() -> None:
    log = LogInMemory()
    written(log, OLD, (b"ann", b"1"))
    written(log, NEW, (b"ann", b"2"))
    trespassed(log, OLD, b"ann", b"9")
    assert take(log, MemoryStore(), 33).store.get(b"ann") == b"2"


def test_what_a_zombie_overwrote_is_written_again_before_compaction_can_take_it() -> None:
    log = LogInMemory()
    written(log, OLD, (b"ann", b"1"))
    written(log, NEW, (b"bob", b"2"))
    trespassed(log, OLD, b"ann", b"9")
    take(log, MemoryStore(), 33)
    assert log.records[-1][1:4] == (b"ann", b"1", 33)


def test_after_taking_no_key_is_shadowed() -> None:
    log = LogInMemory()
    written(log, OLD, (b"ann", b"1"))
    written(log, NEW, (b"bob", b"2"))
    trespassed(log, OLD, b"bob", None)
    take(log, MemoryStore(), 33)
    restore = Restore()
    restore.counted(log.records)
    assert not restore.shadowed


def test_a_copy_ahead_of_the_log_means_that_the_log_lost_its_end() -> None:
    log, store = LogInMemory(), MemoryStore()
    written(log, OLD, *((b"u%d" % n, b"1") for n in range(9)))
    take(log, store)
    log.records = log.records[:2]
    with pytest.raises(StateError, match="up to offset 10, and the changelog ended at 2: the changelog lost records"):
        take(log, store, 33)


def test_a_copy_that_differs_from_the_log_where_it_ends_means_that_the_log_lost_its_end() -> None:
    """Others have appended since, so that the log is longer than the copy again."""
    log, store = LogInMemory(), MemoryStore()
    written(log, OLD, *((b"u%d" % n, b"1") for n in range(9)))
    take(log, store)
    log.records = log.records[:2]
    written(log, 33, *((b"u%d" % n, b"2") for n in range(20)))
    with pytest.raises(StateError, match="offset 10, and the changelog has another record there") as caught:
        take(log, store, 44)
    assert "move the folder of the local copy away" in caught.value.hint


def test_a_copy_that_ends_with_a_record_taken_by_compaction_is_continued() -> None:
    log, store = LogInMemory(), MemoryStore()
    taken = take(log, store)
    at = asyncio.run(taken.changelog.append([(b"ann", b"1")]))
    store.write([(b"ann", b"1")], CopyPosition(at, NEW, 1_000))
    asyncio.run(taken.changelog.append([(b"ann", b"2")]))
    log.records = [record for record in log.records if record.offset != at]
    assert take(log, store, 33).store.get(b"ann") == b"2"


def test_a_copy_whose_continuation_is_gone_is_thrown_away() -> None:
    log, store = LogInMemory(), MemoryStore()
    written(log, OLD, (b"ann", b"1"))
    take(log, store)
    written(log, 33, (b"ann", b"2"), (b"bob", b"2"))
    log.gone_below = 4
    emptied: list[Store] = []

    def empty(old: Store) -> Store:
        emptied.append(old)
        return MemoryStore()

    take(log, store, 44, empty)
    assert emptied == [store]


def test_the_partition_record_comes_back() -> None:
    log = LogInMemory()
    record = PartitionRecord(watermark=5, inputs=(InputPosition(topic_id="x", next=7),) * 3, portraits_from=99)
    written(log, OLD, (PARTITION_KEY, encode_record(record)))
    assert take(log, MemoryStore()).record == record


def test_users_whose_portrait_may_be_unpublished_are_named() -> None:
    log = LogInMemory()
    record = PartitionRecord(inputs=(InputPosition(topic_id="x"),) * 3, portraits_from=2)
    written(log, OLD, (b"ann", b"1"), (b"bob", b"1"), (PARTITION_KEY, encode_record(record)))
    assert take(log, MemoryStore()).unpublished == (b"bob",)


OPENED = [Tally(counts={"churn": {"opened": count}}) for count in range(4)]


def ended(record: PartitionRecord) -> tuple[bytes, bytes]:
    return PARTITION_KEY, encode_record(record)


def test_the_tally_of_a_slice_that_was_cut_off_goes_as_far_as_its_profiles() -> None:
    log = LogInMemory()
    record = PartitionRecord(tally=OPENED[1])
    written(log, OLD, (b"ann", b"1"), ended(record))
    cut_off(log, 12, (b"ann", b"2"), (b"bob", b"1"), tallies={b"ann": OPENED[2], b"bob": OPENED[3]})
    assert take(log, MemoryStore()).record.tally == OPENED[3]


def test_the_tally_of_a_whole_slice_is_that_of_its_partition_record() -> None:
    log = LogInMemory()
    cut_off(log, OLD, (b"ann", b"1"), ended(PartitionRecord(tally=OPENED[2])), tallies={b"ann": OPENED[1]})
    assert take(log, MemoryStore()).record.tally == OPENED[2]


def test_a_zombies_tally_does_not_count() -> None:
    log = LogInMemory()
    written(log, OLD, ended(PartitionRecord(tally=OPENED[1])))
    written(log, NEW, ended(PartitionRecord(tally=OPENED[2])))

    async def steps() -> None:
        zombie = log.writer(OLD)
        zombie.last = len(log.records) - 1
        await zombie.append([(b"ann", b"9")], {b"ann": encode_tally(OPENED[3])})

    asyncio.run(steps())
    assert take(log, MemoryStore(), 33).record.tally == OPENED[2]


def test_a_tally_that_was_found_is_written_down_before_anything_else_is_counted() -> None:
    log, store = LogInMemory(), MemoryStore()
    cut_off(log, OLD, (b"ann", b"1"), tallies={b"ann": OPENED[3]})
    take(log, store)
    assert decode_record(store.get(PARTITION_KEY) or b"").tally == OPENED[3]
    assert take(log, MemoryStore(), 33).record.tally == OPENED[3]
