"""The Bayesian logistic: what one label does, and that nothing but the examples and their order matters."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from models.churn import BayesianLogistic, sigmoid

NAMES = ("recency", "frequency", "spend", "constant")


def shop(labels: int, seed: int = 7) -> list[tuple[list[float], bool]]:
    """Examples of three telling features on very different scales, and one that never varies."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(labels):
        recency, frequency, spend = rng.exponential(20.0), float(rng.integers(1, 9)), rng.lognormal(5.0, 1.0)
        truth = sigmoid(0.08 * recency - 0.5 * frequency + 0.3)
        examples.append(([float(recency), frequency, float(spend), 3.25], bool(rng.random() < truth)))
    return examples


def learned(labels: int, **parameters: float) -> BayesianLogistic:
    model = BayesianLogistic(NAMES, **parameters)
    for vector, churned in shop(labels):
        model.learn_vector(np.array(vector), churned)
    return model


def test_knows_nothing_before_the_first_label() -> None:
    assert BayesianLogistic(NAMES).probability([1.0, 2.0, 3.0, 4.0]) == 0.5


def test_first_label_moves_only_the_intercept() -> None:
    model = BayesianLogistic(NAMES)
    model.learn_vector([9.0, 8.0, 7.0, 6.0], True)
    assert model.weights[:-1].tolist() == [0.0] * 4
    assert model.weights[-1] > 0.0


def test_first_label_lands_on_the_mode_of_prior_and_likelihood() -> None:
    model = BayesianLogistic(["x"], likelihood_weight=1.0)
    model.learn_vector([5.0], True)
    w = float(model.weights[-1])
    assert w / 10.0 == pytest.approx(1.0 - sigmoid(w), abs=1e-12)  # derivative of -w²/20 + ln sigmoid(w) is 0
    assert model.covariance[1, 1] == pytest.approx(1.0 / (0.1 + sigmoid(w) * (1.0 - sigmoid(w))), rel=1e-12)


def test_one_step_equals_a_matrix_inverse_at_the_mode() -> None:
    model = learned(200, likelihood_weight=1.0)
    before, vector = copy.deepcopy(model), np.array([40.0, 1.0, 90.0, 3.25])
    model.learn_vector(vector, True)
    deviation = np.sqrt(model.squares / model.counts)
    z = np.append(np.divide(vector - model.means, deviation, out=np.zeros(4), where=deviation > 0), 1.0)
    p = sigmoid(float(model.weights @ z))
    assert model.weights == pytest.approx(before.weights + before.covariance @ z * (1.0 - p), rel=1e-9, abs=1e-12)
    precision = np.linalg.inv(before.covariance) + p * (1.0 - p) * np.outer(z, z)
    assert model.covariance == pytest.approx(np.linalg.inv(precision), rel=1e-7, abs=1e-12)


def test_moments_equal_numpy_over_all_vectors() -> None:
    model, matrix = learned(300), np.array([vector for vector, _ in shop(300)])
    assert model.means == pytest.approx(matrix.mean(axis=0), rel=1e-12)
    assert np.sqrt(model.squares / model.counts) == pytest.approx(matrix.std(axis=0), rel=1e-9)


def test_recovers_the_direction_of_the_truth() -> None:
    recency, frequency, spend, constant, _ = learned(4_000, likelihood_weight=1.0).weights.tolist()
    assert recency > 0.8
    assert frequency < -0.6
    assert abs(spend) < 0.2
    assert constant == 0.0


def test_agrees_with_the_batch_fit_under_the_same_prior() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    examples = shop(6_000)
    matrix, labels = np.array([v for v, _ in examples]), [y for _, y in examples]
    z = (matrix[:, :3] - matrix[:, :3].mean(axis=0)) / matrix[:, :3].std(axis=0)
    batch = linear.LogisticRegression(C=0.01).fit(z, labels).predict_proba(z)[:, 1]
    model = learned(6_000, likelihood_weight=1.0)
    online = [model.probability(v) for v in matrix]
    assert np.abs(batch - online).mean() < 0.02


def test_dict_path_equals_vector_path_to_the_bit() -> None:
    by_vector, by_dict = BayesianLogistic(NAMES), BayesianLogistic(NAMES)
    for vector, churned in shop(300):
        x = dict(zip(NAMES, vector, strict=True))
        assert by_dict.predict_proba_one(x)[True] == by_vector.probability(vector)
        by_vector.learn_vector(vector, churned)
        by_dict.learn_one(x, churned)
    assert by_dict.state() == by_vector.state()


def test_missing_feature_scores_as_its_training_mean() -> None:
    model = learned(300)
    recency, frequency, spend, constant = (float(mean) for mean in model.means)
    without = model.predict_proba_one({"recency": 50.0, "frequency": 2.0, "constant": constant})
    assert without[True] == model.probability([50.0, 2.0, spend, constant])
    assert recency > 0.0
    assert frequency > 0.0


def test_missing_feature_leaves_its_own_moments_alone() -> None:
    model = learned(50)
    mean, count = model.means[2], model.counts[2]
    model.learn_one({"recency": 1.0, "frequency": 1.0, "constant": 3.25}, True)
    assert (model.means[2], model.counts[2]) == (mean, count)


def test_unknown_feature_is_ignored() -> None:
    model, x = learned(50), dict(zip(NAMES, (1.0, 2.0, 3.0, 3.25), strict=True))
    assert model.predict_proba_one({**x, "shoe_size": 44.0}) == model.predict_proba_one(x)


def test_feature_that_never_varied_says_nothing_when_it_does() -> None:
    model = learned(200)
    assert model.probability([1.0, 2.0, 3.0, 99.0]) == model.probability([1.0, 2.0, 3.0, 3.25])


def test_outlier_counts_as_six_deviations() -> None:
    model = learned(200)
    far = float(model.means[0] + 7.0 * math.sqrt(model.squares[0] / model.counts[0]))
    assert model.probability([far, 2.0, 3.0, 3.25]) == model.probability([far * 1e6, 2.0, 3.0, 3.25])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_is_not_finite_is_refused_by_name_and_changes_nothing(value: float) -> None:
    model = learned(20)
    before = model.state()
    with pytest.raises(ValueError, match="not finite: frequency="):
        model.learn_vector([1.0, value, 3.0, 4.0], True)
    with pytest.raises(ValueError, match="not finite: frequency="):
        model.learn_one({"frequency": value}, True)
    with pytest.raises(ValueError, match="not finite: frequency="):
        model.probability([1.0, value, 3.0, 4.0])
    assert model.state() == before


def test_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 4 features"):
        BayesianLogistic(NAMES).learn_vector([1.0], True)


@pytest.mark.parametrize(
    "parameters",
    [{"prior_variance": 0.0}, {"prior_variance": math.inf}, {"forgetting": 1.0}, {"likelihood_weight": 0.0}],
)
def test_parameter_out_of_range_is_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        BayesianLogistic(NAMES, **parameters)


def test_covariance_stays_symmetric_and_positive_with_twin_features() -> None:
    model = BayesianLogistic(["a", "b"], prior_variance=1.0)
    rng = np.random.default_rng(3)
    for _ in range(5_000):
        x = float(rng.normal())
        model.learn_vector([x, x], bool(rng.random() < sigmoid(2 * x)))
    assert (model.covariance == model.covariance.T).all()
    assert np.linalg.eigvalsh(model.covariance).min() > 0.0
    assert model.weights[0] == pytest.approx(model.weights[1])


def test_forgetting_follows_a_shop_that_turns_around() -> None:
    steady = BayesianLogistic(["x"], likelihood_weight=1.0)
    forgetful = BayesianLogistic(["x"], likelihood_weight=1.0, forgetting=1e-3)
    rng = np.random.default_rng(5)
    for number in range(6_000):
        x = float(rng.normal())
        churned = bool(rng.random() < sigmoid(2 * x if number < 3_000 else -2 * x))
        steady.learn_vector([x], churned)
        forgetful.learn_vector([x], churned)
    assert forgetful.probability([1.5]) < 0.3 < steady.probability([1.5])


def test_half_a_likelihood_moves_the_posterior_to_its_own_mode() -> None:
    model = BayesianLogistic(["x"], likelihood_weight=0.5)
    model.learn_vector([5.0], True)
    w = float(model.weights[-1])
    assert w / 10.0 == pytest.approx(0.5 * (1.0 - sigmoid(w)), abs=1e-12)  # of -w²/20 + ln(sigmoid(w)) / 2
    assert model.covariance[1, 1] == pytest.approx(1.0 / (0.1 + 0.5 * sigmoid(w) * (1.0 - sigmoid(w))), rel=1e-12)


def test_widening_divides_what_the_labels_brought_and_leaves_the_weights() -> None:
    model = learned(3_000, prior_variance=0.1)
    weights, before = model.weights.copy(), model.covariance.copy()
    model.widen(1.5)
    prior = np.diag([10.0] * 4 + [0.1])
    wanted = np.linalg.inv(prior + (np.linalg.inv(before) - prior) / 1.5)
    assert (model.weights == weights).all()
    assert model.covariance == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_widening_in_steps_is_widening_at_once() -> None:
    once, twice = learned(500), learned(500)
    once.widen(3.0)
    twice.widen(1.5)
    twice.widen(2.0)
    assert once.covariance == pytest.approx(twice.covariance, rel=1e-9, abs=1e-12)


def test_no_direction_is_ever_wider_than_the_prior() -> None:
    model = learned(500, prior_variance=0.01)
    prior = np.diag([0.01] * 4 + [10.0])
    for _ in range(40):
        model.widen(2.0)
        assert (model.covariance == model.covariance.T).all()
        assert np.linalg.eigvalsh(model.covariance).min() > 0.0
        assert np.linalg.eigvalsh(prior - model.covariance).min() > -1e-12
    assert model.covariance == pytest.approx(prior)


def test_widened_model_learns_faster_what_changed() -> None:
    steady, widened = learned(3_000), learned(3_000)
    widened.widen(4.0)
    for vector, churned in shop(200, seed=9):
        steady.learn_vector(vector, not churned)
        widened.learn_vector(vector, not churned)
    assert widened.weights[0] < steady.weights[0]


@pytest.mark.parametrize("factor", [0.99, math.nan, math.inf])
def test_widening_by_less_than_one_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="factor must be"):
        learned(5).widen(factor)


def test_state_survives_json_to_the_bit_and_goes_on_the_same() -> None:
    model = learned(150, prior_variance=0.02, forgetting=1e-5, likelihood_weight=0.3)
    restored = BayesianLogistic.from_state(NAMES, json.loads(json.dumps(model.state())))
    for vector, churned in shop(50, seed=8):
        model.learn_vector(vector, churned)
        restored.learn_vector(vector, churned)
    assert restored.state() == model.state()


@pytest.mark.parametrize(("key", "value"), [("kind", "tree"), ("clip", 5.0), ("weights", [1.0]), ("covariance", [1.0])])
def test_state_that_does_not_hold_together_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError):
        BayesianLogistic.from_state(NAMES, {**learned(5).state(), key: value})


def test_another_process_with_other_threads_learns_the_same_bits() -> None:
    program = "import json, tests.unit.test_models_churn as t; print(json.dumps(t.learned(400).state()))"
    environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "99"}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert json.loads(printed) == learned(400).state()
