"""The value head: how customers go on, what they give back, and what is served of it."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest

from models.examples import TrainingExample
from models.head_spec import CHURN, VALUE, HeadSpec
from models.heads import Head, head_from_state, head_of
from models.returning import PRIOR, Returning, buying_horizons, states_for
from models.serving import ServingCut
from models.value_head import ValueHead
from models.value_scorer import ValueScorer

CATALOGUE = (
    "recency_days",
    "net_spend_90d",
    "net_spend_365d",
    "orders_90d",
    "orders_365d",
    "tenure_days",
    "refund_share",
)
SPEC = HeadSpec(VALUE, CATALOGUE, 30, source=CHURN)


def example(n: int, rng: random.Random, **changed: Any) -> TrainingExample:
    spend, orders = math.exp(rng.gauss(4.0, 1.0)), rng.randint(1, 9)
    logs = [math.log1p(x) for x in (rng.uniform(0, 200), spend, spend, orders, orders, rng.uniform(0, 400))]
    bought = rng.random() < 0.6
    found = TrainingExample(
        id=f"e{n}",
        user_hash=n,
        partition=0,
        as_of_ms=n,
        label_ms=n + 1,
        outcome=not bought,
        probability=0.5,
        stage="growing",
        tier="gold",
        features=np.array([*logs, 0.25], dtype=np.float32),
        schema=SPEC.schema,
        horizon_days=30,
        spend=spend * rng.uniform(0.5, 2.0) if bought else 0.0,
    )
    return found._replace(**changed)


def learned(count: int = 700) -> ValueHead:
    head, rng = ValueHead(SPEC), random.Random(1)
    for n in range(count):
        head.take(example(n, rng))
    return head


class TestReturning:
    def test_a_state_of_silence_is_as_many_whole_horizons_as_fit_into_a_year(self) -> None:
        assert [states_for(days) for days in (7, 30, 60, 90, 400)] == [13, 13, 7, 5, 2]

    def test_chances_are_shares_held_by_the_state_before(self) -> None:
        shop = Returning(180)
        for bought in [True] * 30 + [False] * 10:
            shop.observe(10.0, bought)
        shop.observe(400.0, False)
        first = (30 + PRIOR * 0.5) / (40 + PRIOR)
        second = PRIOR * first / PRIOR
        assert shop.chances() == pytest.approx([first, second, PRIOR * second / (1 + PRIOR)])

    def test_a_state_with_more_buyers_than_people_is_refused(self) -> None:
        with pytest.raises(ValueError, match="more bought"):
            Returning.from_state({"horizon_days": 180, "seen": [1, 1, 1], "bought": [2, 0, 0]})


class TestBuyingHorizons:
    CHANCES = (0.6, 0.3, 0.1)

    def test_within_one_horizon_it_is_the_customers_own_chance(self) -> None:
        assert buying_horizons(self.CHANCES, 1, 0.45, 30, 30) == pytest.approx(0.45)

    def test_a_part_of_a_horizon_counts_for_its_part(self) -> None:
        assert buying_horizons(self.CHANCES, 1, 0.45, 30, 15) == pytest.approx(0.225)

    def test_an_average_customer_walks_the_shops_states(self) -> None:
        # Buys (0.3) and goes to the first state, or (0.7) to the last; then one more step of each.
        second = 0.3 * 0.6 + 0.7 * 0.1
        third = second * 0.6 + 0.3 * 0.4 * 0.3 + 0.7 * 0.9 * 0.1
        assert buying_horizons(self.CHANCES, 1, 0.3, 30, 90) == pytest.approx(0.3 + second + third)

    def test_how_a_customer_differs_from_their_state_stays_with_them_as_odds(self) -> None:
        def odds(p: float) -> float:
            return p / (1 - p)

        differs = odds(0.6) / odds(0.3)
        first, last = (odds(c) * differs / (1 + odds(c) * differs) for c in (0.6, 0.1))
        assert buying_horizons(self.CHANCES, 1, 0.6, 30, 60) == pytest.approx(0.6 + 0.6 * first + 0.4 * last)

    def test_it_lies_between_multiplied_chances_and_as_many_horizons(self) -> None:
        found = buying_horizons(self.CHANCES, 0, 0.6, 30, 360)
        assert sum(0.6**k for k in range(1, 13)) < found < 12 * 0.6

    @pytest.mark.parametrize("first", [0.0, 1.0])
    def test_certainty_stays_finite(self, first: float) -> None:
        assert 0.0 <= buying_horizons(self.CHANCES, 0, first, 30, 365) <= 365 / 30


class TestValueHead:
    def test_head_of_makes_one_that_listens_to_churn(self) -> None:
        head = head_of(SPEC)
        assert isinstance(head, ValueHead)
        assert head.spec.listens_to == CHURN

    def test_only_customers_who_came_back_teach_spend_and_all_teach_how_they_go_on(self) -> None:
        head, rng = ValueHead(SPEC), random.Random(1)
        head.take(example(0, rng, outcome=True, spend=0.0))
        head.take(example(1, rng, outcome=False, spend=20.0))
        assert head.learned == 1
        assert sum(head.models.returning.seen) == 2
        assert head.models.money == (20.0, 5.0)

    @pytest.mark.parametrize("changed", [{"features": None}, {"spend": None}, {"schema": "another"}])
    def test_what_it_cannot_learn_from_changes_nothing(self, changed: dict[str, Any]) -> None:
        head = learned(50)
        before = head.state()
        head.take(example(1, random.Random(2), **changed))
        assert head.state() == before

    def test_it_is_cold_until_a_quarter_of_the_labels_came_back(self) -> None:
        head, rng = ValueHead(SPEC), random.Random(1)
        for n in range(249):
            head.take(example(n, rng, outcome=False))
        assert head.cold_start
        head.take(example(250, rng, outcome=False))
        assert not head.cold_start

    def test_a_head_read_back_goes_on_to_the_same_bits(self) -> None:
        through = learned(500)
        resumed = head_from_state(SPEC, json.loads(json.dumps(through.state())))
        rng, again = random.Random(9), random.Random(9)
        for n in range(500, 700):
            through.take(example(n, rng))
            resumed.take(example(n, again))
        assert resumed.state() == through.state()

    def test_going_back_serves_what_was_learned_then(self) -> None:
        head = learned(400)
        then = json.loads(json.dumps(head.state()))
        rng = random.Random(3)
        for n in range(400, 500):
            head.take(example(n, rng))
        head.go_back(head.models_of(then))
        assert head.state() == then

    def test_a_state_of_another_catalogue_is_brought_over(self) -> None:
        wider = HeadSpec(VALUE, (*CATALOGUE, "new_feature"), 30, source=CHURN)
        head = head_from_state(wider, learned(300).state())
        assert head.learned == learned(300).learned

    def test_a_state_of_another_horizon_is_refused(self) -> None:
        with pytest.raises(ValueError, match="looks ahead"):
            head_from_state(HeadSpec(VALUE, CATALOGUE, 60, source=CHURN), learned(10).state())


class TestValueScorer:
    def test_it_serves_what_the_model_expects(self) -> None:
        head = learned()
        scorer = ValueScorer.from_state(SPEC, json.loads(json.dumps(head.state())))
        rng = random.Random(4)
        for n in range(50):
            vector = example(n, rng).features
            assert vector is not None
            expected = head.models.spend.expected(vector)
            assert scorer.spend_if_purchase(vector.tolist()) == pytest.approx(expected, rel=1e-9)

    def test_own_refunds_weigh_by_own_money_and_the_shops_by_one_horizon(self) -> None:
        scorer = ValueScorer.from_state(SPEC, learned().state())
        usual = learned().models.spend.mean_spend
        assert scorer.net_share(0.0, 0.0) == pytest.approx(0.75)
        assert scorer.net_share(3 * usual, 0.0) == pytest.approx(1 - 0.25 / 4)
        assert scorer.net_share(usual, usual) == pytest.approx(1 - (1 + 0.25) / 2)

    def test_who_gave_back_more_than_they_ever_bought_keeps_nothing_rather_than_less(self) -> None:
        assert ValueScorer.from_state(SPEC, learned().state()).net_share(10.0, 1e9) == 0.0

    def test_a_vector_that_cannot_be_is_refused(self) -> None:
        scorer = ValueScorer.from_state(SPEC, learned().state())
        with pytest.raises(ValueError, match="expected .* features|not finite"):
            scorer.spend_if_purchase([math.nan] * len(CATALOGUE))
        with pytest.raises(ValueError, match="expected .* features|not finite"):
            scorer.spend_if_purchase([0.0])

    def test_a_cut_without_a_value_head_serves_none(self) -> None:
        churn = Head(HeadSpec(CHURN, CATALOGUE, 30)).state()
        assert ServingCut.from_record({"version": "v", "day": 0, "heads": {CHURN: churn}}).spend is None

    def test_a_cut_with_one_serves_it(self) -> None:
        churn = Head(HeadSpec(CHURN, CATALOGUE, 30)).state()
        cut = ServingCut.from_record({"version": "v", "day": 0, "heads": {CHURN: churn, VALUE: learned().state()}})
        assert cut.spend is not None
        assert not cut.spend.cold_start
