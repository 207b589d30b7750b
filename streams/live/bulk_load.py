"""A restore's way into RocksDB: the newest value of each key, in sorted files that the database takes over as they are.

Written key by key, a million profiles go through its log and its buffers, are flushed and compacted: 9 µs each. So they
cost 3. Nothing of it counts before the store has written what position it reaches.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rocksdict import IngestExternalFileOptions, Options, Rdict, SstFileWriter, WriteBatch

LEAST_PART: Final = 32
"""Of what a file may hold: less is not worth one, and becomes a write batch."""


class BulkLoad:
    """Holds what was read until it is worth a file.

    Parameters
    ----------
    database, options
        Where it goes, and the options that it was opened with.
    file
        Where a file is made; on the disk of the database, which moves it.
    most_bytes
        How much is held.
    """

    def __init__(self, database: Rdict, options: Options, file: Path, most_bytes: int) -> None:
        self.held: dict[bytes, bytes | None] = {}
        """Not in the database yet; None deletes."""
        self._database = database
        self._options = options
        self._file = file
        self._file.unlink(missing_ok=True)  # what a crash left
        self._most_bytes = most_bytes
        self._bytes = 0

    def add(self, writes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take more, in order."""
        held, size = self.held, 0
        for key, value in writes:
            held[key] = value
            size += len(key) + (0 if value is None else len(value))
        self._bytes += size
        if self._bytes >= self._most_bytes:
            self.put_down()

    def put_down(self) -> None:
        """Have all that is held in the database."""
        if not self.held:
            return
        if self._bytes < self._most_bytes // LEAST_PART:
            self._as_a_batch()
        else:
            self._as_a_file()
        self.held.clear()
        self._bytes = 0

    def _as_a_batch(self) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in self.held.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._database.write(batch)

    def _as_a_file(self) -> None:
        file = SstFileWriter(self._options)
        file.open(str(self._file))
        for key in sorted(self.held):
            value = self.held[key]
            if value is None:
                del file[key]
            else:
                file[key] = value
        file.finish()
        move = IngestExternalFileOptions()
        move.set_move_files(True)
        self._database.ingest_external_file([str(self._file)], move)
