"""Migrating what an older version stored gives what this version would have stored, wherever both can say it."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.live.partition_record import InputPosition, PartitionRecord, decode_record, encode_record

offsets = st.integers(-1, 2**62)
positions = st.builds(
    InputPosition, topic_id=st.text(max_size=40), epoch=st.integers(0, 9), next=offsets, newest=offsets
)
records = st.builds(
    PartitionRecord,
    watermark=offsets,
    newest=offsets,
    clock=offsets,
    published=offsets,
    portraits_from=st.integers(0, 2**62),
    inputs=st.one_of(st.just(()), st.tuples(positions, positions, positions)),
)
"""What version 1 can say."""


def version_1(record: PartitionRecord) -> bytes:
    """As the first release stored it: these fields and no other, and no version."""
    names = ("watermark", "newest", "clock", "published", "portraits_from")
    body = {name: getattr(record, name) for name in names}
    body["inputs"] = [msgspec.structs.asdict(position) for position in record.inputs]
    return json.dumps(body).encode()


@given(records)
def test_a_record_of_version_1_migrates_to_what_this_version_stores(record: PartitionRecord) -> None:
    assert encode_record(decode_record(version_1(record))) == encode_record(record)


@given(records)
def test_a_migrated_record_is_not_migrated_again(record: PartitionRecord) -> None:
    stored = encode_record(decode_record(version_1(record)))
    assert encode_record(decode_record(stored)) == stored


@given(records, st.sampled_from(["", "cluster"]), st.integers(0, 512), offsets)
def test_this_version_survives_storing(record: PartitionRecord, cluster: str, partitions: int, begins: int) -> None:
    record = msgspec.structs.replace(record, cluster_id=cluster, partitions=partitions, changelog_begins=begins)
    assert decode_record(encode_record(record)) == record
