"""JSON in and out, held against the standard library."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import CodecError, decode, encode

documents: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=12,
)


@given(documents)
def test_what_is_written_is_read_back(document: Any) -> None:
    assert decode(encode(document)) == document


@given(documents)
def test_the_standard_library_reads_the_same(document: Any) -> None:
    assert json.loads(encode(document)) == document


def test_sorted_keys_make_equal_values_equal_bytes() -> None:
    assert encode({"b": 1, "a": {"d": 2, "c": 3}}, sort_keys=True) == b'{"a":{"c":3,"d":2},"b":1}'


def test_without_sorting_the_order_of_insertion_stays() -> None:
    assert encode({"b": 1, "a": 2}) == b'{"b":1,"a":2}'


def test_a_line_ends_with_one_line_feed() -> None:
    assert encode([1], newline=True) == b"[1]\n"


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"a":1,}', b"\xff\xfe", b"NaN", b"[1] 2", b"[" * 2_000, b'"\xed\xa0\x80"', "'a'"]
)
def test_what_is_not_json_says_so(raw: bytes | str) -> None:
    with pytest.raises(CodecError, match="^not JSON: "):
        decode(raw)


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, 2**64, "\ud800", {"a": b"bytes"}])
def test_what_json_cannot_carry_says_so(value: Any) -> None:
    with pytest.raises(CodecError, match="^cannot be written as JSON: "):
        encode(value)


def test_a_codec_error_is_a_value_error() -> None:
    assert issubclass(CodecError, ValueError)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_null(value: float) -> None:
    assert encode([value]) == b"[null]"
