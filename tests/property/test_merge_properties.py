"""Merged logs against the obviously right order: everything in one list, sorted."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.replay.files import RawRecord, merge_logs, open_log
from streams.replay.records import KINDS
from tests.support.event_logs import write_log

rows: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    event_type=st.sampled_from(["click", "search", "purchase", "click", "teleport"]),
    user_id=st.just("u"),
    ts=st.sampled_from([10, 10, 11, 12, 13, None, -1]),
)
logs = st.lists(rows, min_size=1, max_size=12)
in_time = logs.map(lambda log: sorted(log, key=lambda row: row["ts"] or 0))
suffixes = st.sampled_from([".jsonl", ".parquet"])


def naive(written: list[list[dict[str, Any]]]) -> list[tuple[int, int]]:
    """(log, row) in merge order: rows without a place of their own take the one of the row before."""
    placed = []
    for index, log in enumerate(written):
        place = (-1, -1)
        for row, fields in enumerate(log):
            if fields["ts"] is not None and fields["ts"] >= 0 and fields["event_type"] in KINDS:
                place = (fields["ts"], KINDS[fields["event_type"]])
            placed.append((place, index, row))
    return [(index, row) for _, index, row in sorted(placed)]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(logs | in_time, suffixes), min_size=1, max_size=3))
def test_merging_is_sorting_everything(written: list[tuple[list[dict[str, Any]], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        opened = [
            open_log(write_log(Path(folder) / f"{index}{suffix}", log)) for index, (log, suffix) in enumerate(written)
        ]
        merged = [(index, record.row) for index, record in merge_logs(opened)]
    assert merged == naive([log for log, _ in written])


@settings(max_examples=30, deadline=None)
@given(logs)
def test_a_log_gives_the_same_records_in_either_format(log: list[dict[str, Any]]) -> None:
    def places(suffix: str) -> list[tuple[int, int | None, int | None]]:
        records: list[RawRecord] = list(open_log(write_log(Path(folder) / f"log{suffix}", log)).records())
        return [(record.row, record.kind, record.ts_ms) for record in records]

    with tempfile.TemporaryDirectory() as folder:
        assert places(".jsonl") == places(".parquet")
