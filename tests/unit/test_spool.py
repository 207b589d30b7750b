"""The spool sorts whatever its runs are, and leaves no files behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.errors import OutputFolderError
from streams.replay.spool import Spool


@given(
    st.lists(st.tuples(st.integers(-(2**40), 2**40), st.binary(max_size=20)), max_size=60),
    st.integers(1, 400),
)
def test_what_comes_out_is_what_went_in_sorted(entries: list[tuple[int, bytes]], run_bytes: int) -> None:
    with Spool(tuple[int, bytes], run_bytes=run_bytes) as spool:
        for entry in entries:
            spool.add(entry)
        assert len(spool) == len(entries)
        assert list(spool.entries()) == sorted(entries)


def test_it_can_be_read_twice() -> None:
    with Spool(tuple[int], run_bytes=1) as spool:
        for number in (2, 3, 1):
            spool.add((number,))
        assert list(spool.entries()) == list(spool.entries()) == [(1,), (2,), (3,)]


def test_its_files_have_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spool(tuple[int], run_bytes=1) as spool:
        spool.add((1,))
        assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with Spool(tuple[int], run_bytes=1) as spool, pytest.raises(OutputFolderError, match="No space left on device"):
        spool.add((1,))
