"""Cleaning never raises and never guesses, whatever a record holds."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.core.cleaning import REASONS, CleaningPolicy, clean, user_of
from streams.core.events import ACTIONS, Event, Position
from streams.core.ports import Rejection

NOW = 1_700_000_000_000
POLICY = CleaningPolicy()
WHERE = Position("purchases", 0, 1)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
plausible = st.sampled_from(["u1", "2024-01-01T00:00:00Z", NOW, "refund", "buy", "view", 1, -1, 0, 2.5, None, ""])
FIELDS = (
    "event_id",
    "user_id",
    "ts",
    "item_id",
    "action",
    "category",
    "brand",
    "price",
    "session_id",
    "query",
    "order_id",
    "quantity",
    "refund_of",
)
line = st.dictionaries(st.sampled_from(("item_id", "category", "brand", "price", "quantity")), plausible | json_values)
records = st.fixed_dictionaries(
    {"user_id": st.just("u1") | json_values, "ts": st.just(NOW) | json_values},
    optional={
        **{name: plausible | json_values for name in FIELDS if name not in ("user_id", "ts")},
        "lines": st.lists(line, max_size=3) | json_values,
    },
)


def run(raw: Any, kind: int) -> Event | Rejection:
    return clean(raw, kind, position=WHERE, record_id="r", published_ms=NOW, policy=POLICY)


@settings(max_examples=400)
@given(json_values | records, st.integers(0, 2))
def test_every_json_value_becomes_an_event_or_a_rejection(raw: Any, kind: int) -> None:
    result = run(raw, kind)
    if isinstance(result, Rejection):
        assert result.reason in REASONS
    else:
        assert isinstance(result, Event)
        assert result.user_id == user_of(raw["user_id"])
        assert 0 <= result.action < len(ACTIONS)
        assert all(entry.quantity != 0 and (entry.price is None or entry.price >= 0) for entry in result.lines)
        assert result.refund is False or all(entry.quantity < 0 for entry in result.lines)
        repr(result).encode()  # nothing that cannot be written gets in


@given(records, st.integers(0, 2))
def test_cleaning_does_not_touch_the_record(raw: dict[str, Any], kind: int) -> None:
    before = repr(raw)
    run(raw, kind)
    assert repr(raw) == before


@settings(max_examples=500)
@given(
    st.floats(0, 1e9)
    | st.integers(0, 10**13).map(lambda n: n / 10_000_000)
    | st.integers(0, 4_000).map(lambda n: n * 5e-7)
)
@example(0.0000005)
@example(1.0000005)
@example(123456789.0000005)
def test_prices_round_like_exact_decimals(price: float) -> None:
    result = run({"user_id": "u", "ts": NOW, "price": price}, 2)
    assert isinstance(result, Event)
    exact = (Decimal(repr(price)) * 1_000_000).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert result.lines[0].price == int(exact)
