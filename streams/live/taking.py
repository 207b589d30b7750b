"""Taking a partition: fence, restore, rewrite. DESIGN's *Order of effects*, first half."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from streams.core.errors import StateError
from streams.core.tally import decode_tally
from streams.live.changelog import Changelog, ChangelogReader, Write, breathe
from streams.live.fence import PARTITION_KEY, RESERVED, Restore, rewrites
from streams.live.partition_record import PartitionRecord, decode_record, encode_record
from streams.live.store import CopyPosition, RocksStore, Store

log = logging.getLogger(__name__)

ReportProgress = Callable[[int, int], None]
"""(changelog records still to be read, records read since the last call)."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A partition that is ours."""

    store: Store
    changelog: Changelog
    record: PartitionRecord
    unpublished: tuple[bytes, ...]
    """Users whose changed portrait may not have been published."""
    changelog_oldest: int = 0
    """The changelog's oldest offset."""

    @property
    def has_profiles(self) -> bool:
        """Whether anybody is known."""
        return next(iter(self.store.profiles()), None) is not None


async def take_partition(
    open_store: Callable[[], Store],
    reopen_empty: Callable[[Store], Store],
    changelog: Changelog,
    reader: ChangelogReader,
    *,
    now_ms: Callable[[], int],
    progress: ReportProgress = lambda remaining, read: None,
) -> Taken:
    """Fence the partition off from whoever had it, and restore its state.

    Parameters
    ----------
    open_store
        Opens the local copy.
    reopen_empty
        Empties a copy whose continuation is gone from the changelog, and opens it again.
    changelog
        The changelog, with us as a fresh writer.
    reader
        Reads the changelog of this partition.
    now_ms
        Wall clock, ms.
    progress
        Told after every portion.

    Raises
    ------
    StateError
        The changelog lost its end: the copy reaches further, or differs where it ends.
    BrokerError
        The changelog cannot be read to its fence; FencedError if another worker fences us off meanwhile.
    """
    store = open_store()
    try:
        fence = await changelog.fence()
        oldest = await reader.oldest()
        if (position := store.position) is not None:
            if position.offset >= fence:
                raise _cut_off(store, changelog, f"the changelog ended at {fence}")
            if position.offset + 1 < oldest:
                log.warning("The local copy ends at offset %d, the changelog begins at %d.", position.offset, oldest)
                store = reopen_empty(store)
        changelog.stored = store.get
        restore = await _restore(store, reader, changelog, fence, progress)
        raw = store.get(PARTITION_KEY)
        where = f"The partition record in {changelog.where}"
        record = PartitionRecord() if raw is None else decode_record(raw, where)
        again = rewrites(restore.shadowed, store.get)
        begun: list[Write] = []
        if restore.tally is not None:
            # A crash cut a slice off: the profiles that it reached are counted, and will not be again.
            record = msgspec.structs.replace(record, tally=decode_tally(restore.tally))
            begun.append((PARTITION_KEY, encode_record(record)))
        await changelog.append([*again, *begun])
        if restore.shadowed:
            log.warning("Wrote %d keys again that a former owner had overwritten.", len(restore.shadowed))
        store.write(begun, CopyPosition(changelog.last, changelog.writer, now_ms()))
        unpublished = await _unpublished(reader, record, fence, store)
        return Taken(store, changelog, record, unpublished, oldest)
    except BaseException:
        store.close()
        raise


async def _restore(
    store: Store, reader: ChangelogReader, changelog: Changelog, fence: int, progress: ReportProgress
) -> Restore:
    position = store.position
    first = 0 if position is None else position.offset
    restore = Restore() if position is None else Restore(position.writer)
    read = 0
    async for records in reader.read(first, fence):
        if position is not None and records[0].offset == position.offset:
            # The record that the copy ends with; compaction may have taken it.
            if records[0].writer != position.writer:
                raise _cut_off(store, changelog, "the changelog has another record there")
            records = records[1:]
        # The position moves at the end only: keys to be written again are known to this restore alone.
        store.load(restore.counted(records))
        read += len(records)
        if records:
            progress(fence - records[-1].offset, len(records))
        await breathe()
    log.info("Restored offsets %d to %d: %d records, %d of them foreign.", first, fence, read, restore.refused)
    return restore


def _cut_off(store: Store, changelog: Changelog, end: str) -> StateError:
    assert store.position is not None
    copy = f"The local copy in {store.folder}" if isinstance(store, RocksStore) else "The local copy"
    return StateError(
        f"{copy} was written from {changelog.where} up to offset {store.position.offset}, and {end}: the changelog "
        "lost records.",
        "Restore the changelog topic from a copy; or, to go on from what it still holds, move the folder of the local "
        "copy away and start again: what the inputs still hold is read again from there.",
    )


async def _unpublished(reader: ChangelogReader, record: PartitionRecord, fence: int, store: Store) -> tuple[bytes, ...]:
    """Whom to tell anew. Who was only written by a zombie is not known yet, and must not be told to be gone."""
    if record.blank or record.portraits_from > fence:
        return ()
    ended: dict[bytes, bool] = {}
    async for records in reader.read(record.portraits_from, fence):
        ended.update((entry.key, entry.value is None) for entry in records if not entry.key.startswith(RESERVED))
    return tuple(key for key, gone in ended.items() if gone or store.get(key) is not None)
