"""Sorting more than fits in memory: sorted runs in temporary files, merged while they are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from heapq import merge
from types import TracebackType
from typing import IO, Any, Final, Generic, Self, TypeVar

import msgspec

from streams.replay.temporary_folder import writing_temporarily

RUN_BYTES: Final = 32 << 20
"""Encoded size of the entries that are sorted in memory at a time."""
RUNS_ALIKE: Final = 128
"""After so many runs they become larger: all their files are open while they are merged."""
_LENGTH_BYTES: Final = 4

Entry = TypeVar("Entry", bound=tuple[Any, ...])


class Spool(Generic[Entry]):
    """Takes entries in any order and gives them back sorted, as often as asked.

    What fits one run stays in memory. As a context manager it removes its files.

    Parameters
    ----------
    kind
        The tuple type of an entry; entries must differ before their first field that cannot be compared.
    run_bytes
        Size of a run, bytes as encoded.

    >>> with Spool(tuple[int, str], run_bytes=4) as spool:
    ...     for entry in [(3, "c"), (1, "a"), (2, "b")]:
    ...         spool.add(entry)
    ...     [letter for _, letter in spool.entries()]
    ['a', 'b', 'c']
    """

    def __init__(self, kind: type[Entry], *, run_bytes: int = RUN_BYTES) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._run_bytes = run_bytes
        self._run: list[Entry] = []
        self._bytes = 0
        self._files: list[IO[bytes]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close()

    def add(self, entry: Entry) -> None:
        """Take an entry.

        Raises
        ------
        OutputFolderError
            The temporary folder cannot be written.
        """
        self._run.append(entry)
        self._bytes += len(self._encode(entry))
        self._count += 1
        if self._bytes >= self._run_bytes * (1 + len(self._files) // RUNS_ALIKE):
            self._write_run()

    def entries(self) -> Iterator[Entry]:
        """Everything taken, sorted."""
        self._run.sort()
        return merge(self._run, *(self._read(file) for file in self._files))

    def _write_run(self) -> None:
        self._run.sort()
        with writing_temporarily():
            file = tempfile.TemporaryFile(prefix="ebbtide-spool-")  # noqa: SIM115 - closed by __exit__
            self._files.append(file)
            for entry in self._run:
                encoded = self._encode(entry)
                file.write(len(encoded).to_bytes(_LENGTH_BYTES, "big"))
                file.write(encoded)
            file.flush()
        self._run, self._bytes = [], 0

    def _read(self, file: IO[bytes]) -> Iterator[Entry]:
        file.seek(0)
        while length := file.read(_LENGTH_BYTES):
            yield self._decode(file.read(int.from_bytes(length, "big")))
