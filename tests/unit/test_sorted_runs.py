"""Sorting Arrow batches on disk gives what sorting them in memory gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from streams.core.errors import OutputFolderError
from streams.replay.sorted_runs import SortedRuns

Unpacked = tuple[int, dict[str, Any]]


def unpacked(batch: pa.RecordBatch, rows: list[int]) -> Iterator[Unpacked]:
    yield from zip(rows, batch.to_pylist(), strict=True)


def log(seed: int, *, rows: int = 500) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    return [
        {
            "key": dice.randrange(60),
            "text": dice.choice([None, "tea", "jug"]),
            "lines": [{"price": dice.random(), "item_id": None}] * dice.randrange(3),
        }
        for _ in range(rows)
    ]


def given_back(found: list[dict[str, Any]], run_bytes: int) -> list[Unpacked]:
    with SortedRuns(run_bytes=run_bytes) as runs:
        for begin in range(0, len(found), 64):
            part = found[begin : begin + 64]
            batch = pa.RecordBatch.from_pylist(part, schema=pa.Table.from_pylist(found).schema)
            runs.add(batch, [row["key"] for row in part], range(begin, begin + len(part)))
        return list(runs.merged(unpacked))


@pytest.mark.parametrize("run_bytes", [1, 10_000, 1 << 30], ids=["a run each batch", "some runs", "in memory"])
@pytest.mark.parametrize("seed", range(3))
def test_rows_come_by_key_and_number_whatever_the_size_of_a_run(seed: int, run_bytes: int) -> None:
    found = log(seed)
    assert given_back(found, run_bytes) == sorted(enumerate(found), key=lambda row: (row[1]["key"], row[0]))


def test_nothing_taken_gives_nothing_back() -> None:
    assert given_back([], 1) == []


def test_its_files_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    given_back(log(4), 1)
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(OutputFolderError, match="missing cannot be written"):
        given_back(log(5), 1)
