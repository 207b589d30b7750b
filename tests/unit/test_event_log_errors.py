"""A file that is no event log is refused before anything is begun, in words that say what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streams.core.errors import InputFileError
from streams.replay.files import open_log
from tests.support.event_logs import click, write_bytes, write_lines, write_log

ROWS = [click(ts=n) for n in range(500)]


def refusal(path: Path) -> str:
    with pytest.raises(InputFileError) as caught:
        list(open_log(path).records())
    assert path.name in caught.value.what
    assert caught.value.hint
    return caught.value.what


def test_a_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "log.jsonl")


def test_a_directory(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_log(tmp_path / "log.jsonl", ROWS)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read all files, so a mode would not do
    assert "may not be read" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n\r\n"])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    assert "is empty" in refusal(write_bytes(tmp_path / "log.jsonl", content))


def test_an_empty_gzip_file(tmp_path: Path) -> None:
    assert "is empty" in refusal(write_bytes(tmp_path / "log.jsonl.gz", b""))


def test_parquet_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"event_type": [], "user_id": [], "ts": []}), tmp_path / "log.parquet")
    assert "is empty" in refusal(tmp_path / "log.parquet")


@pytest.mark.parametrize("suffix", [".bin", ".gz", ".zst"])
def test_a_binary_file(tmp_path: Path, suffix: str) -> None:
    assert "neither JSON lines nor Parquet" in refusal(write_bytes(tmp_path / f"log{suffix}", bytes(range(256)) * 9))


@pytest.mark.parametrize("lines", [[b"user_id,ts"] * 30, [b"not json"], [b"[1,2]"] * 20, [b"\xff\xfe\xfa"] * 20])
def test_text_that_is_no_json_lines(tmp_path: Path, lines: list[bytes]) -> None:
    assert "is not an event log" in refusal(write_lines(tmp_path / "log.csv", lines))


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".parquet"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_file_cut_off(tmp_path: Path, suffix: str, kept: float) -> None:
    path = write_log(tmp_path / f"log{suffix}", ROWS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert "cut off" in refusal(path)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_a_damaged_file(tmp_path: Path, suffix: str) -> None:
    path = write_log(tmp_path / f"log{suffix}", ROWS, row_group_size=500)
    content = bytearray(path.read_bytes())
    for at in range(20, 60):
        content[at] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("column", ["event_type", "user_id", "ts"])
def test_a_missing_required_column(tmp_path: Path, suffix: str, column: str) -> None:
    rows = [{name: value for name, value in row.items() if name != column} for row in ROWS]
    assert f"has no column {column}" in refusal(write_log(tmp_path / f"log{suffix}", rows))


def test_a_parquet_column_of_an_unreadable_type(tmp_path: Path) -> None:
    table = pa.table({"event_type": ["click"], "user_id": [b"\x00"], "ts": [1]})
    pq.write_table(table, tmp_path / "log.parquet")
    assert "column user_id of type binary" in refusal(tmp_path / "log.parquet")
