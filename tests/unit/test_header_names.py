"""A record whose header name is no UTF-8 is read like any other."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from faust.transport.drivers import aiokafka as driver

import streams.live.consumer
from streams.live.header_names import ForgivingRecords

NAMES = {b"abcd": b"\xff\xfe\xfdd"}


def batch(first: int, names: list[str], compression: int = 0) -> bytes:
    """Three records; the middle one has the headers."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, 0, 10_000)
    for offset in range(3):
        headers = [(name, b"x") for name in names] + [("none", None)] if offset == 1 else []
        builder.append(offset, timestamp=5, key=b"k", value=b"v%d" % (first + offset), headers=headers)
    raw = bytearray(builder.build())
    for good, bad in NAMES.items():
        raw = raw.replace(good, bad)
    raw[0:8] = struct.pack(">q", first)
    raw[17:21] = struct.pack(">I", calc_crc32c(bytes(raw[21:])))
    return bytes(raw)


def unpacked(records: Any) -> list[tuple[Any, ...]]:
    found = []
    while records.has_next():
        one = records.next_batch()
        assert one.validate_crc()
        found += [(record.offset, record.timestamp, record.key, record.value, tuple(record.headers)) for record in one]
        found.append((one.base_offset, one.next_offset, one.is_control_batch, one.is_transactional, one.producer_id))
    return found


def test_the_workers_consumer_reads_by_it() -> None:
    assert issubclass(streams.live.consumer.Consumer, driver.Consumer)
    assert fetcher.MemoryRecords is ForgivingRecords


def test_records_around_and_of_a_bad_header_name_are_read() -> None:
    found = unpacked(ForgivingRecords(batch(7, ["fine", "abcd"]) + batch(10, [])))
    assert [record[0] for record in found if len(record) == 5 and record[3].__class__ is bytes] == [7, 8, 9, 10, 11, 12]
    assert found[1][4] == (("fine", b"x"), ("\ufffd\ufffd\ufffdd", b"x"), ("none", None))


@pytest.mark.parametrize("compression", [0, 1])
def test_good_batches_are_read_as_aiokafka_reads_them(compression: int) -> None:
    raw = batch(0, ["one", "zwei"], compression) + batch(3, [], compression)
    assert unpacked(ForgivingRecords(raw)) == unpacked(MemoryRecords(raw))


def test_a_batch_cut_off_by_the_fetch_is_left_for_the_next_one() -> None:
    records = ForgivingRecords(batch(0, []) + batch(3, [])[:40])
    assert len([record for record in unpacked(records) if len(record) == 5]) == 4
    assert records.size_in_bytes() > 0
