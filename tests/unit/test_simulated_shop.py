"""The simulated shop keeps what its truth says."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from streams.core.cleaning import CleaningPolicy, clean, is_unknown_action
from streams.core.events import DAY_MS, INPUT_TOPICS, MINUTE_MS, Event, Kind, Position
from streams.core.ports import Rejection
from streams.demo.customers import MIX, Archetype
from streams.demo.shop import Arrival, Shop, simulate
from streams.demo.shop_log import ShopLog, write_log
from streams.replay.files import merge_logs, open_log

SHOP = Shop(seed=3, days=180, users=400)
TRUTH = SHOP.truth
ARRIVALS = list(SHOP.arrivals())


def objects(arrivals: list[Arrival]) -> list[dict[str, Any]]:
    return [arrival.raw for arrival in arrivals if isinstance(arrival.raw, dict)]


def cleaned() -> list[tuple[Arrival, Event | Rejection]]:
    """Every record that is JSON, cleaned: as of its publishing, an hour after it happened."""
    return [
        (
            arrival,
            clean(
                arrival.raw,
                arrival.kind,
                position=Position(INPUT_TOPICS[arrival.kind], 0, offset),
                record_id=str(offset),
                published_ms=arrival.ts + 3_600_000,
                policy=CleaningPolicy(),
            ),
        )
        for offset, arrival in enumerate(ARRIVALS)
        if isinstance(arrival.raw, dict)
    ]


CLEANED = cleaned()
EVENTS = [event for _, event in CLEANED if isinstance(event, Event)]


def test_the_same_seed_makes_the_same_shop() -> None:
    assert list(simulate(5, 60, 50)) == list(simulate(5, 60, 50))
    assert Shop(5, 60, 50).truth == Shop(5, 60, 50).truth


def test_another_seed_makes_another_shop() -> None:
    assert list(simulate(5, 60, 50)) != list(simulate(6, 60, 50))


@pytest.mark.parametrize(("days", "users"), [(29, 100), (60, 19)])
def test_a_shop_too_small_to_mean_anything_is_refused(days: int, users: int) -> None:
    with pytest.raises(ValueError, match="at least 30 days and 20 users"):
        Shop(1, days, users)


def test_every_record_is_counted() -> None:
    assert len(ARRIVALS) == TRUTH.records


def test_users_come_in_the_shares_of_the_mix() -> None:
    counts = Counter(user.archetype for user in TRUTH.users.values())
    assert counts == {archetype: round(400 * share) for archetype, share in MIX.items()}


def test_clean_records_arrive_in_time_order_but_for_late_ones_and_duplicates() -> None:
    newest = 0
    behind = 0
    for arrival in ARRIVALS:
        behind += arrival.ts < newest - 10 * MINUTE_MS
        newest = max(newest, arrival.ts)
    assert 0 < behind <= TRUTH.dirt["late"]
    assert behind >= TRUTH.dirt["late"] * 0.4  # at night nothing newer may come in between


def test_everything_happens_in_the_season() -> None:
    assert all(TRUTH.season.start <= arrival.ts < TRUTH.season.end for arrival in ARRIVALS)


def test_rejections_are_the_dirt_that_was_put_in() -> None:
    reasons = Counter(result.reason for _, result in CLEANED if isinstance(result, Rejection))
    assert reasons == {"missing_user": TRUTH.dirt["missing_user"], "bad_price": TRUTH.dirt["negative_price"]}


def test_broken_json_is_the_dirt_that_was_put_in() -> None:
    broken = [arrival.raw for arrival in ARRIVALS if isinstance(arrival.raw, bytes)]
    assert len(broken) == TRUTH.dirt["not_json"]
    for raw in broken:
        with pytest.raises(ValueError, match=r"."):
            json.loads(raw)


def test_unknown_actions_are_the_dirt_that_was_put_in() -> None:
    policy = CleaningPolicy()
    unknown = sum(
        is_unknown_action(event, arrival.raw, policy)
        for arrival, event in CLEANED
        if isinstance(event, Event) and isinstance(arrival.raw, dict)
    )
    assert unknown == TRUTH.dirt["unknown_action"]


def test_repeated_ids_are_the_dirt_that_was_put_in() -> None:
    ids = Counter(raw["event_id"] for raw in objects(ARRIVALS))
    assert sum(count - 1 for count in ids.values()) == TRUTH.dirt["duplicate"]


def test_a_duplicate_is_the_same_record() -> None:
    seen: dict[str, dict[str, Any]] = {}
    assert all(seen.setdefault(raw["event_id"], raw) == raw for raw in objects(ARRIVALS))


def test_the_truth_knows_every_order() -> None:
    orders: dict[str, set[int]] = {user: set() for user in TRUTH.users}
    for event in EVENTS:
        if event.kind == Kind.PURCHASE and not event.refund:
            orders[event.user_id].add(event.ts)
    assert orders == {name: set(user.orders) for name, user in TRUTH.users.items()}


def test_refunds_name_an_order_of_the_same_user() -> None:
    orders = {(event.user_id, event.order_key.removeprefix("o:")) for event in EVENTS if event.kind == Kind.PURCHASE}
    refunds = [event for event in EVENTS if event.refund]
    assert refunds
    assert all((event.user_id, event.refund_of) in orders for event in refunds)


def test_visitors_never_buy() -> None:
    assert not any(user.orders for user in TRUTH.of(Archetype.VISITOR))


def test_one_timers_and_deal_hunters_buy_once() -> None:
    once = TRUTH.of(Archetype.ONE_TIMER) + TRUTH.of(Archetype.DEAL_HUNTER)
    assert {len(user.orders) for user in once} == {1}


def test_deal_hunters_come_for_the_flash_sale() -> None:
    season = TRUTH.season
    for user in TRUTH.of(Archetype.DEAL_HUNTER):
        assert season.sale_start <= user.orders[0] < season.sale_end + DAY_MS


def test_only_slipping_customers_slip() -> None:
    slips = {user.archetype for user in TRUTH.users.values() if user.slips_at is not None}
    assert slips == {Archetype.SLIPPING}


def gaps(orders: list[int]) -> list[float]:
    return [(after - before) / DAY_MS for before, after in pairwise(orders)]


def test_the_gaps_of_a_slipping_customer_lengthen_and_end() -> None:
    longer = 0
    ended = 0
    slipping = TRUTH.of(Archetype.SLIPPING)
    for user in slipping:
        assert user.slips_at is not None
        before = gaps([ts for ts in user.orders if ts < user.slips_at])
        after = gaps([ts for ts in user.orders if ts >= user.slips_at])
        longer += bool(before and after) and median(after) > median(before)
        ended += user.orders[-1] < TRUTH.season.end - 4 * median(before) * DAY_MS
    assert longer > 0.75 * len(slipping)
    assert ended > 0.6 * len(slipping)


def searches_per_order(user: str, since: int, until: int) -> float:
    mine = [event for event in EVENTS if event.user_id == user and since <= event.ts < until]
    orders = sum(event.kind == Kind.PURCHASE for event in mine)
    return sum(event.kind == Kind.SEARCH for event in mine) / max(1, orders)


def test_slipping_customers_search_more_for_what_they_buy() -> None:
    more = 0
    slipping = TRUTH.of(Archetype.SLIPPING)
    for user in slipping:
        assert user.slips_at is not None
        before = searches_per_order(user.user_id, 0, user.slips_at)
        after = searches_per_order(user.user_id, user.slips_at, TRUTH.season.end)
        more += after > before
    assert more > 0.9 * len(slipping)


def test_regulars_stay() -> None:
    regulars = TRUTH.of(Archetype.REGULAR)
    recent = sum(user.orders[-1] > TRUTH.season.end - 30 * DAY_MS for user in regulars)
    assert recent > 0.9 * len(regulars)


def test_enough_outcomes_to_learn_from() -> None:
    """Weekly scores from each first order on, less a horizon of 21 days, one in four of them learned."""
    season = TRUTH.season
    scores = sum(
        (season.end - 21 * DAY_MS - user.orders[0]) // (7 * DAY_MS) for user in TRUTH.users.values() if user.orders
    )
    full_size = scores * 1_300 / 400
    assert full_size / 4 > 2_000


def test_names_tell_nothing_of_the_archetype() -> None:
    first_half = Counter(user.archetype for user in list(TRUTH.users.values())[:200])
    assert len(first_half) == len(Archetype)


# -- as a log


def test_the_shop_is_a_log_in_the_order_of_arrival() -> None:
    records = [record for _, record in merge_logs([ShopLog(SHOP)])]
    assert len(records) == ShopLog(SHOP).rows
    assert [record.ts_ms for record in records if record.fault is None] == [
        arrival.ts for arrival in ARRIVALS if isinstance(arrival.raw, dict)
    ]


def test_broken_records_of_the_log_have_a_fault() -> None:
    faults = [record.fault.reason for record in ShopLog(SHOP).records() if record.fault]
    assert faults == ["not_json"] * TRUTH.dirt["not_json"]


def test_the_written_log_is_the_same_log(tmp_path: Path) -> None:
    shop = Shop(3, 40, 30)
    write_log(shop, tmp_path / "shop.jsonl")
    written = sorted(open_log(tmp_path / "shop.jsonl").records(), key=lambda record: record.row)
    assert [(record.row, record.raw) for record in written] == [
        (record.row, record.raw) for record in ShopLog(shop).records()
    ]
