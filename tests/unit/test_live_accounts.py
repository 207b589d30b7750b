"""Where the tally of a partition begins whose state is older than the count."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.core.errors import StateError
from streams.core.tally import Tally
from streams.live.accounts import waiting_in
from streams.live.partition_record import PartitionRecord, decode_record, encode_record

STATES = Path(__file__).parents[1] / "fixtures" / "states"
COUNTED = Tally(counts={"churn": {"opened": 3, "returned": 1}})


def test_scores_that_wait_in_a_profile_of_any_schema_are_counted_by_head() -> None:
    value = (STATES / "profile-1.bin").read_bytes()
    assert waiting_in(b"ada", value) == {"churn": 1, "propensity": 0}


def test_a_damaged_profile_is_not_counted_as_empty() -> None:
    with pytest.raises(StateError, match="not an Ebbtide profile"):
        waiting_in(b"ada", b"\x00" * 80)


def test_a_record_of_before_scores_were_counted_has_no_tally() -> None:
    raw = encode_record(PartitionRecord(watermark=5)).replace(b',"tally":null', b"")
    assert decode_record(raw).tally is None


def test_a_tally_survives_storing_with_its_record() -> None:
    assert decode_record(encode_record(PartitionRecord(tally=COUNTED))).tally == COUNTED
