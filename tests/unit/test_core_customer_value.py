"""What is told of a customer's value: when, in which figures, and that it repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import expm1

import msgspec
import pytest

from streams.core.events import DAY_MS, MICRO, Event
from streams.core.features import NAMES
from streams.core.messages import BODIES
from streams.core.ports import Cut, Explanation, Output
from tests.support.partition_runs import PartitionRun
from tests.support.scorers import CartScorer, DailyCuts, FixedScorer
from tests.support.worlds import START, click, purchase, refund

_ORDERS = NAMES.index("orders")


@dataclass(frozen=True)
class Till:
    """Whoever buys spends 20 for every order so far, three times a year as often, and keeps what they kept so far."""

    cold_start: bool = False

    def spend_if_purchase(self, features: Sequence[float]) -> float:
        return 20.0 * round(expm1(features[_ORDERS]))

    def buying_horizons(self, features: Sequence[float], p_purchase: float, days: int) -> float:
        return 3.0 * p_purchase

    def net_share(self, gross: float, refunded: float) -> float:
        return 1.0 - refunded / gross if gross else 1.0


@dataclass(frozen=True)
class Shop:
    """A quarter of all customers buy; every score is taken by one cut."""

    spend: Till | None = Till()
    cold_start: bool = False
    version: str = "till"
    day_ms: int = 0
    propensity: CartScorer | None = None

    def probability(self, features: Sequence[float]) -> float:
        return 0.75

    def explained(self, features: Sequence[float], groups: Sequence[int]) -> Explanation:
        return FixedScorer(0.75).explained(features, groups)

    def cut_at(self, instant_ms: int) -> tuple[Cut, bool]:
        return self, False


def values(run: PartitionRun) -> list[Output]:
    return [output for output in run.outputs if output.topic == "customer-value"]


def ordered(count: int, price: float = 40.0) -> list[Event]:
    return [purchase(START + n * DAY_MS, price=price, order=f"o{n}") for n in range(count)]


def run_of(events: Sequence[Event], shop: Shop | None = None) -> PartitionRun:
    run = PartitionRun(shop or Shop())
    run.feed(events)
    return run


def test_the_figures_of_a_first_order_are_those_worked_by_hand() -> None:
    (told,) = values(run_of([purchase(START, price=40.0, order="o")]))
    body = told.body
    assert (body["p_purchase"], body["spend_if_purchase"], body["expected_spend"]) == (0.25, 20.0, 5.0)
    assert (body["net_spend_to_date"], body["expected_net_spend_365d"], body["clv"]) == (40.0, 15.0, 55.0)
    assert (body["horizon_days"], body["cold_start"], body["scheduled"]) == (30, False, False)
    assert body["model"] == {"name": "value", "version": "till"}


def test_what_was_given_back_lowers_what_is_expected_net() -> None:
    run = run_of([purchase(START, price=40.0, order="a"), refund(START + 1, price=10.0), *ordered(3)[1:]])
    body = values(run)[-1].body
    gross, back = 40.0 * 3, 10.0
    assert body["net_spend_to_date"] == pytest.approx(gross - back)
    # Told at the first line of the third order.
    share = 1 - back / gross
    assert body["expected_net_spend"] == pytest.approx(body["expected_spend"] * share, abs=1e-6)
    assert body["clv"] == pytest.approx(gross - back + 3 * body["expected_net_spend"], abs=1e-5)


def test_every_body_is_what_its_type_says() -> None:
    run = PartitionRun(DailyCuts(warm_from=START + 20 * DAY_MS))
    run.feed(ordered(40))
    run.close(START + 100 * DAY_MS)
    assert {output.body["cold_start"] for output in values(run)} == {True, False}
    for output in values(run):
        msgspec.convert(output.body, BODIES["customer-value"])


def test_every_scheduled_risk_has_its_value() -> None:
    run = run_of(ordered(3))
    run.close(START + 60 * DAY_MS)
    risks = [o.as_of_ms for o in run.outputs if o.topic == "churn-risk" and o.body["scheduled"]]
    assert risks
    assert [o.as_of_ms for o in values(run) if o.body["scheduled"]] == risks


def test_an_order_is_told_if_it_moves_the_expected_spend_by_a_tenth() -> None:
    # The Till expects 5 more with each order; beyond the 11th that is less than a tenth.
    told = [o.body for o in values(run_of(ordered(16)))]
    steps = [(a["expected_spend"], b["expected_spend"]) for a, b in pairwise(told) if not b["scheduled"]]
    assert all(abs(after - before) >= 0.1 * before for before, after in steps)
    assert steps[0] == (5.0, 10.0)
    assert len(steps) < 15


def test_clicks_tell_nothing() -> None:
    run = run_of([purchase(START), *(click(START + n * 1000) for n in range(1, 9))])
    assert len(values(run)) == 1


def test_visitors_have_no_value() -> None:
    run = run_of([click(START)])
    run.close(START + 30 * DAY_MS)
    assert values(run) == []


@pytest.mark.parametrize("shop", [Shop(spend=None), Shop(spend=Till(cold_start=True))])
def test_without_a_model_there_is_only_what_was_spent(shop: Shop) -> None:
    (told,) = values(run_of([purchase(START, price=40.0)], shop))
    body = told.body
    assert body["cold_start"]
    assert body["net_spend_to_date"] == 40.0
    expected = ("expected_spend", "expected_net_spend", "p_purchase", "spend_if_purchase", "clv")
    assert [body[name] for name in (*expected, "expected_net_spend_365d")] == [None] * 6


def test_the_portrait_says_what_was_told_last() -> None:
    run = run_of(ordered(3))
    portrait, last = run.engine.portrait("u"), values(run)[-1].body
    assert portrait is not None
    assert portrait.body["value"]["expected_spend"] == last["expected_spend"]
    assert portrait.body["value"]["clv"] == last["clv"]


def test_the_portrait_survives_storing() -> None:
    run = run_of(ordered(3))
    before = run.engine.portrait("u")
    again = PartitionRun(Shop())
    again.store.update(run.store)
    after = again.engine.portrait("u")
    assert before is not None
    assert after is not None
    assert after.body["value"] == before.body["value"]


def test_whose_only_order_was_taken_back_has_no_value_in_the_portrait() -> None:
    run = run_of([purchase(START, price=40.0, order="a")])
    run.feed([refund(START + DAY_MS, price=40.0, of="a"), click(START + DAY_MS - 1)])
    portrait = run.engine.portrait("u")
    assert portrait is not None
    assert portrait.body["value"]["expected_spend"] is None


def test_the_same_log_tells_the_same_values_under_the_same_ids() -> None:
    events = ordered(9)
    one, other = run_of(events), PartitionRun(Shop())
    other.feed(events, slices=[1, 3, 1])
    assert [(o.id, o.body) for o in values(one)] == [(o.id, o.body) for o in values(other)]


def test_disorder_ends_with_the_value_of_the_log() -> None:
    early, late = purchase(START, price=40.0, order="a"), purchase(START + 60_000, price=60.0, order="b")
    straight, swapped = run_of([early, late]), run_of([late, early])
    expected = values(straight)[-1].body
    found = values(swapped)[-1].body
    for name in ("expected_spend", "expected_net_spend", "clv", "net_spend_to_date"):
        assert found[name] == expected[name]


def test_money_is_told_in_millionths_at_the_finest() -> None:
    (told,) = values(run_of([purchase(START, price=0.0018)]))
    assert told.body["net_spend_to_date"] == 1800 / MICRO
