"""Feature schemas: a model brought over to another catalogue keeps what both have, and takes nothing for granted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.churn import BayesianLogistic
from models.learner import learner_of
from models.packing import pack, unpack, unpacked
from models.schema import moved, names_of

OLD = ("a:days:log1p", "b:flag:plain", "c:ratio:plain")
RNG = np.random.default_rng(8)
ROWS = RNG.normal(size=(300, 3))
OUTCOMES = RNG.random(300) < 1 / (1 + np.exp(-ROWS[:, 0] + ROWS[:, 1]))


def learned(columns: tuple[str, ...] = OLD) -> BayesianLogistic:
    model = BayesianLogistic(names_of(columns))
    for row, outcome in zip(ROWS, OUTCOMES, strict=True):
        model.learn_vector(row[: len(columns)], bool(outcome))
    return model


def brought_over(wanted: tuple[str, ...]) -> Any:
    return learner_of(names_of(wanted), moved(learned().state(), OLD, wanted))


def test_the_same_catalogue_changes_nothing() -> None:
    assert moved(learned().state(), OLD, OLD) == learned().state()


def test_a_new_feature_enters_with_weight_0_and_the_priors_variance() -> None:
    model = brought_over((*OLD, "new"))
    assert (model.weights[3], model.covariance[3, 3]) == (0.0, model.prior_variance)
    assert not model.covariance[3, [0, 1, 2, 4]].any()


def test_a_new_feature_does_not_change_what_is_predicted() -> None:
    before, after = learned(), brought_over(("new", *OLD))
    for row in ROWS[:20]:
        assert after.probability([9.0, *row]) == pytest.approx(before.probability(row), abs=1e-12)


def test_a_removed_feature_is_marginalised_out() -> None:
    """Of a Gaussian, what is left without a coordinate is the mean and covariance without it."""
    before, after = learned(), brought_over(("a:days:log1p", "c:ratio:plain"))
    kept = [0, 2, 3]
    assert after.weights.tolist() == before.weights[kept].tolist()
    assert after.covariance.tolist() == before.covariance[np.ix_(kept, kept)].tolist()


def test_moments_go_with_their_feature() -> None:
    before, after = learned(), brought_over(("c:ratio:plain", "new", "a:days:log1p"))
    for part in ("counts", "means", "squares"):
        assert getattr(after, part).tolist() == [getattr(before, part)[2], 0.0, getattr(before, part)[0]]


def test_going_on_learning_is_the_same_as_under_the_new_order() -> None:
    """Without numbers that differ: the same catalogue in another order learns the same weights."""
    order = [2, 0, 1]
    model, other = learned(), brought_over(tuple(OLD[index] for index in order))
    for row, outcome in zip(ROWS[:50], OUTCOMES[:50], strict=True):
        model.learn_vector(row, bool(outcome))
        other.learn_vector(row[order], bool(outcome))
    assert other.weights[:3] == pytest.approx(model.weights[order], rel=1e-9)


def test_a_feature_of_another_unit_under_the_same_name_is_refused() -> None:
    with pytest.raises(ValueError, match="feature a was learned as 'a:days:log1p', and here it is 'a:hours:log1p'"):
        brought_over(("a:hours:log1p", *OLD[1:]))


def test_names_of_format_1_match_whatever_their_unit() -> None:
    state = learned(("a", "b", "c")).state()
    assert moved(state, ("a", "b", "c"), OLD)["weights"] == state["weights"]


def test_a_catalogue_without_anything_in_common_is_refused() -> None:
    with pytest.raises(ValueError, match="no feature in common"):
        brought_over(("x", "y"))


@pytest.mark.parametrize("text", ["", "no base64!", pack(np.array([1.0, np.inf, 0.0])), pack(np.array([1.0, 2.0]))])
def test_numbers_that_were_not_packed_so_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64|3 finite numbers"):
        unpacked(text, 3)


def test_packing_is_exact() -> None:
    values = np.array([0.1, -0.0, 1e-310, 1.7976931348623157e308, 3.0, 1 / 3])
    assert unpacked(pack(values), 6).tobytes() == values.tobytes()
    assert unpack(pack(values), 3)[0, 2] == unpack(pack(values), 3)[2, 0] == 1.7976931348623157e308


def test_a_state_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown model 'forest'"):
        learner_of(("a",), {"kind": "forest"})
