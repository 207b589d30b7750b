"""Whatever a model has learned and whoever is scored: the families add up, and no reason contradicts its sign."""

from __future__ import annotations

import random
from math import exp, log

from hypothesis import given, settings
from hypothesis import strategies as st

from models.linear_scorer import LinearScorer
from streams.core.families import FAMILIES
from streams.core.features import CATALOGUE, NAMES
from streams.core.phrases import SAYINGS, SPANS, SPEAKERS, VOICE_OF
from streams.core.reasons import LEAVE_MORE, MOST_REASONS, Told, changed, families, reasons
from streams.core.sayings import Compared


@st.composite
def models(draw: st.DrawFn) -> LinearScorer:
    """A model whose logit stays where a probability still says which it was; some features never varied."""
    rng = random.Random(draw(st.integers(0, 1 << 32)))
    return LinearScorer(
        False,
        [rng.uniform(0.0, 6.0) for _ in NAMES],
        [rng.choice((0.0, rng.uniform(0.01, 3.0))) for _ in NAMES],
        [rng.gauss(0.0, 0.05) for _ in NAMES],
        rng.uniform(-3.0, 3.0),
        clip=6.0,
    )


@st.composite
def customers(draw: st.DrawFn) -> list[float]:
    """A vector in which flags are flags."""
    rng = random.Random(draw(st.integers(0, 1 << 32)))
    values = [rng.choice((0.0, rng.uniform(0.0, 8.0))) for _ in CATALOGUE]
    return [float(value > 4.0) if one.unit == "flag" else value for one, value in zip(CATALOGUE, values, strict=True)]


def told(model: LinearScorer, features: list[float], as_of: int = 0, version: str = "v") -> Told:
    return Told.of(as_of, version, model.explained(features, VOICE_OF), features)


@given(models(), customers())
@settings(max_examples=60, deadline=None)
def test_base_and_families_add_up_to_the_logit(model: LinearScorer, features: list[float]) -> None:
    score = told(model, features)
    logit = score.base + sum(families(score.sums).values())
    assert abs(log(score.probability / (1.0 - score.probability)) - logit) < 1e-9
    assert abs(score.probability - 1.0 / (1.0 + exp(-logit))) < 1e-12


@given(models(), models(), customers(), customers())
@settings(max_examples=60, deadline=None)
def test_changes_add_up_to_that_of_the_logit(
    earlier: LinearScorer, later: LinearScorer, before: list[float], now: list[float]
) -> None:
    last, score = told(earlier, before), told(later, now, 1, "w")
    found = changed(score, last.kept())
    assert found is not None
    moved = found["base"] + sum(one["change"] for one in found["by"]) + found["others"]
    logits = [log(one.probability / (1.0 - one.probability)) for one in (last, score)]
    assert abs(moved - (logits[1] - logits[0])) < 1e-9
    sizes = [abs(one["change"]) for one in found["by"]]
    assert sizes == sorted(sizes, reverse=True)


@given(models(), customers())
@settings(max_examples=100, deadline=None)
def test_reasons_are_the_highest_positive_families(model: LinearScorer, features: list[float]) -> None:
    score = told(model, features)
    wanted = sorted((one for one in score.sums if one > 0.0), reverse=True)[:MOST_REASONS]
    assert [reason["contribution"] for reason in reasons(score)] == wanted


@given(models(), customers())
@settings(max_examples=150, deadline=None)
def test_a_reason_raises_the_risk_and_lies_on_the_side_that_speaks_for_leaving(
    model: LinearScorer, features: list[float]
) -> None:
    score = told(model, features)
    for reason in reasons(score):
        feature, family = NAMES.index(reason["feature"]), FAMILIES.index(reason["family"])
        begin, end = SPANS[family]
        assert feature in SPEAKERS[begin:end]
        saying = SAYINGS[feature]
        if reason["text"].endswith(LEAVE_MORE) or not isinstance(saying, Compared):
            continue
        assert score.voices[SPEAKERS.index(feature, begin)] > 0.0
        if saying.speaks:
            assert (features[feature] - score.usual[feature]) * saying.speaks > 0.0


@given(models(), customers())
@settings(max_examples=30, deadline=None)
def test_the_same_vector_and_model_say_the_same(model: LinearScorer, features: list[float]) -> None:
    assert reasons(told(model, features)) == reasons(told(model, list(features)))
