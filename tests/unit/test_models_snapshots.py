"""Model cuts: exact through JSON, named by their content, and refused when they are not ours."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from models.churn import BayesianLogistic
from models.errors import SnapshotError
from models.schema import schema_hash
from models.snapshots import day_text, dumps, loads, model_hash, verify
from tests.support.training_logs import DAY, FEATURES, SPEC, START, cut_of, example, plain_loop


def cut(**changes: Any) -> dict[str, Any]:
    bodies = [example(n, START + n, schema=SPEC.schema) for n in range(60)]
    return cut_of(plain_loop(bodies, START + DAY), **changes)


def model_of(record: dict[str, Any]) -> dict[str, Any]:
    model: dict[str, Any] = record["heads"]["churn"]["models"]["posterior"]
    return model


def test_round_trip_is_exact() -> None:
    assert loads(dumps(cut())) == cut()


def test_round_trip_through_another_json_library_keeps_the_checksum() -> None:
    assert verify(orjson.loads(orjson.dumps(cut()))) == cut()


def test_model_goes_on_the_same_after_a_round_trip() -> None:
    record = cut()
    assert BayesianLogistic.from_state(FEATURES, model_of(loads(dumps(record)))).state() == model_of(record)


def test_version_is_the_day_and_the_first_eight_digits_of_the_content() -> None:
    record = cut()
    assert record["version"] == f"{day_text(START)}-{model_hash(record)[:8]}"


def test_version_does_not_depend_on_offsets() -> None:
    assert cut(next_offset=99, resume={"position": 200})["version"] == cut()["version"]


def test_version_changes_with_one_bit_of_a_weight() -> None:
    model = model_of(cut())
    weights = [model["weights"][0] * (1 + 2**-52), *model["weights"][1:]]
    assert cut(models={"posterior": {**model, "weights": weights}})["version"] != cut()["version"]


@pytest.mark.parametrize(
    ("instant_ms", "text"),
    [
        (1317340800000, "20110930"),
        (1317384000000, "20110930T1200"),
        (1317384030000, "20110930T120030"),
        (1317384030007, "20110930T120030007"),
    ],
)
def test_day_text_is_as_precise_as_it_must_be(instant_ms: int, text: str) -> None:
    assert day_text(instant_ms) == text


def test_schema_hash_tells_the_order_of_features() -> None:
    assert schema_hash(["a", "b"]) != schema_hash(["b", "a"])


def test_schema_hash_tells_where_one_name_ends() -> None:
    assert schema_hash(["ab", "c"]) != schema_hash(["a", "bc"])


def test_changed_weight_is_refused() -> None:
    record = cut()
    model_of(record)["weights"][0] += 1e-9
    with pytest.raises(SnapshotError, match="does not fit its checksum"):
        verify(record)


def test_changed_offset_is_refused() -> None:
    with pytest.raises(SnapshotError, match="does not fit its checksum"):
        verify({**cut(), "next_offset": 18})


def test_other_horizon_is_refused() -> None:
    with pytest.raises(SnapshotError, match="predicts churn 30 days ahead, and 60 are asked for"):
        verify(cut(), horizons={"churn": 60})


def test_newer_format_is_refused_before_anything_else_is_judged() -> None:
    with pytest.raises(SnapshotError, match="has format 3"):
        verify({"type": "cut", "format": 3, "unheard": "of"})


@pytest.mark.parametrize("record", [None, [], {}, {"type": "same"}, {"type": "cut"}, {"type": "cut", "format": "1"}])
def test_foreign_record_is_refused(record: object) -> None:
    with pytest.raises(SnapshotError, match="not a model cut"):
        verify(record)


def test_missing_part_is_named() -> None:
    record = cut()
    del record["heads"]["churn"]["columns"]
    with pytest.raises(SnapshotError, match=r"lacks a usable churn\.columns"):
        verify(record)


@pytest.mark.parametrize("text", [b"", b"\x80\x04\x95", b'{"type":"cut"'])
def test_text_that_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(SnapshotError, match="not JSON"):
        loads(text)


def test_infinite_weight_cannot_be_smuggled_in() -> None:
    record = cut()
    model_of(record)["weights"][0] = float("inf")
    with pytest.raises(SnapshotError, match="what JSON cannot"):
        loads(json.dumps(record).encode())


def test_error_says_what_to_do() -> None:
    with pytest.raises(SnapshotError) as caught:
        verify({})
    assert caught.value.hint
