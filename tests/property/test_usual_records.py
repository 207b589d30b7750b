"""The straight way to an event against the reference: where it makes one, cleaning makes the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.core.cleaning import CleaningPolicy, clean
from streams.core.events import Event, Position
from streams.core.usual_records import UsualRecords

NOW = 1_700_000_000_000
POLICY = CleaningPolicy()
USUAL = UsualRecords(POLICY)
LONG = "x" * 127

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
texts = st.sampled_from(
    ["u1", " u1", "u1 ", "", "  ", "\0u", "\ud800", "衣服", "a\u2003", "\x1f", LONG, LONG + "é", LONG + "xy", "y" * 257]
)
instants = st.sampled_from(
    [
        NOW,
        NOW + 300_000,
        NOW + 300_001,
        0,
        -1,
        631_151_999_999,
        631_152_000_000,
        2**63,
        float(NOW),
        str(NOW),
        "2023-11-14T00:00:00Z",
        "2023-11-14T00:00:00.5Z",
        "2199-11-14T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "yesterday",
        " 2023-11-14 ",
        True,
    ]
)
actions: st.SearchStrategy[Any] = st.sampled_from(
    ["view", "fav", "Add-to Cart", "buy", "refund", "cancel", "other", "dance", "", None, 5, [], {}]
)
numbers = st.sampled_from(
    [0, 1, -1, 2, 2.0, 0.5, -0.0, 19.99, 1e9, 1_000_000_001, 10**30, float("nan"), float("inf"), True, None, "1"]
)
text_or_not = texts | json_values
fields: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("event_id", "item_id", "category", "brand", "session_id", "query", "order_id"), text_or_not),
    "refund_of": st.none() | texts,
    "action": actions | json_values,
    "price": numbers | json_values,
    "quantity": numbers | json_values,
}
line = st.fixed_dictionaries({}, optional={n: fields[n] for n in ("item_id", "category", "brand", "price", "quantity")})
hostile = st.fixed_dictionaries(
    {"user_id": texts | json_values, "ts": instants | json_values},
    optional={**fields, "lines": st.lists(line | json_values, max_size=3) | json_values},
)
good_line = st.fixed_dictionaries(
    {"item_id": st.just("i")},
    optional={"price": st.floats(0, 1e9) | st.integers(0, 10**9), "quantity": st.integers(1, 9), "brand": st.just("b")},
)
well_formed = st.fixed_dictionaries(
    {
        "user_id": st.text(st.characters(categories=("L", "N")), min_size=1, max_size=9),
        "ts": st.integers(NOW - 10**10, NOW) | st.just("2023-11-14T10:20:30.250Z"),
        "action": st.sampled_from(["view", "cart"]),
    },
    optional={
        "event_id": st.text(st.characters(categories=("L", "N", "Zs")), min_size=1, max_size=9),
        "item_id": st.just("i"),
        "category": st.just("衣服"),
        "query": st.just("red shoes"),
        "session_id": st.just("s"),
        "order_id": st.just("o"),
        "price": st.floats(0, 1e9),
        "lines": st.lists(good_line, min_size=1, max_size=3),
        "unknown": json_values,
    },
)


def reference(raw: Any, kind: int) -> Any:
    where = Position("clicks", 3, 7)
    return clean(raw, kind, position=where, record_id="clicks-3-7", published_ms=NOW, policy=POLICY)


def usual(raw: Any, kind: int, record_id: str | None = "clicks-3-7") -> Event | None:
    return USUAL.of(kind)(raw, 3, 7, record_id, NOW)


@settings(max_examples=1_500, deadline=None)
@given(hostile | well_formed | json_values, st.integers(0, 2))
@example({"user_id": "u", "ts": NOW, "price": 0.0000005, "quantity": 1}, 2)
def test_where_the_straight_way_makes_an_event_cleaning_makes_the_same(raw: Any, kind: int) -> None:
    event = usual(raw, kind)
    assert event is None or event == reference(raw, kind)


@settings(max_examples=500, deadline=None)
@given(hostile | well_formed, st.integers(0, 2))
def test_so_it_does_of_rows_of_files(raw: Any, kind: int) -> None:
    event = UsualRecords(POLICY, from_file=True).of(kind)(raw, 3, -1, "f-7", NOW)
    where = Position("f", 3, 7)
    cleaned = clean(raw, kind, position=where, record_id="f-7", published_ms=NOW, policy=POLICY, from_file=True)
    assert event is None or event == cleaned


@settings(max_examples=200, deadline=None)
@given(well_formed, st.integers(0, 2))
def test_a_well_formed_record_goes_the_straight_way(raw: dict[str, Any], kind: int) -> None:
    assume_named = {**raw, "event_id": "e"}
    assert usual(assume_named, kind) == reference(assume_named, kind)
    assert usual(assume_named, kind) is not None


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_without_an_event_id_and_a_name_nothing_is_made(kind: int) -> None:
    raw = {"user_id": "u", "ts": NOW, "action": "view", "query": "q"}
    assert usual(raw, kind, None) is None
    assert usual(raw, kind) == reference(raw, kind)


def test_an_action_that_nobody_knows_is_left_to_cleaning_which_has_it_counted() -> None:
    raw = {"user_id": "u", "ts": NOW, "event_id": "e"}
    unknown: list[Any] = ["dance", "buy", None, []]
    assert [usual({**raw, "action": action}, 0) for action in unknown] == [None] * 4
