"""Every model passes River's own behavioural checks, and serving is what the engine's ports ask for."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from math import log
from typing import Any

import pytest
from river import datasets

from models.churn import BayesianLogistic
from models.serving import Cuts, ServingCut, empty_cut
from models.snapshots import dumps, loads
from streams.core.ports import ChurnScorer, Cut
from tests.support.training_logs import cut_of

pytest.importorskip("sklearn")  # River's checks draw their data sets with it
river_checks = pytest.importorskip("river.checks")

Example = tuple[dict[Any, Any], Any]

MODELS: dict[str, Callable[[], BayesianLogistic]] = {
    "posterior": lambda: BayesianLogistic(list(EXAMPLES[0][0]), likelihood_weight=1.0),
    "forgetful posterior": lambda: BayesianLogistic(list(EXAMPLES[0][0]), forgetting=1e-4, likelihood_weight=1.0),
}
EXAMPLES: list[Example] = list(datasets.Phishing().take(300))
NAMES = tuple(EXAMPLES[0][0])

model_of = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


def learned(make: Callable[[], BayesianLogistic], seed: int = 0) -> BayesianLogistic:
    model, examples = make(), EXAMPLES.copy()
    random.Random(seed).shuffle(examples)
    for x, y in examples:
        model.learn_one(x, y)
    return model


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{n}-{check.__name__}")
        for n, check in enumerate(river_checks.yield_checks(MODELS["posterior"]()))
    ],
)
@model_of
def test_passes_rivers_check(make: Callable[[], BayesianLogistic], check: Callable[[BayesianLogistic], None]) -> None:
    random.seed(42)  # River's checks draw from the global generator
    check(make())


@model_of
def test_learning_and_scoring_leave_the_input_alone(make: Callable[[], BayesianLogistic]) -> None:
    model = make()
    for x, y in EXAMPLES[:50]:
        before = copy.deepcopy((x, y))
        model.predict_proba_one(x)
        model.learn_one(x, y)
        assert (x, y) == before


@model_of
def test_scoring_changes_nothing(make: Callable[[], BayesianLogistic]) -> None:
    model = learned(make)
    before = model.state()
    for x, _ in EXAMPLES[:50]:
        model.predict_proba_one(x)
    assert model.state() == before


@model_of
def test_features_may_vanish(make: Callable[[], BayesianLogistic]) -> None:
    model = learned(make)
    for x, y in EXAMPLES[:50]:
        few = dict(list(x.items())[::4])
        assert 0.0 < model.predict_proba_one(few)[True] < 1.0
        model.learn_one(few, y)


@model_of
def test_seeded_runs_repeat_to_the_bit(make: Callable[[], BayesianLogistic]) -> None:
    assert learned(make, seed=3).state() == learned(make, seed=3).state()


@model_of
def test_another_order_is_another_model(make: Callable[[], BayesianLogistic]) -> None:
    assert learned(make, seed=3).state() != learned(make, seed=4).state()


@model_of
def test_snapshot_round_trips_exactly_and_serves_the_same(make: Callable[[], BayesianLogistic]) -> None:
    model = learned(make)
    record = loads(dumps(record_of(model)))
    restored, cut = (
        BayesianLogistic.from_state(NAMES, record["heads"]["churn"]["models"]["posterior"]),
        ServingCut.from_record(record),
    )
    assert restored.state() == model.state()
    for x, _ in EXAMPLES[:50]:
        vector = [float(x[name]) for name in NAMES]
        assert restored.probability(vector) == model.probability(vector)
        assert cut.probability(vector) == pytest.approx(model.probability(vector), abs=1e-12)


@model_of
def test_learns_something(make: Callable[[], BayesianLogistic]) -> None:
    model, right = make(), 0
    for x, y in EXAMPLES:
        right += (model.predict_proba_one(x)[True] >= 0.5) == bool(y)
        model.learn_one(x, y)
    assert right / len(EXAMPLES) > 0.8


def record_of(model: BayesianLogistic) -> dict[str, Any]:
    return cut_of(model, NAMES, day_ms=0)


def ports() -> tuple[ChurnScorer, list[Cut]]:
    """Typed as the engine's ports: mypy holds the structure, the tests below what it does."""
    return Cuts(), [ServingCut.from_record(record_of(learned(MODELS["posterior"]))), empty_cut()]


def test_cuts_are_a_churn_scorer() -> None:
    cut, stale = ports()[0].cut_at(1_000)
    assert (cut.cold_start, stale) == (True, False)


@pytest.mark.parametrize("which", [0, 1], ids=["served", "empty"])
def test_cut_gives_what_the_port_promises(which: int) -> None:
    cut = ports()[1][which]
    vector = [float(EXAMPLES[0][0][name]) for name in NAMES]
    assert isinstance(cut.version, str)
    assert isinstance(cut.day_ms, int)
    assert isinstance(cut.cold_start, bool)
    groups = [index % 2 for index in range(len(NAMES))]
    probability, base, sums, usual = cut.explained(vector, groups)
    assert 0.0 <= probability <= 1.0
    assert probability == cut.probability(vector)
    assert (len(sums), len(usual)) == (2, len(NAMES))
    assert abs(base + sum(sums) - log(probability / (1.0 - probability))) < 1e-9
