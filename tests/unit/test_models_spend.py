"""Expected spend: the quantile sketch, the regression, and the chain back to money."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest

from models.gaussian import INTERCEPT_VARIANCE, GaussianRegression
from models.money_scale import MEMORY, PRIOR_LABELS, RANGE, MoneyScale
from models.quantiles import GROWTH, LEAST, LogHistogram
from models.spend import UNTRIED, SpendModel

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


class TestMoneyScale:
    def test_at_first_the_regression_is_taken_at_its_word(self) -> None:
        assert MoneyScale(CATALOGUE).expected(math.log1p(99.0), purse(5.0, 1, 9)) == pytest.approx(99.0)

    @pytest.mark.parametrize("spend", [0.0, 5.0, 30.0, 4_000.0])
    def test_a_label_moves_the_weights_to_the_mode_of_the_posterior(self, spend: float) -> None:
        scale = MoneyScale(["net_spend_365d"])
        scale.learn(1.5, [2.5], spend, unit=10.0)
        z, events = np.array([1.0, 1.5, 2.5]), (1 + spend) / 10.0
        rate = math.exp(1.5 + float(z @ scale.weights)) / 10.0
        # Where the gradient of the log posterior is nought, and with the curvature of there.
        assert PRIOR_LABELS * scale.weights == pytest.approx(z * (events - rate), rel=1e-6, abs=1e-9)
        precision = np.eye(3) * PRIOR_LABELS + rate * np.outer(z, z)
        assert np.allclose(scale.covariance, np.linalg.inv(precision), rtol=1e-6)

    def test_forgetting_widens_but_never_beyond_the_prior(self) -> None:
        scale = MoneyScale(["net_spend_365d"])
        for n in range(500):
            scale.learn(1.0 + n % 3, [2.0 + n % 5], 30.0, unit=10.0)
        known = scale.covariance.copy()
        scale._forget()
        assert scale.covariance == pytest.approx(known / (1 - 1 / MEMORY))
        for _ in range(100_000):
            scale._forget()
        assert scale.covariance.diagonal() == pytest.approx([1 / PRIOR_LABELS] * 3, rel=1e-6)

    def test_it_learns_that_spend_goes_with_the_record_and_not_with_the_regression(self) -> None:
        scale, rng = MoneyScale(["net_spend_365d"]), random.Random(2)
        for _ in range(6_000):
            record = rng.uniform(2.0, 5.0)
            scale.learn(rng.uniform(2.0, 5.0), [record], math.exp(record) * rng.expovariate(1.0), unit=40.0)
        for record in (2.5, 4.5):
            assert scale.expected(3.0, [record]) == pytest.approx(math.exp(record), rel=0.25)

    def test_money_is_scaled_within_bounds_whatever_came(self) -> None:
        scale = MoneyScale([])
        scale.learn(0.0, [], 1e15, unit=1.0)
        assert scale.expected(1.0, []) == pytest.approx(math.exp(1.0 + RANGE) - 1)

    def test_it_is_never_negative(self) -> None:
        assert MoneyScale([]).expected(-5.0, []) == 0.0


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
        assert model.smearing == 1.0
        assert not model.scale.weights.any()

    def test_smearing_is_the_mean_of_the_residuals_before_each_was_learned(self) -> None:
        model, seen = SpendModel(CATALOGUE, 30), shop(400)
        residuals = []
        for n, (vector, spend) in enumerate(seen):
            most = math.log1p(max([0.0, *(other for _, other in seen[:n])]))
            said = min(model.regression.mean(vector), most)
            model.learn_vector(vector, spend)
            if n >= UNTRIED:
                residuals.append((1 + min(spend, model.limit)) / math.exp(said))
        ages = (1 - 1 / MEMORY) ** np.arange(len(residuals))[::-1]
        assert model.smearing == pytest.approx((ages * residuals).sum() / ages.sum(), rel=1e-9)

    def test_totals_come_out_right_though_the_target_is_winsorised_and_logarithmic(self) -> None:
        model, seen = SpendModel(CATALOGUE, 30), shop(6_000, seed=6)
        for vector, spend in seen[:5_000]:
            model.learn_vector(vector, spend)
        actual = sum(spend for _, spend in seen[5_000:])
        assert sum(model.expected(vector) for vector, _ in seen[5_000:]) / actual == pytest.approx(1.0, abs=0.1)
        smeared = sum(math.exp(model.regression.mean(vector)) * model.smearing for vector, _ in seen[5_000:])
        assert smeared / actual < 0.9

    def test_one_wholesale_order_does_not_move_the_weights_as_far_as_its_money(self) -> None:
        plain, outlying = SpendModel(CATALOGUE, 30), SpendModel(CATALOGUE, 30)
        for vector, spend in shop(500):
            plain.learn_vector(vector, spend)
            outlying.learn_vector(vector, spend)
        vector = purse(500.0, 5, 200)
        plain.learn_vector(vector, plain.limit)
        outlying.learn_vector(vector, 1e9)
        assert outlying.regression.weights == pytest.approx(plain.regression.weights, rel=0.02)

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
        "part",
        [{"kind": "other"}, {"tried": 1e6}, {"tried": 0}, {"spent": math.nan}, {"most": -1.0}, {"weights": [1.0]}],
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
