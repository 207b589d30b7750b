"""Sorting more Arrow batches than fit in memory: sorted runs in temporary files, merged batch by batch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from streams.replay.spool import RUNS_ALIKE
from streams.replay.temporary_folder import writing_temporarily

if TYPE_CHECKING:
    import pyarrow as pa

RUN_BYTES: Final = 32 << 20
"""Size of the batches that are sorted in memory at a time."""
BATCH_ROWS: Final = 8_192


Item = TypeVar("Item")


class SortedRuns:
    """Takes batches of one schema with a key for each row, and gives the rows back by (key, row).

    What fits one run stays in memory. As a context manager it removes its files.

    Parameters
    ----------
    run_bytes
        Size of a run.
    """

    def __init__(self, *, run_bytes: int = RUN_BYTES) -> None:
        self._run_bytes = run_bytes
        self._batches: list[pa.RecordBatch] = []
        self._keys: list[int] = []
        self._rows: list[int] = []
        self._bytes = 0
        self._written: list[Path] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, batch: pa.RecordBatch, keys: Sequence[int], rows: Sequence[int]) -> None:
        """Take a batch: the sort key and the number of each of its rows.

        Raises
        ------
        OutputFolderError
            The temporary folder cannot be written.
        """
        self._batches.append(batch)
        self._keys += keys
        self._rows += rows
        self._bytes += batch.nbytes
        if self._bytes >= self._run_bytes * (1 + len(self._written) // RUNS_ALIKE):
            self._write()

    def merged(self, unpacked: Callable[[pa.RecordBatch, list[int]], Iterable[Item]]) -> Iterator[Item]:
        """What every row is unpacked to, batch by batch, in order."""
        if not self._written:
            for batch, _, rows in self._run():
                yield from unpacked(batch, rows)
            return
        if self._batches:
            self._write()
        for _, _, item in merge(*(self._read(path, unpacked) for path in self._written)):
            yield item

    def _run(self) -> Iterator[tuple[pa.RecordBatch, list[int], list[int]]]:
        """What is held, sorted: batches, keys, rows; nothing is held any more."""
        import pyarrow as pa

        table = pa.Table.from_batches(self._batches) if self._batches else None
        keys, rows = self._keys, self._rows
        self._batches, self._keys, self._rows, self._bytes = [], [], [], 0
        order = sorted(range(len(keys)), key=keys.__getitem__)
        for start in range(0, len(order), BATCH_ROWS):
            part = order[start : start + BATCH_ROWS]
            for batch in table.take(part).combine_chunks().to_batches() if table is not None else ():
                taken, part = part[: batch.num_rows], part[batch.num_rows :]
                yield batch, [keys[place] for place in taken], [rows[place] for place in taken]

    def _write(self) -> None:
        import pyarrow as pa

        with writing_temporarily():
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="ebbtide-sort-")
            path = Path(self._folder.name) / f"run-{len(self._written)}"
            writer: Any = None
            for batch, keys, rows in self._run():
                columns = [pa.array(keys, pa.int64()), pa.array(rows, pa.int64()), *batch.columns]
                names = ["", " ", *batch.schema.names]
                whole = pa.RecordBatch.from_arrays(columns, names)
                if writer is None:
                    writer = pa.ipc.new_stream(str(path), whole.schema)
                writer.write_batch(whole)
            writer.close()
        self._written.append(path)

    def _read(
        self, path: Path, unpacked: Callable[[pa.RecordBatch, list[int]], Iterable[Item]]
    ) -> Iterator[tuple[int, int, Item]]:
        """(key, row, item) of every row of a run; no two are alike in the first two."""
        import pyarrow as pa

        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
            for whole in stream:
                batch = pa.RecordBatch.from_arrays(whole.columns[2:], whole.schema.names[2:])
                keys, rows = whole.column(0).to_pylist(), whole.column(1).to_pylist()
                yield from zip(keys, rows, unpacked(batch, rows), strict=True)
