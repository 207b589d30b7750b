"""The local copy of one partition's state: what restarting quickly lives on, and never what is trusted.

The changelog is the truth; a copy says up to which changelog offset it was written and under which writer, in the same
atomic batch as the values. A restart reads on from there. A copy made from another log (another cluster, topics created
anew), one that cannot be opened, or one so old that tombstones may have been compacted away since, is thrown away and
rebuilt from the changelog. One whose changelog alone was created anew is kept beside until that changelog holds state:
it may be all that is left of it.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec
from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, ReadOptions, WriteBatch, WriteOptions

from streams.core.errors import StateError
from streams.live.bulk_load import BulkLoad
from streams.live.fence import RESERVED
from streams.live.log_identity import LogIdentity, decode_identity, encode_identity

log = logging.getLogger(__name__)

POSITION_KEY: Final = b"\x00position"
BEHIND_RESERVED: Final = bytes([RESERVED[0] + 1])
MOST_SLOTS: Final = 16
FLUSH_EVERY_MS: Final = 60_000
"""What a kill takes from a copy at most, beside what is larger than its write buffer: it is read from the changelog."""
LOCKED: Final = ("While lock file", "lock hold by current process")
"""RocksDB's words for a folder that is in use. (It also speaks of a block that is damaged.)"""
SCAN_BYTES: Final = 1 << 20
"""Read ahead of a scan: half of the CPU of one without."""
IDENTITY: Final = "identity.json"

Write = tuple[bytes, bytes | None]


class CopyPosition(msgspec.Struct, frozen=True, array_like=True):
    """How far a copy reaches: last changelog offset, writer of the last fence up to it, wall time of the batch (ms)."""

    offset: int
    writer: int
    written_ms: int


class Store(Protocol):
    """The state of one partition, by changelog key."""

    position: CopyPosition | None
    """None in an empty copy."""

    def get(self, key: bytes) -> bytes | None:
        """The value last written, None where there is none."""

    def write(self, writes: Iterable[Write], position: CopyPosition | None = None) -> None:
        """Apply writes (None deletes) and the position they reach (None: as before), all or nothing."""

    def load(self, writes: Iterable[Write]) -> None:
        """Apply writes of a restore, in bulk. They last once :meth:`write` has said what position they reach."""

    def profiles(self) -> Iterator[tuple[bytes, bytes]]:
        """Every user's key and value, in the order of the keys; keys of our own are left out."""

    def close(self) -> None:
        """Release the folder. The copy stays."""


class MemoryStore:
    """The twin in memory: for tests, and where a restart may read the whole changelog.

    >>> store = MemoryStore()
    >>> store.write([(b"ann", b"1")], CopyPosition(0, 7, 0))
    >>> store.get(b"ann"), store.position.offset
    (b'1', 0)
    """

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self.position: CopyPosition | None = None

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def write(self, writes: Iterable[Write], position: CopyPosition | None = None) -> None:
        for key, value in writes:
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value
        self.position = position or self.position

    def load(self, writes: Iterable[Write]) -> None:
        self.write(writes)

    def profiles(self) -> Iterator[tuple[bytes, bytes]]:
        return ((key, value) for key, value in sorted(self._values.items()) if not key.startswith(RESERVED))

    def close(self) -> None:
        return None


class RocksStore:
    """The copy on disk. Cache and buffers are set, not defaulted: RocksDB's defaults are 2 GiB per partition.

    Parameters
    ----------
    folder
        Its own folder; created where missing.
    cache_bytes, buffer_bytes
        Block cache, and write buffer (two are kept).
    load_bytes
        Of a restore: how much of it is held before it goes to disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cache_bytes: int = 16 << 20,
        buffer_bytes: int = 8 << 20,
        load_bytes: int = 32 << 20,
    ) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(buffer_bytes)
        options.set_max_write_buffer_number(2)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(128)
        options.set_keep_log_file_num(2)
        options.set_max_background_jobs(2)
        # Files of a restore lie over one another: merging them from four on, as RocksDB would, takes the very core on
        # which the next start reads them.
        options.set_level_zero_file_num_compaction_trigger(12)
        # A restore of many users hands over more files at once than RocksDB would take without holding up writes.
        options.set_level_zero_slowdown_writes_trigger(200)
        options.set_level_zero_stop_writes_trigger(400)
        table = BlockBasedOptions()
        table.set_block_cache(Cache(cache_bytes))
        table.set_bloom_filter(10, False)
        options.set_block_based_table_factory(table)
        self.folder = folder
        self._db = Rdict(str(folder), options=options)
        # RocksDB's own log would keep what the changelog keeps, for a third of what a write costs. Without it a crash
        # takes the newest writes from a copy, always together with the position that they reach.
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True  # type: ignore[method-assign, assignment]
        self._flushed_ms: int | None = None
        """Wall time of the write behind which all was on its way to disk."""
        self._loaded = False
        """A restore goes on, or went on until now."""
        self._scan = ReadOptions()
        self._scan.set_readahead_size(SCAN_BYTES)
        self._loading = BulkLoad(self._db, options, folder.with_name(f"{folder.name}.loading.sst"), load_bytes)
        raw = self._db.get(POSITION_KEY)
        self.position: CopyPosition | None = None if raw is None else msgspec.msgpack.decode(raw, type=CopyPosition)

    def get(self, key: bytes) -> bytes | None:
        if key in self._loading.held:
            return self._loading.held[key]
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:  # rocksdict raises bare Exception, with RocksDB's words
            raise _damaged(self.folder, error) from error
        return value

    def load(self, writes: Iterable[Write]) -> None:
        self._loaded = True
        try:
            self._loading.add(writes)
        except Exception as error:  # rocksdict raises bare Exception, with RocksDB's words
            raise _unusable(self.folder, error) from error

    def write(self, writes: Iterable[Write], position: CopyPosition | None = None) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in writes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if position is not None:
            batch.put(POSITION_KEY, msgspec.msgpack.encode(position))
        try:
            self._loading.put_down()
            self._db.write(batch, write_opt=self._unlogged)
            if position is not None:
                self._flush(position.written_ms)
        except Exception as error:  # rocksdict raises bare Exception, with RocksDB's words
            raise _unusable(self.folder, error) from error
        self.position = position or self.position

    def _flush(self, now_ms: int) -> None:
        """Have what was written on disk: at once behind a restore, else now and then and in the background."""
        age_ms = 0 if self._flushed_ms is None else now_ms - self._flushed_ms
        if self._loaded or not 0 <= age_ms < FLUSH_EVERY_MS:
            self._db.flush(self._loaded)
            self._flushed_ms, self._loaded = now_ms, False
        elif self._flushed_ms is None:
            self._flushed_ms = now_ms

    def profiles(self) -> Iterator[tuple[bytes, bytes]]:
        self._loading.put_down()
        end, entry = self._db.iter(), None
        # Keys of our own begin with the lowest byte there is: they are the first, or none.
        for entry in self._db.items(from_key=BEHIND_RESERVED, read_opt=self._scan):
            yield cast(tuple[bytes, bytes], entry)
        # At a block that cannot be read, RocksDB's iterator says that it is at its end.
        try:
            end.seek_to_last()
            end.status()
        except Exception as error:  # rocksdict raises bare Exception, with RocksDB's words
            raise _damaged(self.folder, error) from error
        if end.valid() and end.key() >= BEHIND_RESERVED and (entry is None or entry[0] != end.key()):
            raise _damaged(self.folder, "a part of it cannot be read")

    @property
    def empty(self) -> bool:
        """Whether nothing at all is stored."""
        return next(iter(self._db.keys()), None) is None

    def close(self) -> None:
        try:
            self._db.close()
        except Exception as error:  # noqa: BLE001 (a full disk, a folder deleted under us: the changelog has it all)
            log.warning(
                "The copy in %s could not be closed: %s. What it misses is read from the changelog.", self.folder, error
            )


class StoreFolder:
    """Opens the copies of a worker's partitions under one folder.

    A worker frozen by a debugger still holds the lock of its copy; its successor on the same machine takes the next
    slot instead of waiting. Any slot will do: each says for itself how far it reaches.

    Parameters
    ----------
    root
        Persistent folder; None keeps state in memory only.
    identity
        The log whose copies are wanted; one made from any other is thrown away.
    oldest_ms
        Copies last written before this wall time (ms) are thrown away: tombstones newer than they are may be gone.
    """

    def __init__(self, root: Path | None, identity: LogIdentity, *, oldest_ms: int = 0) -> None:
        self._root = root
        self._identity = identity
        self._oldest_ms = oldest_ms

    def outlived(self, partition: int) -> list[Path]:
        """Copies of a changelog that was created anew since, while cluster and inputs stayed: what it held is here."""
        return [
            folder
            for folder in self._folders(partition)
            if (made_from := self._made_from(folder)) is not None and self._identity.outlived(made_from)
        ]

    def discard_outlived(self, partition: int) -> None:
        """Throw such copies away: the new changelog holds state, so somebody has begun anew on purpose."""
        for folder in self.outlived(partition):
            log.warning("Throwing away the copy in %s: its changelog was created anew.", folder)
            shutil.rmtree(folder)

    def _folders(self, partition: int) -> list[Path]:
        if self._root is None:
            return []
        names = [f"partition-{partition}", *(f"partition-{partition}.{slot}" for slot in range(1, MOST_SLOTS))]
        return [self._root / name for name in names]

    def open(self, partition: int) -> Store:
        """The copy to continue, or an empty one.

        Raises
        ------
        StateError
            When the folder cannot be written or every slot is held by a running process.
        """
        if self._root is None:
            return MemoryStore()
        outlived = self.outlived(partition)
        for folder in self._folders(partition):
            if folder in outlived:
                continue
            try:
                return self._open(folder)
            except _Locked:
                log.warning("%s is held by another process; using the next slot.", folder)
        raise StateError(
            f"All {MOST_SLOTS} copies of partition {partition} in {self._root} are held by other processes.",
            "Stop the old workers, or give this one a state folder of its own.",
        )

    def empty(self, store: Store) -> Store:
        """Throw away a copy that the changelog does not continue, and open it anew."""
        store.close()
        if not isinstance(store, RocksStore):
            return MemoryStore()
        self._start_anew(store.folder.parent, "the changelog does not continue it")
        return self._open_database(store.folder.parent)

    def _open(self, folder: Path) -> Store:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            made_from = self._made_from(folder)
            differences = ["no identity"] if made_from is None else self._identity.differences(made_from)
            if differences:
                self._start_anew(folder, f"it belongs to another log ({', '.join(differences)})")
            elif made_from != self._identity:
                (folder / IDENTITY).write_bytes(encode_identity(self._identity))
            store = self._open_database(folder)
        except OSError as error:
            raise StateError(
                f"The state folder {folder} cannot be used: {error.strerror or error}.",
                "Make it writable, or set another one.",
            ) from error
        position = store.position
        if position is None and not store.empty:
            return self._emptied(store, folder, "its restore was not finished")
        if position is not None and position.written_ms < self._oldest_ms:
            return self._emptied(store, folder, "deletions may have been compacted away since it was last written")
        return store

    def _emptied(self, store: RocksStore, folder: Path, why: str) -> RocksStore:
        store.close()
        self._start_anew(folder, why)
        return self._open_database(folder)

    def _open_database(self, folder: Path) -> RocksStore:
        try:
            return RocksStore(folder / "db")
        except Exception as error:  # rocksdict raises bare Exception, with RocksDB's words
            if any(words in str(error) for words in LOCKED):
                raise _Locked from error
            log.warning("The copy in %s cannot be opened (%s).", folder, error)
            self._start_anew(folder, "it is damaged")
            try:
                return RocksStore(folder / "db")
            except Exception as again:
                raise _unusable(folder, again) from again

    def _start_anew(self, folder: Path, why: str) -> None:
        database = folder / "db"
        if database.exists():
            _refuse_if_locked(database)
            log.warning("Throwing away the copy in %s: %s. It is rebuilt from the changelog.", folder, why)
            shutil.rmtree(database)
        (folder / IDENTITY).write_bytes(encode_identity(self._identity))

    def _made_from(self, folder: Path) -> LogIdentity | None:
        """None for a copy that says nothing usable, a newer version's too: the changelog says what it needs to."""
        try:
            return decode_identity((folder / IDENTITY).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError, StateError):
            return None


def _damaged(folder: Path, why: Exception | str) -> StateError:
    return StateError(
        f"The local copy in {folder} is damaged: {why}.",
        "Delete that folder and start again: it is rebuilt from the changelog.",
    )


def _unusable(folder: Path, error: Exception) -> StateError:
    return StateError(
        f"The local copy in {folder} cannot be written: {error}.",
        "Make room on the disk, or set another state folder. Nothing is lost: the changelog has it all.",
    )


class _Locked(Exception):
    """Another process holds this copy."""


def _refuse_if_locked(database: Path) -> None:
    """RocksDB locks a folder through ``LOCK``; deleting under a running process would leave it writing into nothing."""
    import fcntl

    lock = database / "LOCK"
    if not lock.exists():
        return
    handle = os.open(lock, os.O_RDWR)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise _Locked from error
    finally:
        os.close(handle)
