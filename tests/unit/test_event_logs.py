"""Event logs: what each format gives, row by row."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from streams.core.events import Kind
from streams.core.instants import parse_instant
from streams.replay.files import RawRecord, open_log, record_id
from streams.replay.parquet import _instants
from tests.support.event_logs import FORMATS, click, write_bytes, write_lines, write_log

ROWS: list[dict[str, Any]] = [
    {"event_type": "click", "user_id": "u1", "ts": "2024-05-01T10:00:00.500Z", "action": "view", "price": 2.5},
    {"event_type": "search", "user_id": "u2", "ts": "2024-05-01T10:00:01Z", "query": "Schuhe für 2 €"},
    {"event_type": "purchase", "user_id": "u1", "ts": "2024-05-01T12:00:02+02:00", "quantity": 2, "order_id": "o1"},
    {"event_type": "purchase", "user_id": "u1", "ts": "2024-05-01T10:00:03Z", "quantity": -1},
]


def read(path: Path) -> list[RawRecord]:
    return list(open_log(path).records())


@pytest.mark.parametrize("suffix", FORMATS)
class TestEveryFormat:
    def test_rows_keep_their_fields(self, suffix: str, tmp_path: Path) -> None:
        assert [record.raw for record in read(write_log(tmp_path / f"log{suffix}", ROWS))] == ROWS

    def test_rows_know_their_kind(self, suffix: str, tmp_path: Path) -> None:
        kinds = [record.kind for record in read(write_log(tmp_path / f"log{suffix}", ROWS))]
        assert kinds == [Kind.CLICK, Kind.SEARCH, Kind.PURCHASE, Kind.PURCHASE]

    def test_instants_are_epoch_milliseconds(self, suffix: str, tmp_path: Path) -> None:
        instants = [record.ts_ms for record in read(write_log(tmp_path / f"log{suffix}", ROWS))]
        assert instants == [1714557600500, 1714557601000, 1714557602000, 1714557603000]

    def test_rows_are_numbered_from_zero(self, suffix: str, tmp_path: Path) -> None:
        assert [record.row for record in read(write_log(tmp_path / f"log{suffix}", ROWS))] == [0, 1, 2, 3]

    def test_the_count_is_known_before_reading(self, suffix: str, tmp_path: Path) -> None:
        assert open_log(write_log(tmp_path / f"log{suffix}", ROWS)).rows == 4

    def test_the_digest_is_of_the_files_bytes(self, suffix: str, tmp_path: Path) -> None:
        path = write_log(tmp_path / f"log{suffix}", ROWS)
        assert open_log(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_a_log_can_be_read_again(self, suffix: str, tmp_path: Path) -> None:
        log = open_log(write_log(tmp_path / f"log{suffix}", ROWS))
        assert list(log.records()) == list(log.records())

    def test_extra_columns_are_named_once(self, suffix: str, tmp_path: Path) -> None:
        told: list[str] = []
        rows = [{**row, "zeta": 1, "alpha": "x"} for row in ROWS]
        log = open_log(write_log(tmp_path / f"log{suffix}", rows), told.append)
        list(log.records())
        assert log.extra_columns == ("alpha", "zeta")
        assert len(told) == 1
        assert "alpha, zeta" in told[0]

    def test_an_unknown_event_type_is_a_fault_of_the_row(self, suffix: str, tmp_path: Path) -> None:
        rows = [click(), {**click(), "event_type": "teleport"}, {**click(), "event_type": None}]
        faults = [record.fault for record in read(write_log(tmp_path / f"log{suffix}", rows))]
        assert faults[0] is None
        assert [fault.reason for fault in faults[1:] if fault] == ["unknown_type", "unknown_type"]

    def test_an_unreadable_instant_is_none(self, suffix: str, tmp_path: Path) -> None:
        rows = [click(ts="2024-05-01T10:00:00Z"), click(ts="2024-02-30T10:00:00Z"), click(ts=None), click(ts="soon")]
        assert [r.ts_ms for r in read(write_log(tmp_path / f"log{suffix}", rows))] == [1714557600000, None, None, None]

    def test_a_log_out_of_time_order_is_sorted_and_says_so(self, suffix: str, tmp_path: Path) -> None:
        told: list[str] = []
        rows = [click(ts=ts) for ts in (30, 10, 20, 10)]
        log = open_log(write_log(tmp_path / f"log{suffix}", rows), told.append)
        assert [(record.ts_ms, record.row) for record in log.records()] == [(10, 1), (10, 3), (20, 2), (30, 0)]
        assert not log.in_order
        assert len(told) == 1
        assert "sorted first" in told[0]

    def test_a_log_in_time_order_is_not_announced_as_sorted(self, suffix: str, tmp_path: Path) -> None:
        told: list[str] = []
        log = open_log(write_log(tmp_path / f"log{suffix}", ROWS), told.append)
        list(log.records())
        assert log.in_order
        assert told == []

    def test_within_an_instant_clicks_come_before_searches_before_purchases(self, suffix: str, tmp_path: Path) -> None:
        told: list[str] = []
        types = ["purchase", "click", "search", "click"]
        rows = [{**click(ts=7), "event_type": name} for name in types]
        log = open_log(write_log(tmp_path / f"log{suffix}", rows), told.append)
        assert [record.row for record in log.records()] == [1, 3, 2, 0]
        assert told == []

    def test_a_row_without_time_stays_behind_the_row_before_it(self, suffix: str, tmp_path: Path) -> None:
        rows = [click(ts=30), click(ts=None), click(ts=10)]
        assert [record.row for record in read(write_log(tmp_path / f"log{suffix}", rows))] == [2, 0, 1]

    def test_listed_lines_stay_objects(self, suffix: str, tmp_path: Path) -> None:
        lines = [{"item_id": "a", "price": 1.5, "quantity": 2}, {"item_id": "b", "price": 2.5, "quantity": 1}]
        row = {"event_type": "purchase", "user_id": "u", "ts": 5, "lines": lines}
        assert read(write_log(tmp_path / f"log{suffix}", [row]))[0].raw == row


def test_record_ids_sort_as_the_file_does() -> None:
    assert record_id("f" * 64, 9) < record_id("f" * 64, 10)


# -- JSON lines


def test_a_broken_line_is_a_row_with_its_bytes(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "log.jsonl", [b'{"event_type":"click","user_id":"u","ts":5}', b'{"event_type":"cl'])
    record = read(path)[1]
    assert record.raw == b'{"event_type":"cl'
    assert record.fault is not None
    assert record.fault.reason == "not_json"


def test_a_line_that_is_no_object_is_a_row_with_its_bytes(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "log.jsonl", [b'{"event_type":"click","user_id":"u","ts":5}', b"[1]"])
    record = read(path)[1]
    assert record.raw == b"[1]"
    assert record.fault is not None
    assert record.fault.reason == "not_an_object"
    assert record.fault.message.endswith("this is a list")


def test_blank_lines_are_no_rows_but_are_numbered(tmp_path: Path) -> None:
    line = b'{"event_type":"click","user_id":"u","ts":5}'
    log = open_log(write_lines(tmp_path / "log.jsonl", [b"", line, b"  ", line]))
    assert ([record.row for record in log.records()], log.rows) == ([1, 3], 2)


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.jsonl", b'\xef\xbb\xbf{"event_type":"click","user_id":"u","ts":5}\r\n')
    assert read(path)[0].kind == Kind.CLICK


def test_a_last_line_without_line_feed_is_a_row(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.jsonl", b'{"event_type":"click","user_id":"u","ts":5}')
    assert len(read(path)) == 1


@pytest.mark.parametrize("length", [300, 301, 5_000])
def test_an_overlong_line_is_cut_and_the_next_is_read(tmp_path: Path, length: int) -> None:
    line = b'{"event_type":"click","user_id":"u","ts":5}'
    path = write_lines(tmp_path / "log.jsonl", [line, b"x" * length, line])
    first, second, third = open_log(path, max_record_bytes=299).records()
    assert second.fault is not None
    assert second.fault.reason == "oversized"
    assert second.raw == b"x" * 299
    assert (first.kind, third.kind, third.row) == (0, 0, 2)


def test_a_line_of_just_the_limit_is_read(tmp_path: Path) -> None:
    line = b'{"event_type":"click","user_id":"u","ts":5}'
    (record,) = open_log(write_lines(tmp_path / "log.jsonl", [line]), max_record_bytes=len(line)).records()
    assert record.fault is None


def test_nineteen_broken_lines_do_not_condemn_a_log(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "log.jsonl", [b"x"] * 19 + [b'{"event_type":"click","user_id":"u","ts":5}'])
    assert open_log(path).rows == 20


def test_zstandard_frames_may_follow_each_other(tmp_path: Path) -> None:
    line = b'{"event_type":"click","user_id":"u","ts":5}\n'
    path = tmp_path / "log.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(line) + zstandard.ZstdCompressor().compress(line * 2))
    assert open_log(path).rows == 3


def test_the_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.jsonl.gz", ROWS)
    assert len(read(path.rename(tmp_path / "log.txt"))) == 4


# -- Parquet


def columns(**given: Any) -> pa.Table:
    size = len(next(iter(given.values())))
    absent = {"event_type": ["click"] * size, "user_id": ["u"] * size, "ts": list(range(size))}
    return pa.table({**absent, **given})


def first(tmp_path: Path, **given: Any) -> RawRecord:
    pq.write_table(columns(**given), tmp_path / "log.parquet")
    return read(tmp_path / "log.parquet")[0]


def raw(tmp_path: Path, **given: Any) -> dict[str, Any]:
    fields = first(tmp_path, **given).raw
    assert isinstance(fields, dict)
    return fields


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_timestamps_become_epoch_milliseconds(tmp_path: Path, unit: str, zone: str | None) -> None:
    stamp = pa.array([datetime(2024, 5, 1, 10, tzinfo=UTC if zone else None)], pa.timestamp(unit, zone))
    record = first(tmp_path, ts=stamp)
    assert isinstance(record.raw, dict)
    assert (record.ts_ms, record.raw["ts"]) == (1714557600000, 1714557600000)


def test_a_date_is_its_midnight(tmp_path: Path) -> None:
    assert first(tmp_path, ts=[date(2024, 5, 1)]).ts_ms == 1714521600000


def test_not_a_number_is_absent(tmp_path: Path) -> None:
    assert "price" not in raw(tmp_path, price=[float("nan"), 1.0])


def test_decimals_become_numbers(tmp_path: Path) -> None:
    assert raw(tmp_path, price=[Decimal("2.55")])["price"] == 2.55


def test_dictionary_columns_become_text(tmp_path: Path) -> None:
    assert raw(tmp_path, category=pa.array(["a"]).dictionary_encode())["category"] == "a"


def test_extra_columns_are_not_read(tmp_path: Path) -> None:
    assert "blob" not in raw(tmp_path, blob=[b"x"])


def test_rows_with_different_gaps_keep_their_own_fields(tmp_path: Path) -> None:
    pq.write_table(columns(item_id=["a", None, "c", None], price=[None, 2.0, 3.0, None]), tmp_path / "log.parquet")
    fields = [{**record.raw} for record in read(tmp_path / "log.parquet") if isinstance(record.raw, dict)]
    assert [(f.get("item_id"), f.get("price")) for f in fields] == [("a", None), (None, 2.0), ("c", 3.0), (None, None)]


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-05-01T10:00:00.123Z", "2024-05-01T10:00:00Z", None],
        ["2024-05-01T10:00:00.123Z", "1969-05-01T10:00:00Z"],
        ["2024-05-01T10:00:00.123Z", "2024-02-30T10:00:00Z"],
        ["2024-05-01T10:00:00.123Z", "9999-12-31T23:59:59.999Z"],
        ["2024-05-01T10:00:00.123Z", "2016-12-31T23:59:60Z", "nonsense", ""],
        [None, None],
    ],
)
def test_instants_in_bulk_are_those_one_by_one(texts: list[str | None]) -> None:
    assert _instants(pa.array(texts, pa.large_string())) == [parse_instant(text) for text in texts]
