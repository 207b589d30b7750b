"""Propensity: when it is scored, when it is told, what its label is, and what a portrait says of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from streams.core import propensity_features
from streams.core.events import DAY_MS, HOUR_MS, Event
from streams.core.hashing import stable_hash
from streams.core.ports import Cut
from streams.core.propensity_features import NAMES, propensity_vector, unpacked
from streams.core.schedule import WEEK_MS, next_slot, propensity_spaced, sampled
from tests.support.partition_runs import COMPILED, PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.worlds import START, click, purchase, refund, search

TOPIC = "purchase-propensity"


@dataclass(frozen=True)
class ByCarts(FixedScorer):
    """0.1, and 0.4 more with something in the cart."""

    @property
    def propensity(self) -> ByCarts:  # type: ignore[override]
        return self

    def probability(self, features: object) -> float:
        assert isinstance(features, list | tuple)
        if len(features) != len(NAMES):
            return 0.5
        return 0.5 if features[NAMES.index("carts_open")] > 0 else 0.1

    def cut_at(self, instant_ms: int) -> tuple[Cut, bool]:
        return self, self.stale


def ran(*events: Event, through: int | None = None, days: int = 7, warm: bool = True) -> PartitionRun:
    run = PartitionRun(ByCarts(0.5 if warm else None), propensity_days=days)
    run.feed(events)
    if through is not None:
        run.close(through)
    return run


def scheduled(run: PartitionRun) -> list[int]:
    return [output.as_of_ms for output in run.told(TOPIC) if output.body["scheduled"]]


def user_with(*, is_sampled: bool) -> str:
    """Somebody whose first slot after START is learned from, or not."""
    names = (f"user {number}" for number in range(100))
    return next(name for name in names if sampled(stable_hash(name), next_slot(START, stable_hash(name))) == is_sampled)


# -- when it is scored -------------------------------------------------------------------------------------------------


def test_a_visitor_is_scored_on_the_weekly_slots_of_a_week_and_never_again() -> None:
    found = scheduled(ran(click(START, "ada"), through=START + 80 * DAY_MS))
    first = next_slot(START, stable_hash("ada"))
    assert found[0] == first
    assert all(at // DAY_MS - START // DAY_MS <= 7 for at in found)


def test_a_visitor_who_comes_back_is_scored_again() -> None:
    later = START + 40 * DAY_MS
    found = scheduled(ran(click(START, "ada"), click(later, "ada"), through=later + 20 * DAY_MS))
    assert next_slot(later, stable_hash("ada")) in found


def test_a_customer_is_scored_on_the_slots_of_the_risk_of_churn() -> None:
    run = ran(purchase(START, "ada"), through=START + 25 * DAY_MS)
    risks = [output.as_of_ms for output in run.told("churn-risk") if output.body["scheduled"]]
    assert scheduled(run) == risks
    assert len(risks) == 3 or len(risks) == 4


def test_a_customer_silent_for_a_month_is_scored_every_fourth_week() -> None:
    found = [
        at for at in scheduled(ran(purchase(START, "ada"), through=START + 300 * DAY_MS)) if at > START + 31 * DAY_MS
    ]
    assert {later - at for at, later in pairwise(found)} == {4 * WEEK_MS}


def test_where_it_looks_a_day_ahead_it_is_scored_daily_for_three_days() -> None:
    found = scheduled(ran(click(START, "ada"), through=START + 40 * DAY_MS, days=1))
    assert {later - at for at, later in pairwise(found[:4])} == {DAY_MS}
    assert sum(at // DAY_MS - START // DAY_MS <= 3 for at in found) in (3, 4)


def test_a_customer_who_looks_around_is_scored_daily_again() -> None:
    later = START + 50 * DAY_MS
    found = scheduled(ran(purchase(START, "ada"), click(later, "ada"), through=later + 2 * DAY_MS, days=1))
    assert next(at for at in found if at > later) - later <= DAY_MS


def test_nobody_is_scored_whose_only_record_is_a_refund_of_nothing() -> None:
    assert all(output.body["probability"] is not None for output in ran(refund(START, "ada")).told(TOPIC))


# -- when it is told ---------------------------------------------------------------------------------------------------


def test_the_first_score_is_told_at_once() -> None:
    (told,) = ran(click(START, "ada")).told(TOPIC)
    assert (told.as_of_ms, told.body["probability"], told.body["scheduled"]) == (START, 0.1, False)


def test_a_cart_is_told_at_once() -> None:
    run = ran(click(START, "ada"), click(START + 1_000, "ada", action="cart"))
    assert [output.body["probability"] for output in run.told(TOPIC)] == [0.1, 0.5]


def test_an_order_that_empties_the_cart_is_told() -> None:
    run = ran(click(START, "ada", action="cart"), purchase(START + 1_000, "ada"))
    assert [output.body["probability"] for output in run.told(TOPIC)] == [0.5, 0.1]


def test_what_moves_nothing_is_not_told() -> None:
    run = ran(click(START, "ada"), click(START + DAY_MS, "ada"), search(START + DAY_MS + 1, "ada"))
    assert len([output for output in run.told(TOPIC) if not output.body["scheduled"]]) == 1


def test_while_the_model_is_cold_only_scheduled_scores_are_told_without_a_probability() -> None:
    run = ran(click(START, "ada"), through=START + 8 * DAY_MS, warm=False)
    assert {(output.body["scheduled"], output.body["cold_start"]) for output in run.told(TOPIC)} == {(True, True)}
    assert {output.body["probability"] for output in run.told(TOPIC)} == {None}


def test_a_cart_that_arrives_late_within_the_grace_is_told_by_a_correction() -> None:
    run = ran(click(START + 5_000, "ada"), click(START, "ada", action="cart"))
    assert [output.body["probability"] for output in run.told(TOPIC)] == [0.1, 0.5]


def test_a_slot_that_disorder_makes_up_for_is_served() -> None:
    user = user_with(is_sampled=True)
    slot = next_slot(START, stable_hash(user))
    run = PartitionRun(ByCarts(0.5), grace_ms=WEEK_MS * 2)
    run.feed([click(slot + HOUR_MS, user), click(START, user)])
    run.close(START + 30 * DAY_MS)
    assert slot in {example.as_of_ms for example in run.propensities}


# -- labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after_ms", "bought"), [(1, True), (7 * DAY_MS, True), (7 * DAY_MS + 1, False)])
def test_the_label_looks_at_the_horizon_to_the_millisecond(after_ms: int, bought: bool) -> None:
    user = user_with(is_sampled=True)
    slot = next_slot(START, stable_hash(user))
    run = ran(click(START, user), purchase(slot + after_ms, user), through=slot + 9 * DAY_MS)
    assert {example.as_of_ms: example.outcome for example in run.propensities}[slot] is bought


def test_an_example_has_the_features_as_of_its_score() -> None:
    user = user_with(is_sampled=True)
    slot = next_slot(START, stable_hash(user))
    run = ran(click(START, user, action="cart"), through=slot + 8 * DAY_MS)
    example = next(example for example in run.propensities if example.as_of_ms == slot)
    assert example.features is not None
    found = dict(zip(NAMES, unpacked(example.features), strict=True))
    assert found["carts_open"] == pytest.approx(0.6931472)
    assert (found["ordered"], example.probability, example.head) == (0.0, 0.5, "propensity")


def test_who_is_not_sampled_waits_for_no_label() -> None:
    user = user_with(is_sampled=False)
    run = ran(click(START, user), through=next_slot(START, stable_hash(user)))
    assert run.state(user).expected == []


def test_what_was_spent_until_the_label_is_noted() -> None:
    user = user_with(is_sampled=True)
    slot = next_slot(START, stable_hash(user))
    run = ran(click(START, user), purchase(slot + 1, user, price=12.5), through=slot + 8 * DAY_MS)
    assert next(example.spend for example in run.propensities if example.as_of_ms == slot) == 12_500_000


def test_daily_scores_within_one_horizon_are_not_both_compared_on() -> None:
    days = [day for day in range(60) if propensity_spaced(5, day * DAY_MS, 3 * DAY_MS)]
    assert {later - day for day, later in pairwise(days)} == {3}


# -- the portrait ------------------------------------------------------------------------------------------------------


def portrait_of(run: PartitionRun, user: str) -> dict[str, object]:
    portrait = run.engine.portrait(user)
    assert portrait is not None
    return portrait.body


def test_the_portrait_says_what_was_told_last() -> None:
    assert portrait_of(ran(click(START, "ada")), "ada")["propensity"] == {
        "probability": 0.1,
        "horizon_days": 7,
        "as_of": "2023-11-15T00:00:00.000Z",
        "model_version": "fixed",
    }


def test_what_was_told_of_a_visitor_says_nothing_after_thirty_days() -> None:
    run = ran(click(START, "ada"), through=START + 95 * DAY_MS)
    assert portrait_of(run, "ada")["lifecycle"] == {
        "stage": "dormant",
        "phase": "churn",
        "since": "2024-02-13T00:00:00.000Z",
    }
    assert portrait_of(run, "ada")["propensity"] is None


# -- the features ------------------------------------------------------------------------------------------------------


def test_features_have_names_of_their_own_and_a_family() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(feature.family for feature in propensity_features.CATALOGUE)


def test_what_happened_is_counted_within_its_windows() -> None:
    run = ran(
        click(START, "ada", action="cart"),
        purchase(START + DAY_MS, "ada"),
        click(START + 5 * DAY_MS, "ada", action="cart"),
        search(START + 5 * DAY_MS + HOUR_MS, "ada"),
        through=START + 5 * DAY_MS + HOUR_MS,
    )
    state = run.state("ada")
    vector = propensity_vector(state, START + 5 * DAY_MS + 2 * HOUR_MS, COMPILED, 7)
    natural = {f.name: f.natural(x) for f, x in zip(propensity_features.CATALOGUE, vector, strict=True)}
    wanted = {
        "silence_hours": 1,
        "order_hours": 98,
        "cart_hours": 2,
        "carts_open": 1,
        "carts_24h": 1,
        "carts_7d": 2,
        "looks_2h": 1,
        "looks_6h": 2,
        "searches_24h": 1,
        "active_days_7d": 3,
        "orders_7d": 1,
        "orders_24h": 0,
        "tenure_days": 5 + 2 / 24,
    }
    assert {name: natural[name] for name in wanted} == pytest.approx(wanted)
