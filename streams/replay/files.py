"""Event logs in files: JSON lines (plain, gzip, Zstandard) and Parquet behind one :func:`open_log`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streams.core.errors import InputFileError
from streams.replay.compression import GZIP, PARQUET, ZSTD, decompressed, digest_of, magic_of
from streams.replay.jsonl import JsonLog
from streams.replay.merge import merge_logs
from streams.replay.parquet import ParquetLog
from streams.replay.records import DEFAULT_MAX_RECORD_BYTES, EventLog, Fault, RawRecord, record_id

__all__ = ["EventLog", "Fault", "RawRecord", "merge_logs", "open_log", "record_id"]


def _silent(message: str) -> None:
    """Nobody wants to be told."""


def open_log(
    path: Path | str,
    notify: Callable[[str], None] = _silent,
    *,
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
) -> EventLog:
    """Open an event log, after looking it through from end to end, so that nothing is begun that cannot be finished.

    Parameters
    ----------
    path
        JSON lines or Parquet, told apart by content, with at least the columns event_type, user_id and ts.
    notify
        Is told once of columns that are ignored, and of a log that has to be sorted first.
    max_record_bytes
        A JSON line beyond it becomes a row with the fault ``oversized``.

    Raises
    ------
    InputFileError
        Missing, unreadable, empty, cut off, damaged, neither of the formats, or without a required column.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
    >>> _ = path.write_text('{"event_type": "click", "user_id": "u", "ts": 5, "action": "view"}\\n')
    >>> [(record.row, record.kind, record.ts_ms) for record in open_log(path).records()]
    [(0, 0, 5)]
    """
    path = Path(path)
    magic = magic_of(path)
    if not magic:
        raise InputFileError(f"{path} is empty.", "An event log has at least one row.")
    log: EventLog
    if magic == PARQUET:
        log = ParquetLog(path, digest_of(path), notify)
    else:
        _check_text(path, compressed=magic.startswith(GZIP) or magic == ZSTD)
        log = JsonLog(path, digest_of(path), notify, max_record_bytes)
    if log.extra_columns:
        notify(f"{path}: columns that are ignored: {', '.join(log.extra_columns)}.")
    return log


def _check_text(path: Path, *, compressed: bool) -> None:
    with decompressed(path) as stream:
        head = stream.read(4_096)
    if b"\x00" in head:
        within = "what is compressed in it" if compressed else "it"
        raise InputFileError(
            f"{path} is not an event log: {within} is neither JSON lines nor Parquet.",
            "Give JSON lines (one object per line; plain, .gz or .zst) or Parquet.",
        )
