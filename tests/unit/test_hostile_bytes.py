"""What fuzzing found once, by name: foreign bytes are refused in Ebbtide's own words, never by a crash."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from models.errors import SnapshotError as ModelSnapshotError
from models.marks import Mark, Marks
from models.snapshots import checksum_of
from streams.core.engine import PartitionEngine
from streams.core.errors import BrokerError, PolicyError, SettingsError, SnapshotError, StateError
from streams.core.events import Position
from streams.core.policy import parse_policy
from streams.core.ports import Rejection
from streams.core.profile import decode_profile
from streams.core.state import decode_state, encode_state
from streams.core.stored_profile import HEADER_BYTES, unpack_profile
from streams.dead_letters import ATTEMPT_HEADER, DROPPED_HEADERS, MOST_HEADERS_BYTES, attempts, dead_letter
from streams.live.fence import NO_WRITER, writer_of
from streams.live.partition_record import decode_record
from streams.model_records import learn, model_record, new_cuts, new_trainer, trainer_from
from streams.policies.reader import default_text, read_policy
from streams.settings import load_settings
from tests.fuzz.loaders import FOLD, a_cut, mark_record, profile_mutation, sealed, stored_profiles
from tests.fuzz.partition_under_fire import BEGIN_MS
from tests.fuzz.tampering import tampered
from tests.support.worlds import purchase

WHERE = "training-examples, partition 0, offset 7"
WHY = Rejection("not_json", "not JSON", Position("clicks", 0, 7))


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'"mark"', b"null", b"{}", b'{"type": 5}', b"\xff", None])
def test_a_foreign_record_among_examples_and_cuts_is_named_by_its_place(value: bytes | None) -> None:
    with pytest.raises(BrokerError, match="offset 7"):
        model_record(value, WHERE)


def test_a_training_record_of_unknown_type_is_refused() -> None:
    with pytest.raises(BrokerError, match="unknown type 'other'"):
        learn(new_trainer(1, 30), {"type": "other"}, 0, 0)


@pytest.mark.parametrize("watermark", [2**62, 253_402_300_800_000, -2, 1e300, 10**30])
def test_a_mark_beyond_the_calendar_is_refused_instead_of_cutting_day_by_day_for_ever(watermark: Any) -> None:
    with pytest.raises(BrokerError, match="is no instant"):
        learn(new_trainer(2, 30), {**mark_record(0, 0), "watermark": watermark}, 0, 0)


def test_a_mark_that_is_infinite_is_refused() -> None:
    with pytest.raises(BrokerError, match="cannot be read"):
        learn(new_trainer(2, 30), {**mark_record(0, 0), "watermark": float("inf")}, 0, 0)


def test_marks_stored_with_a_cut_are_held_to_the_calendar_too() -> None:
    with pytest.raises(ValueError, match="is no instant"):
        Marks(1, 0).restore([list(Mark(2**62, False, False, None))])


@pytest.mark.parametrize("body", [{"type": "same"}, {"type": "frontier", "day": None}, {"type": "same", "day": 10**20}])
def test_a_day_of_model_cuts_that_names_no_day_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ModelSnapshotError, match="names no day"):
        new_cuts(30).add(body)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("resume", {"marks": 3}),
        ("resume", {"marks": [None, None], "counts": 1}),
        ("scorecard", {"strata": "x"}),
        ("counts", {"learned": "x"}),
    ],
)
def test_a_cut_whose_parts_are_of_another_kind_is_refused_although_its_checksum_fits(part: str, value: Any) -> None:
    cut = a_cut()
    place = cut if part in cut else cut["heads"]["churn"]
    place[part] = {**place[part], **value}
    cut["checksum"] = checksum_of(cut)
    with pytest.raises(SnapshotError):
        trainer_from(cut, 2, 30)


@pytest.mark.parametrize("text", ["a = " + "[" * 5_000, "a = " + "{b=" * 5_000, "a = " + "1" * 5_000])
def test_toml_that_breaks_its_parser_is_refused_as_policy_and_as_settings(text: str, tmp_path: Any) -> None:
    with pytest.raises(PolicyError, match="not valid TOML"):
        parse_policy(text, "policy.toml")
    path = tmp_path / "ebbtide.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="not TOML"):
        load_settings({}, path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("shop_days", "1e308"), ("line_value", "1e300"), ("forget_days", "99999999999999999999"), ("dormant_days", "nan")],
)
def test_a_policy_with_numbers_beyond_what_can_be_stored_is_refused(name: str, value: str) -> None:
    lines = [f"{name} = {value}" if line.startswith(f"{name} ") else line for line in default_text().splitlines()]
    assert lines != default_text().splitlines()
    with pytest.raises(PolicyError):
        parse_policy("\n".join(lines), "policy.toml")


def test_a_profile_whose_checksum_was_made_to_fit_is_refused_or_folds() -> None:
    choose = random.Random(7)
    stored = [b"\x01" + value for value in stored_profiles()]
    refused = 0
    for number in range(600):
        changed = profile_mutation(stored[number % len(stored)], choose)
        if changed is None:
            continue
        try:
            decode_profile("u", sealed(changed[1:]), FOLD)
        except StateError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(("place", "instant"), [("event", 2**63 - 1), ("fired", 2**62), ("deadline", -(2**63))])
def test_a_profile_with_an_instant_beyond_the_calendar_is_refused_instead_of_firing_for_ever(
    place: str, instant: int
) -> None:
    value = max(stored_profiles(), key=len)
    stored = unpack_profile(value)
    if place == "event":
        stored.open.append(msgspec.structs.replace(purchase(BEGIN_MS), ts=instant))
    elif place == "fired":
        stored.fired = instant
    else:
        state = decode_state(stored.settled)
        state.next_at = instant
        stored.settled = encode_state(state)
    forged = sealed(value[:HEADER_BYTES] + msgspec.msgpack.encode(stored))
    with pytest.raises(StateError, match="damaged"):
        decode_profile("u", forged, FOLD)


def test_a_header_that_names_no_stage_is_refused_at_the_restore() -> None:
    value = bytearray(stored_profiles()[0])
    value[34] = 200
    engine = PartitionEngine(read_policy(None), {}, horizon_days=30, mode="live")
    with pytest.raises(StateError, match="stage 200"):
        engine.restore("u", bytes(value))


def test_a_partition_record_that_is_no_utf_8_is_explained() -> None:
    with pytest.raises(StateError, match="cannot be read"):
        decode_record(b'{"cluster_id":"\xf3 "}')


@pytest.mark.parametrize("headers", [[("writer", b"")], [("writer", b"123456789")], []])
def test_a_changelog_record_without_a_readable_writer_never_counts(headers: list[tuple[str, bytes]]) -> None:
    assert writer_of(headers) == NO_WRITER


def test_headers_that_would_make_a_dead_letter_too_large_are_left_out_and_counted() -> None:
    headers = [("trace", b"x" * 50_000), (ATTEMPT_HEADER, b"2"), ("more", b"y" * 50_000), ("small", b"z")]
    _, kept = dead_letter(b"{", headers, WHY)
    assert sum(len(value) for _, value in kept) < MOST_HEADERS_BYTES + 1_000
    assert dict(kept)[DROPPED_HEADERS] == b"1"
    assert attempts(kept) == 2
    assert dict(kept)["small"] == b"z"


def test_a_dead_letter_of_a_record_with_a_long_key_says_how_long_it_was() -> None:
    assert dict(dead_letter(b"{", [], WHY, key=b"k" * 70_000)[1])["ebbtide.cut_key_from_bytes"] == b"70000"


def test_tampering_changes_something_most_of_the_time() -> None:
    tree = {"a": [1, {"b": 2.5}], "c": "x"}
    changed = [tampered(json.loads(json.dumps(tree)), random.Random(seed)) != tree for seed in range(200)]
    assert sum(changed) > 150
