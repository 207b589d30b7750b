"""The partition record as it is stored."""

from __future__ import annotations

import pytest

from streams.core.errors import StateError
from streams.live.partition_record import (
    VERSION,
    InputPosition,
    PartitionRecord,
    decode_record,
    encode_record,
)


def known(next_offset: int, epoch: int = 0) -> InputPosition:
    return InputPosition(topic_id="a", epoch=epoch, next=next_offset)


def test_a_record_survives_storing() -> None:
    record = PartitionRecord(
        watermark=5, newest=7, cluster_id="k", partitions=4, inputs=(known(3), known(4), known(5, epoch=1))
    )
    assert decode_record(encode_record(record)) == record


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"7", b'{"version":2,"watermark":"soon"}', b'{"version":"two"}'])
def test_a_damaged_record_is_explained(raw: bytes) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        decode_record(raw)


def test_a_record_of_other_inputs_is_explained() -> None:
    with pytest.raises(StateError, match="it speaks of 1 inputs, not 3"):
        decode_record(encode_record(PartitionRecord(inputs=(known(3),))))


def test_a_newer_record_is_refused_with_both_versions() -> None:
    raw = encode_record(PartitionRecord(version=VERSION + 1))
    with pytest.raises(StateError, match="in log, partition 3 has version 4, and this Ebbtide reads up to 3") as caught:
        decode_record(raw, "The partition record in log, partition 3")
    assert "Upgrades and rollback" in caught.value.hint


def test_a_field_that_a_later_release_of_the_same_version_added_is_ignored() -> None:
    raw = encode_record(PartitionRecord(watermark=5)).replace(b"{", b'{"held":1,', 1)
    assert decode_record(raw) == PartitionRecord(watermark=5)
