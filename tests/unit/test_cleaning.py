"""Cleaning: one rule of DESIGN's *Events in* at a time."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.actions import ACTION_NAMES, DEFAULT_ACTIONS
from streams.core.cleaning import CleaningPolicy, clean, is_unknown_action, user_of
from streams.core.events import ACTIONS, Event, Kind, Line, Position
from streams.core.ports import Rejection

NOW = 1_700_000_000_000
POLICY = CleaningPolicy()
WHERE = Position("clicks", 3, 17)


def cleaned(
    kind: Kind, /, *, policy: CleaningPolicy = POLICY, from_file: bool = False, **fields: Any
) -> Event | Rejection:
    raw = {"user_id": "u1", "ts": NOW, **fields}
    return clean(raw, kind, position=WHERE, record_id="r-17", published_ms=NOW, policy=policy, from_file=from_file)


def event(kind: Kind, /, **fields: Any) -> Event:
    made = cleaned(kind, **fields)
    assert isinstance(made, Event), made
    return made


def reason(kind: Kind, /, **fields: Any) -> str:
    refused = cleaned(kind, **fields)
    assert isinstance(refused, Rejection), refused
    assert refused.position == WHERE
    assert refused.message
    return refused.reason


def lines(**fields: Any) -> tuple[Line, ...]:
    return event(Kind.PURCHASE, **fields).lines


# -- identity and place


def test_an_event_id_names_the_event() -> None:
    made = event(Kind.CLICK, event_id="e-1")
    assert (made.id, made.named) == ("e-1", True)


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_without_an_event_id_the_position_names_the_event(blank: str | None) -> None:
    made = event(Kind.CLICK, event_id=blank)
    assert (made.id, made.named) == ("r-17", False)


def test_a_numeric_event_id_becomes_text() -> None:
    assert event(Kind.CLICK, event_id=9).id == "9"


def test_long_event_ids_stay_distinct_when_cut() -> None:
    one, two = event(Kind.CLICK, event_id="x" * 500 + "1"), event(Kind.CLICK, event_id="x" * 500 + "2")
    assert one.id != two.id
    assert len(one.id) == len(two.id) == 128


def test_an_event_keeps_its_partition_and_offset() -> None:
    made = event(Kind.CLICK)
    assert (made.partition, made.offset) == (3, 17)


def test_a_file_row_has_no_offset_that_could_repeat() -> None:
    assert event(Kind.CLICK, from_file=True).offset == -1


# -- user


@pytest.mark.parametrize("nobody", [None, "", "   "])
def test_a_record_without_user_is_rejected(nobody: str | None) -> None:
    assert reason(Kind.CLICK, user_id=nobody) == "missing_user"


def test_an_integer_user_becomes_text() -> None:
    assert event(Kind.CLICK, user_id=17850).user_id == "17850"


def test_a_user_is_stripped() -> None:
    assert event(Kind.CLICK, user_id=" u1 ").user_id == "u1"


@pytest.mark.parametrize("odd", [True, 1.5, [], {}, "u" * 257, "\ud800", 2**70])
def test_what_cannot_be_a_user_is_rejected(odd: object) -> None:
    assert reason(Kind.CLICK, user_id=odd) == "bad_user"


def test_a_user_id_cannot_pass_for_a_key_of_the_changelog() -> None:
    assert reason(Kind.CLICK, user_id="\0partition") == "bad_user"


def test_256_characters_are_still_a_user() -> None:
    assert event(Kind.CLICK, user_id="é" * 256).user_id == "é" * 256


@pytest.mark.parametrize(
    ("value", "user"), [(" u ", "u"), (7, "7"), (None, None), ("", None), (1.5, None), (True, None)]
)
def test_the_publishers_key_is_the_cleaned_user(value: object, user: str | None) -> None:
    assert user_of(value) == user


# -- time


@pytest.mark.parametrize("absent", [None, ""])
def test_a_record_without_time_is_rejected(absent: str | None) -> None:
    assert reason(Kind.CLICK, ts=absent) == "missing_time"


@pytest.mark.parametrize("odd", ["yesterday", True, [], -5, 1_500_000_000, "1989-12-31T23:59:59Z"])
def test_what_cannot_be_a_time_is_rejected(odd: object) -> None:
    assert reason(Kind.CLICK, ts=odd) == "bad_time"


def test_five_minutes_ahead_of_publishing_is_accepted() -> None:
    assert event(Kind.CLICK, ts=NOW + 300_000).ts == NOW + 300_000


def test_more_than_five_minutes_ahead_of_publishing_is_future() -> None:
    assert reason(Kind.CLICK, ts=NOW + 300_001) == "future"


def test_the_tolerance_is_the_policys() -> None:
    assert reason(Kind.CLICK, ts=NOW + 2, policy=CleaningPolicy(future_tolerance_ms=1)) == "future"


def test_missing_user_is_told_before_a_bad_time() -> None:
    assert reason(Kind.CLICK, user_id=None, ts="x") == "missing_user"


# -- actions


@pytest.mark.parametrize("name", ACTIONS)
def test_every_known_action_is_its_own_index(name: str) -> None:
    assert ACTIONS[event(Kind.CLICK, action=name).action] == name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("fav", "favourite"),
        ("wishlist", "favourite"),
        ("pv", "view"),
        ("product_hit", "view"),
        ("Add-To Cart", "cart"),
        ("remove_from_cart", "remove"),
        ("teleport", "other"),
        (None, "other"),
        ("buy", "other"),
    ],
)
def test_actions_go_through_the_map(raw: str | None, name: str) -> None:
    assert ACTIONS[event(Kind.CLICK, action=raw).action] == name


def test_the_policys_map_wins() -> None:
    made = cleaned(Kind.CLICK, action="zap", policy=CleaningPolicy(actions={"zap": "share"}))
    assert isinstance(made, Event)
    assert ACTIONS[made.action] == "share"


@pytest.mark.parametrize(
    ("raw", "unknown"),
    [("teleport", True), (None, True), ("buy", True), ("other", False), ("Other", False), ("view", False)],
)
def test_an_unknown_action_can_be_told_from_other(raw: str | None, unknown: bool) -> None:
    assert is_unknown_action(event(Kind.CLICK, action=raw), {"action": raw}, POLICY) is unknown


def test_a_purchase_never_counts_as_an_unknown_action() -> None:
    assert not is_unknown_action(event(Kind.PURCHASE, action="stock_writeoff"), {"action": "stock_writeoff"}, POLICY)


def test_the_default_map_leads_to_known_names_only() -> None:
    assert set(DEFAULT_ACTIONS.values()) <= ACTION_NAMES


# -- clicks and searches


def test_a_click_carries_its_fields() -> None:
    made = event(Kind.CLICK, action="view", item_id="i", category="c", price=1.5, session_id="s")
    assert (made.item_id, made.category, made.price, made.session_id) == ("i", "c", 1_500_000, "s")


def test_a_search_carries_its_query() -> None:
    made = event(Kind.SEARCH, query="  red shoes ", category="c")
    assert (made.query, made.category) == ("red shoes", "c")


def test_a_long_query_is_cut() -> None:
    query = event(Kind.SEARCH, query="q" * 1000).query
    assert query == "q" * 256


def test_a_search_ignores_a_price() -> None:
    assert isinstance(cleaned(Kind.SEARCH, price=-1), Event)


def test_unknown_fields_are_ignored() -> None:
    assert isinstance(cleaned(Kind.CLICK, colour={"a": [1]}, lines="x", quantity="y"), Event)


@pytest.mark.parametrize("field", ["item_id", "category", "session_id", "event_id", "action"])
@pytest.mark.parametrize("odd", [[], {}, True, 1.5])
def test_a_known_field_of_the_wrong_type_is_rejected(field: str, odd: object) -> None:
    assert reason(Kind.CLICK, **{field: odd}) == "bad_field"


@pytest.mark.parametrize("raw", [None, [], "x", 1, 1.5, True, b"{}"])
def test_what_is_no_object_is_rejected(raw: object) -> None:
    refused = clean(raw, 0, position=WHERE, record_id="r", published_ms=NOW, policy=POLICY)
    assert isinstance(refused, Rejection)
    assert refused.reason == "not_an_object"


# -- price and quantity


@pytest.mark.parametrize(
    ("price", "micro"),
    [
        (0.0018, 1800),
        (0, 0),
        (-0.0, 0),
        (2.55, 2_550_000),
        (3, 3_000_000),
        (0.0000005, 0),
        (0.0000015, 2),
        (0.0000025, 2),
        (1e9, 10**15),
        (999_999_999.999999, 999_999_999_999_999),
    ],
)
def test_prices_become_millionths(price: float, micro: int) -> None:
    assert lines(price=price)[0].price == micro


def test_an_absent_price_is_unknown() -> None:
    assert lines()[0].price is None


@pytest.mark.parametrize("odd", [-0.01, -1, float("nan"), float("inf"), True, "2.50", [], 1e9 + 1, 10**9 + 1, 10**400])
def test_a_price_that_is_none_is_rejected(odd: object) -> None:
    assert reason(Kind.PURCHASE, price=odd) == "bad_price"


def test_a_negative_price_on_a_click_is_rejected_too() -> None:
    assert reason(Kind.CLICK, price=-1) == "bad_price"


@pytest.mark.parametrize(("quantity", "taken"), [(None, 1), (6, 6), (6.0, 6), (-2, -2), (10**9, 10**9)])
def test_quantities_are_whole_numbers(quantity: object, taken: int) -> None:
    assert lines(quantity=quantity)[0].quantity == taken


@pytest.mark.parametrize("odd", [1.5, "2", True, [], float("nan"), float("inf"), 10**9 + 1, -(10**9) - 1])
def test_a_quantity_that_is_none_is_rejected(odd: object) -> None:
    assert reason(Kind.PURCHASE, quantity=odd) == "bad_quantity"


# -- orders


def test_the_order_is_the_order_id() -> None:
    assert event(Kind.PURCHASE, order_id="o1", session_id="s1").order_key == "o:o1"


def test_without_order_id_the_order_is_the_session() -> None:
    assert event(Kind.PURCHASE, session_id="s1").order_key == "s:s1"


def test_without_both_the_order_is_the_instant() -> None:
    assert event(Kind.PURCHASE).order_key == f"t:{NOW}"


def test_a_flat_record_is_one_line() -> None:
    assert lines(item_id="i", category="c", brand="b", price=2, quantity=3) == (Line("i", "c", "b", 2_000_000, 3),)


def test_listed_lines_are_taken_in_order() -> None:
    assert lines(lines=[{"item_id": "a"}, {"item_id": "b", "quantity": 2}]) == (
        Line("a", None, None, None, 1),
        Line("b", None, None, None, 2),
    )


def test_a_line_of_quantity_zero_does_nothing() -> None:
    assert lines(lines=[{"item_id": "a", "quantity": 0}, {"item_id": "b"}]) == (Line("b", None, None, None, 1),)


def test_an_order_of_quantity_zero_has_no_lines_and_is_no_refund() -> None:
    made = event(Kind.PURCHASE, quantity=0)
    assert (made.lines, made.refund) == ((), False)


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("x", "bad_field"),
        ({}, "bad_field"),
        ([1], "bad_field"),
        ([None], "bad_field"),
        ([{"price": -1}], "bad_price"),
        ([{}] * 5001, "oversized"),
    ],
)
def test_lines_that_are_none_are_rejected(odd: object, why: str) -> None:
    assert reason(Kind.PURCHASE, lines=odd) == why


# -- refunds


def test_a_negative_quantity_is_a_refund() -> None:
    made = event(Kind.PURCHASE, quantity=-2, price=1)
    assert (made.refund, made.lines[0].quantity) == (True, -2)


@pytest.mark.parametrize("action", ["refund", "cancel", "return", "Cancelled"])
def test_a_refund_action_makes_quantities_negative(action: str) -> None:
    made = event(Kind.PURCHASE, action=action, quantity=2)
    assert (made.refund, made.lines[0].quantity) == (True, -2)


def test_a_refund_of_a_negative_quantity_stays_negative() -> None:
    assert lines(action="cancel", quantity=-2)[0].quantity == -2


def test_another_action_is_judged_by_the_sign() -> None:
    assert event(Kind.PURCHASE, action="stock_writeoff", quantity=-2).refund
    assert not event(Kind.PURCHASE, action="stock_writeoff", quantity=2).refund


def test_a_mixed_order_is_no_refund_and_keeps_its_signs() -> None:
    made = event(Kind.PURCHASE, lines=[{"quantity": 2}, {"quantity": -1}])
    assert (made.refund, [line.quantity for line in made.lines]) == (False, [2, -1])


def test_a_refund_names_the_order_it_takes_back() -> None:
    assert event(Kind.PURCHASE, action="refund", refund_of="o1").refund_of == "o1"


def test_a_refund_without_lines_is_still_a_refund() -> None:
    assert event(Kind.PURCHASE, action="refund", lines=[], refund_of="o1").refund
