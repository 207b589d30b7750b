"""Small event logs in every format that is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

FORMATS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")


def click(user: str = "u", ts: object = 1_000, **fields: Any) -> dict[str, Any]:
    """One click row."""
    return {"event_type": "click", "user_id": user, "ts": ts, "action": "view", **fields}


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes, compressed as the name says."""
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstandard.ZstdCompressor().compress(content)
    path.write_bytes(content)
    return path


def write_lines(path: Path, lines: Sequence[bytes]) -> Path:
    """Write raw lines, compressed as the name says."""
    return write_bytes(path, b"".join(line + b"\n" for line in lines))


def write_log(path: Path, rows: Sequence[dict[str, Any]], *, row_group_size: int = 3) -> Path:
    """Write rows in the format that the name says."""
    if path.suffix != ".parquet":
        return write_lines(path, [json.dumps(row).encode() for row in rows])
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    pq.write_table(table, path, row_group_size=row_group_size)
    return path
