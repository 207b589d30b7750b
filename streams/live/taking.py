"""Taking a partition: fence, restore, rewrite. DESIGN's *Order of effects*, first half."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from streams.live.changelog import Changelog, ChangelogReader, breathe
from streams.live.fence import PARTITION_KEY, RESERVED, Restore, rewrites
from streams.live.partition_record import PartitionRecord, decode_record
from streams.live.store import CopyPosition, Store

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
        Empties a copy that cannot be continued, and opens it again.
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
    BrokerError
        The changelog cannot be read to its fence; FencedError if another worker fences us off meanwhile.
    """
    store = open_store()
    try:
        fence = await changelog.fence()
        position = store.position
        if position is not None and (position.offset >= fence or position.offset + 1 < await reader.oldest()):
            log.warning("The local copy reaches offset %d, which the changelog does not continue.", position.offset)
            store = reopen_empty(store)
        changelog.stored = store.get
        restore = await _restore(store, reader, fence, now_ms, progress)
        await changelog.append(rewrites(restore.shadowed, store.get))
        if restore.shadowed:
            log.warning("Wrote %d keys again that a former owner had overwritten.", len(restore.shadowed))
        store.write((), CopyPosition(changelog.last, changelog.writer, now_ms()))
        raw = store.get(PARTITION_KEY)
        record = PartitionRecord() if raw is None else decode_record(raw)
        unpublished = await _unpublished(reader, record, fence)
        return Taken(store, changelog, record, unpublished)
    except BaseException:
        store.close()
        raise


async def _restore(
    store: Store, reader: ChangelogReader, fence: int, now_ms: Callable[[], int], progress: ReportProgress
) -> Restore:
    position = store.position
    first = 0 if position is None else position.offset + 1
    restore = Restore() if position is None else Restore(position.writer)
    read = 0
    async for records in reader.read(first, fence):
        # The position moves at the end only: keys to be written again are known to this restore alone.
        store.write(restore.counted(records))
        read += len(records)
        progress(fence - records[-1].offset, len(records))
        await breathe()
    log.info("Restored offsets %d to %d: %d records, %d of them foreign.", first, fence, read, restore.refused)
    return restore


async def _unpublished(reader: ChangelogReader, record: PartitionRecord, fence: int) -> tuple[bytes, ...]:
    if not record.inputs or record.portraits_from > fence:
        return ()
    users: dict[bytes, None] = {}
    async for records in reader.read(record.portraits_from, fence):
        users.update((entry.key, None) for entry in records if not entry.key.startswith(RESERVED))
    return tuple(users)
