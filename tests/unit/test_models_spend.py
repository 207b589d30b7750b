"""Expected spend: the quantile sketch, the regression, and the chain back to money."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest

from models.gaussian import INTERCEPT_VARIANCE, GaussianRegression
from models.quantiles import GROWTH, LEAST, LogHistogram
from models.spend import MEMORY, RATIO_LIMIT, UNTRIED, OwnRecord, SpendModel, conditional

CATALOGUE = ("net_spend_30d", "net_spend_90d", "net_spend_365d", "orders_90d", "orders_365d", "tenure_days")


def lognormal(n: int, seed: int = 7) -> list[float]:
    rng = random.Random(seed)
    return [math.exp(rng.gauss(3.0, 1.5)) for _ in range(n)]


def rank(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


class TestLogHistogram:
    @pytest.mark.parametrize("share", [0.01, 0.5, 0.99, 1.0])
    def test_it_is_the_exact_rank_within_one_percent_above(self, share: float) -> None:
        sketch, values = LogHistogram(share), lognormal(3_000)
        for n, value in enumerate(values, start=1):
            sketch.add(value)
            if n % 250 == 0 or n < 20:
                exact = rank(values[:n], share)
                assert exact <= sketch.quantile * (1 + 1e-12)
                assert sketch.quantile <= exact * GROWTH * (1 + 1e-12)

    def test_a_few_low_values_after_high_ones_bring_it_down_again(self) -> None:
        sketch = LogHistogram(0.5)
        for value in [100.0] * 3 + [1.0] * 4:
            sketch.add(value)
        assert 1.0 <= sketch.quantile <= GROWTH

    def test_the_order_of_values_leaves_no_trace(self) -> None:
        values = lognormal(500)
        there, back = LogHistogram(0.99), LogHistogram(0.99)
        for value in values:
            there.add(value)
        for value in reversed(values):
            back.add(value)
        assert there.state() == back.state()
        assert there.quantile == back.quantile

    def test_a_sketch_read_back_goes_on_alike(self) -> None:
        values = lognormal(800)
        through = LogHistogram(0.99)
        for value in values[:400]:
            through.add(value)
        resumed = LogHistogram.from_state(json.loads(json.dumps(through.state())))
        for value in values[400:]:
            through.add(value)
            resumed.add(value)
            assert resumed.quantile == through.quantile
        assert resumed.state() == through.state()

    def test_nothing_seen_limits_nothing(self) -> None:
        assert LogHistogram(0.99).quantile == math.inf

    def test_money_of_nothing_lies_in_the_lowest_bin(self) -> None:
        sketch = LogHistogram(0.5)
        sketch.add(0.0)
        assert sketch.quantile == LEAST

    def test_it_stays_bounded_whatever_comes(self) -> None:
        sketch = LogHistogram(1.0)
        for exponent in range(-300, 300):
            sketch.add(10.0**exponent)
        assert len(sketch.state()["bins"]) <= 600
        assert math.isfinite(sketch.quantile)

    @pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
    def test_what_is_no_amount_is_refused(self, value: float) -> None:
        with pytest.raises(ValueError, match="at least 0"):
            LogHistogram(0.5).add(value)

    @pytest.mark.parametrize("bins", [[[1, 0]], [[-1, 2]], [[1, 2.5]], [["a", 1]], [[10**9, 1]]])
    def test_a_state_that_cannot_be_is_refused(self, bins: list[list[object]]) -> None:
        with pytest.raises(ValueError, match="a bin holds"):
            LogHistogram.from_state({"share": 0.5, "bins": bins})


class TestGaussianRegression:
    def test_the_posterior_is_the_closed_form_of_bayesian_linear_regression(self) -> None:
        size, prior, power = 4, 0.05, 0.3
        rng = np.random.default_rng(3)
        rows = np.column_stack([rng.normal(size=(200, size)), np.ones(200)])
        targets = rows @ np.array([0.5, -1.0, 0.0, 2.0, 3.0]) + rng.normal(size=200)
        line = GaussianRegression([f"x{i}" for i in range(size)], prior, power)
        for row, target in zip(rows, targets, strict=True):
            line.update(row, float(target))
        precision = np.diag([1 / prior] * size + [1 / INTERCEPT_VARIANCE]) + power * rows.T @ rows
        assert np.allclose(line.covariance, np.linalg.inv(precision), rtol=1e-9, atol=1e-12)
        assert np.allclose(line.weights, np.linalg.solve(precision, power * rows.T @ targets), rtol=1e-9)

    def test_inputs_are_standardised_by_their_running_moments(self) -> None:
        line = GaussianRegression(["x"], 1.0, 1.0)
        for x in (1.0, 3.0, 8.0):
            line.learn([x], 0.0)
        assert line.means.tolist() == [4.0]
        assert line.deviations() == pytest.approx([np.std([1.0, 3.0, 8.0])])

    def test_doubt_widens_but_not_beyond_the_prior(self) -> None:
        line = GaussianRegression(["x"], 0.5, 1.0)
        for n in range(200):
            line.learn([float(n % 5)], float(n % 5))
        before = line.covariance.diagonal().copy()
        line.widen(4.0)
        assert line.covariance.diagonal() == pytest.approx(np.minimum(4.0 * before, [0.5, INTERCEPT_VARIANCE]))
        line.widen(1e9)
        assert line.covariance.diagonal() == pytest.approx([0.5, INTERCEPT_VARIANCE])

    def test_what_is_not_finite_is_named(self) -> None:
        with pytest.raises(ValueError, match="b=nan"):
            GaussianRegression(["a", "b"], 1.0, 1.0).learn([0.0, math.nan], 1.0)


def purse(spend_365d: float, orders_365d: float, tenure_days: float) -> list[float]:
    spend = math.log1p(spend_365d)
    return [spend, spend, spend, math.log1p(orders_365d), math.log1p(orders_365d), math.log1p(tenure_days)]


class TestOwnRecord:
    def test_the_shortest_window_of_three_horizons_is_read(self) -> None:
        vector = [math.log1p(x) for x in (10.0, 300.0, 9_000.0, 3.0, 40.0, 400.0)]
        assert OwnRecord(CATALOGUE, 30).per_horizon(vector) == pytest.approx(300.0 / 3)
        assert OwnRecord(CATALOGUE, 60).per_horizon(vector) == pytest.approx(9_000.0 / (365 / 60 + 1))

    def test_one_order_counts_as_one_horizon_with_a_purchase(self) -> None:
        assert OwnRecord(CATALOGUE, 60).per_horizon(purse(80.0, 1, 300)) == pytest.approx(80.0)

    def test_many_orders_count_as_no_more_than_the_horizons_of_the_tenure_and_one(self) -> None:
        assert OwnRecord(CATALOGUE, 60).per_horizon(purse(900.0, 25, 120)) == pytest.approx(300.0)

    def test_a_catalogue_without_money_says_nothing(self) -> None:
        assert OwnRecord(("recency_days", "tenure_days"), 30).per_horizon([1.0, 2.0]) is None


class TestConditional:
    def test_smearing_brings_the_mean_of_logs_back_to_money(self) -> None:
        assert conditional(math.log1p(99.0), 9.0, 1.5, 0.0, 1.0, None) == pytest.approx(149.0)

    def test_the_own_record_is_blended_in_by_its_weight_and_the_ratio_corrects_the_whole(self) -> None:
        assert conditional(math.log1p(99.0), 9.0, 1.0, 0.25, 2.0, 299.0) == pytest.approx(2 * (0.75 * 99 + 0.25 * 299))

    def test_the_regression_never_says_more_than_the_most_that_was_seen(self) -> None:
        assert conditional(700.0, math.log1p(50.0), 1.0, 0.0, 1.0, None) == pytest.approx(50.0)

    def test_it_is_never_negative(self) -> None:
        assert conditional(-5.0, 9.0, 1.0, 0.0, 1.0, None) == 0.0


def shop(n: int, seed: int = 5) -> list[tuple[list[float], float]]:
    """Customers whose spend follows their record, with the noise of a heavy tail."""
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        level = math.exp(rng.gauss(4.0, 1.0))
        orders = rng.randint(1, 12)
        found.append((purse(level * orders, orders, rng.uniform(10, 700)), level * math.exp(rng.gauss(0.0, 0.8))))
    return found


class TestSpendModel:
    def test_the_first_hundred_labels_correct_nothing(self) -> None:
        model = SpendModel(CATALOGUE, 30)
        for vector, spend in shop(UNTRIED):
            model.learn_vector(vector, spend)
        assert (model.smearing, model.trust, model.ratio) == (1.0, 0.0, 1.0)

    def test_smearing_trust_and_ratio_are_what_the_labels_before_said(self) -> None:
        model, seen = SpendModel(CATALOGUE, 30), shop(400)
        tried: list[tuple[float, float, float, float, float]] = []
        for n, (vector, spend) in enumerate(seen):
            log_mean = model.regression.mean(vector)
            smearing, trust = model.smearing, model.trust
            model.learn_vector(vector, spend)
            if n < UNTRIED:
                continue
            own = model.record.per_horizon(vector)
            assert own is not None
            most = math.log1p(max(other for _, other in seen[:n]))
            regression = max(math.exp(min(log_mean, most)) * smearing - 1, 0)
            residual = (1 + min(spend, model.limit)) / math.exp(min(log_mean, most))
            pull = (own - regression) * (spend - regression) / (own + regression)
            room = (own - regression) ** 2 / (own + regression)
            tried.append((residual, pull, room, spend, (1 - trust) * regression + trust * own))
        ages = (1 - 1 / MEMORY) ** np.arange(len(tried))[::-1]
        exp_residuals, pull, room, spent, predicted = (np.array(tried) * ages[:, None]).sum(axis=0)
        count = ages.sum()
        assert model.smearing == pytest.approx(exp_residuals / count, rel=1e-9)
        assert model.trust == pytest.approx(min(max(pull / room * count / (count + UNTRIED), 0), 1), rel=1e-9)
        extra = UNTRIED * predicted / count
        assert model.ratio == pytest.approx((spent + extra) / (predicted + extra), rel=1e-9)

    def test_totals_come_out_right_though_the_target_is_winsorised_and_logarithmic(self) -> None:
        model, seen = SpendModel(CATALOGUE, 30), shop(3_000)
        for vector, spend in seen[:2_000]:
            model.learn_vector(vector, spend)
        expected = sum(model.expected(vector) for vector, _ in seen[2_000:])
        assert expected / sum(spend for _, spend in seen[2_000:]) == pytest.approx(1.0, abs=0.1)

    def test_one_wholesale_order_does_not_move_the_weights_as_far_as_its_money(self) -> None:
        plain, outlying = SpendModel(CATALOGUE, 30), SpendModel(CATALOGUE, 30)
        for vector, spend in shop(500):
            plain.learn_vector(vector, spend)
            outlying.learn_vector(vector, spend)
        vector = purse(500.0, 5, 200)
        plain.learn_vector(vector, plain.limit)
        outlying.learn_vector(vector, 1e9)
        assert outlying.regression.weights == pytest.approx(plain.regression.weights, rel=0.02)

    def test_the_correction_of_the_total_is_bounded(self) -> None:
        model = SpendModel(CATALOGUE, 30)
        for n, (vector, spend) in enumerate(shop(300)):
            model.learn_vector(vector, spend if n < UNTRIED else 1e7 * spend)
        assert 1 / RATIO_LIMIT <= model.ratio <= RATIO_LIMIT

    def test_a_model_read_back_goes_on_to_the_same_bits(self) -> None:
        seen = shop(600)
        through = SpendModel(CATALOGUE, 30)
        for vector, spend in seen[:300]:
            through.learn_vector(vector, spend)
        resumed = SpendModel.from_state(CATALOGUE, json.loads(json.dumps(through.state())))
        for vector, spend in seen[300:]:
            through.learn_vector(vector, spend)
            resumed.learn_vector(vector, spend)
        assert resumed.state() == through.state()
        assert resumed.expected(seen[0][0]) == through.expected(seen[0][0])

    @pytest.mark.parametrize(
        "part", [{"kind": "other"}, {"tried": 10**6}, {"spent": math.nan}, {"most": -1.0}, {"weights": [1.0]}]
    )
    def test_a_state_that_does_not_hold_together_is_refused(self, part: dict[str, object]) -> None:
        model = SpendModel(CATALOGUE, 30)
        for vector, spend in shop(150):
            model.learn_vector(vector, spend)
        with pytest.raises((ValueError, TypeError)):
            SpendModel.from_state(CATALOGUE, model.state() | part)

    @pytest.mark.parametrize("spend", [-1.0, math.inf, math.nan])
    def test_what_is_no_amount_is_refused(self, spend: float) -> None:
        with pytest.raises(ValueError, match="at least 0"):
            SpendModel(CATALOGUE, 30).learn_vector(purse(1, 1, 1), spend)
