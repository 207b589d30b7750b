"""Drift: what is alarmed, how soon, what an alarm says and does, and that a restart changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from models.churn import BayesianLogistic
from models.drift import ERROR_FACTOR, FEATURE_FACTOR, REST, Alarm, DriftWatch, excess_loss
from models.feature_moments import BLOCK, REFERENCE_BLOCKS
from tests.support.drifting_streams import SHIFT_AT, alarms_of, names, shifted_stream

REFERENCE = BLOCK * REFERENCE_BLOCKS
FAMILIES = {"x0": "recency", "x1": "recency", "x2": "money", "x3": "money"}


def watched(
    watch: DriftWatch,
    labels: range,
    *,
    vectors: Any = None,
    probability: float = 0.5,
    outcomes: Any = None,
    seed: int = 0,
) -> list[Alarm]:
    """Four Gaussian features and fair outcomes, where nothing else is said."""
    random = np.random.default_rng([seed, labels.start])
    drawn = random.normal(size=(len(labels), 4)) if vectors is None else vectors
    came = (random.random(len(labels)) < probability).tolist() if outcomes is None else outcomes
    return [
        alarm
        for label, vector, outcome in zip(labels, drawn, came, strict=True)
        for alarm in watch.observe(vector, probability, outcome, label)
    ]


def a_watch() -> DriftWatch:
    return DriftWatch(names(4), FAMILIES)


def text_of(watch: DriftWatch) -> str:
    return json.dumps(watch.state(), allow_nan=False)


# -- what is alarmed -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_shift_of_one_logit_is_alarmed_within_a_thousand_labels_and_nothing_before_it(seed: int) -> None:
    alarms, _ = alarms_of(shifted_stream(seed), until=lambda alarm: alarm.label > SHIFT_AT)
    assert [alarm.signal in ("residual", "log_loss") for alarm in alarms] == [True]
    assert SHIFT_AT < alarms[0].label <= SHIFT_AT + 1_000


def test_errors_that_grow_both_ways_are_alarmed_by_their_log_loss() -> None:
    """Residuals cancel out: half of the 10% come, and half of the 90% stay away."""
    random = np.random.default_rng(3)
    watch, alarms = DriftWatch(["x"]), []
    for label in range(8_000):
        probability = 0.1 if label % 2 else 0.9
        outcome = bool(random.random() < (probability if label < 6_000 else 0.5))
        alarms += watch.observe([0.0], probability, outcome, label)
    assert (alarms[0].signal, alarms[0].change.after > alarms[0].change.before) == ("log_loss", True)


def test_a_log_loss_that_falls_is_no_alarm() -> None:
    """Those at 40% come to stay away in one case of ten only, those at 60% in nine: better than was said."""
    watch, random = DriftWatch(["x"]), np.random.default_rng(4)
    for label in range(8_000):
        probability = 0.4 if label % 2 else 0.6
        better = probability if label < 4_000 else (0.1 if label % 2 else 0.9)
        assert not watch.observe([0.0], probability, bool(random.random() < better), label)


def test_doubtful_customers_are_no_drift_while_the_probabilities_are_right() -> None:
    """Log loss itself triples for 4,000 labels."""
    watch, random = DriftWatch(["x"]), np.random.default_rng(4)
    for label in range(12_000):
        probability = 0.5 if 4_000 <= label < 8_000 else 0.05
        assert not watch.observe([0.0], probability, bool(random.random() < probability), label)


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.3, 0.97, 1.0])
def test_the_excess_of_a_right_probability_is_zero_on_average(probability: float) -> None:
    mean = probability * excess_loss(probability, True) + (1.0 - probability) * excess_loss(probability, False)
    assert mean == pytest.approx(0.0, abs=1e-12)


def test_a_feature_that_breaks_is_named_with_its_family() -> None:
    watch = a_watch()
    assert not watched(watch, range(REFERENCE + 4_000))
    broken = np.random.default_rng(5).normal(size=(4_000, 4)) * [1, 1, 1, 0] + [0, 0, 0, 2]
    alarms = watched(watch, range(REFERENCE + 4_000, REFERENCE + 8_000), vectors=broken)
    assert {alarm.signal for alarm in alarms} == {"money"}
    assert alarms[0].moved[0].feature == "x3"
    assert alarms[0].moved[0].before == pytest.approx(0.0, abs=0.1)
    assert 0.5 < alarms[0].moved[0].after <= 2.0


def test_a_feature_that_only_spreads_is_alarmed_by_its_second_moment() -> None:
    watch = a_watch()
    watched(watch, range(REFERENCE + 4_000))
    wide = np.random.default_rng(6).normal(size=(4_000, 4)) * [3, 3, 1, 1]
    alarms = watched(watch, range(REFERENCE + 4_000, REFERENCE + 8_000), vectors=wide)
    assert (alarms[0].signal, alarms[0].moment) == ("recency", "spread")


def test_a_feature_that_was_always_zero_and_comes_alive_is_alarmed() -> None:
    watch = a_watch()
    dead = np.random.default_rng(7).normal(size=(REFERENCE + 4_000, 4)) * [1, 1, 1, 0]
    assert not watched(watch, range(len(dead)), vectors=dead)
    assert {alarm.signal for alarm in watched(watch, range(len(dead), len(dead) + 4_000))} == {"money"}


def test_one_absurd_value_is_no_drift() -> None:
    watch = a_watch()
    vectors = np.random.default_rng(8).normal(size=(8_000, 4))
    vectors[6_000, 2] = 1e9
    assert not watched(watch, range(8_000), vectors=vectors)


def test_errors_of_a_model_that_has_just_begun_are_not_watched() -> None:
    watch = DriftWatch(["x"], warm_up=5_000)
    assert not any(watch.observe([0.0], 0.2, label > 1_000, label) for label in range(5_000))


def test_overlapping_labels_need_more_to_alarm_than_spaced_ones() -> None:
    first: dict[bool, int] = {}
    for spaced in (True, False):
        watch = DriftWatch(["x"])
        random = np.random.default_rng(9)
        for label in range(9_000):
            outcome = bool(random.random() < (0.3 if label < 6_000 else 0.5))
            if watch.observe([0.0], 0.3, outcome, label, spaced=spaced) and spaced not in first:
                first[spaced] = label
    assert 6_000 < first[True] < first[False] < 7_000


# -- what an alarm says and does -------------------------------------------------------------------


@cache
def shift_alarm() -> Alarm:
    alarms, _ = alarms_of(shifted_stream(10), until=lambda alarm: alarm.label > SHIFT_AT)
    return alarms[0]


def test_an_alarm_is_told_with_means_and_windows_before_and_after() -> None:
    event = shift_alarm().event("churn")
    assert (event["type"], event["head"], event["signal"], event["widened_by"]) == (
        "drift",
        "churn",
        "residual",
        ERROR_FACTOR,
    )
    assert event["before"]["labels"] + event["after"]["labels"] == event["label"] - 1_000
    assert event["after"]["mean"] - event["before"]["mean"] > 0.02
    assert json.loads(json.dumps(event, allow_nan=False)) == event


def test_the_same_alarm_has_the_same_id_and_another_head_another() -> None:
    alarm = shift_alarm()
    assert alarm.event("churn")["id"] == replace(alarm).event("churn")["id"]
    assert alarm.event("churn")["id"] != alarm.event("propensity")["id"]


def test_alarms_of_one_change_widen_together_no_more_than_the_strongest_of_them() -> None:
    watch = a_watch()
    watched(watch, range(REFERENCE + 6_000))
    moved = np.random.default_rng(11).normal(size=(REST, 4)) + 1.5
    alarms = watched(watch, range(REFERENCE + 6_000, REFERENCE + 6_000 + REST), vectors=moved, outcomes=[True] * REST)
    assert {alarm.signal for alarm in alarms} >= {"residual", "recency", "money"}
    assert np.prod([alarm.factor for alarm in alarms]) == pytest.approx(ERROR_FACTOR)


def test_features_that_drift_widen_less_than_errors_do() -> None:
    assert 1.0 < FEATURE_FACTOR < ERROR_FACTOR


@pytest.mark.parametrize("seed", [1, 18])
def test_after_a_shift_log_loss_recovers_faster_widened(seed: int) -> None:
    stream = shifted_stream(seed, after=2_000)
    (_, widened), (_, kept) = alarms_of(stream), alarms_of(stream, widen=False)
    assert np.mean(widened[SHIFT_AT + 1_000 :]) < np.mean(kept[SHIFT_AT + 1_000 :]) - 0.01


def test_a_false_alarm_costs_almost_nothing() -> None:
    """The champion is widened once, for nothing: less than 0.003 nats a label over the next 3,000."""
    stream = shifted_stream(4, after=3_000, shift=0.0)
    losses: dict[bool, list[float]] = {False: [], True: []}
    for falsely in (False, True):
        champion = BayesianLogistic(names(8))
        for label, (vector, outcome) in enumerate(zip(*stream, strict=True)):
            if falsely and label == SHIFT_AT:
                champion.widen(ERROR_FACTOR)
            if label >= SHIFT_AT:
                probability = champion.probability(vector)
                losses[falsely].append(-float(np.log(probability if outcome else 1.0 - probability)))
            champion.learn_vector(vector, outcome)
    assert abs(np.mean(losses[True]) - np.mean(losses[False])) < 0.003


def test_alarms_are_counted_by_signal() -> None:
    watch = a_watch()
    alarms = watched(watch, range(4_000), probability=0.3, outcomes=[label % 10 < 3 for label in range(4_000)])
    alarms += watched(watch, range(4_000, 6_000), probability=0.3, outcomes=[True] * 2_000)
    assert watch.alarms["residual"] == sum(alarm.signal == "residual" for alarm in alarms) > 0


# -- state -----------------------------------------------------------------------------------------


def test_a_watch_restored_at_any_label_goes_on_to_the_bit() -> None:
    stream = shifted_stream(12, features=4)
    came = list(zip(stream.vectors, stream.outcomes, strict=True))
    whole = a_watch()
    cuts = {0, 63, 64, 999, 1_025, 4_001, SHIFT_AT, SHIFT_AT + 400}
    restored: list[DriftWatch] = []
    for label, (vector, outcome) in enumerate(came):
        if label in cuts:
            restored.append(DriftWatch.from_state(names(4), json.loads(text_of(whole)), FAMILIES))
        expected = whole.observe(vector, 0.4, outcome, label, spaced=label % 3 == 0)
        for watch in restored:
            assert watch.observe(vector, 0.4, outcome, label, spaced=label % 3 == 0) == expected
    assert whole.alarms
    assert {text_of(watch) for watch in restored} == {text_of(whole)}


def test_the_state_of_eighty_features_is_below_20_kilobytes() -> None:
    columns = names(80)
    watch = DriftWatch(columns, {name: f"family{number % 9}" for number, name in enumerate(columns)})
    random = np.random.default_rng(13)
    for label, vector in enumerate(random.normal(size=(20_000, 80)).astype(np.float32)):
        watch.observe(vector, 0.3, bool(random.random() < 0.3), label, spaced=label % 3 == 0)
    assert len(text_of(watch)) < 20_000


def test_over_other_features_errors_go_on_and_features_start_over() -> None:
    watch = a_watch()
    watched(watch, range(3_000))
    other = DriftWatch.from_state(names(5), watch.state(), FAMILIES)
    fresh = DriftWatch(names(5), FAMILIES)
    assert other.labels == 3_000
    assert other.state()["errors"] == watch.state()["errors"]
    assert other.state()["moments"] == fresh.state()["moments"]


def tampered(change: dict[str, Any]) -> dict[str, Any]:
    watch = a_watch()
    watched(watch, range(2_000))
    return {**watch.state(), **change}


@pytest.mark.parametrize(
    "change",
    [
        {"labels": -1},
        {"widened": 0.5},
        {"delta": 0.0},
        {"errors": []},
        {"families": [{"rows": [1], "numbers": "AAAA"}] * 4},
        {"errors": [{"rows": [9], "numbers": ""}] * 4},
        {"errors": [{"rows": [], "numbers": ""}] * 4},
        {"errors": [{"rows": [1, 0], "numbers": ""}] * 4},
        {"moments": {"in_block": 64, "reference_blocks": [0, 0], "values": {}}},
        {"moments": {"in_block": 0, "reference_blocks": [17, 0], "values": {}}},
    ],
)
def test_a_state_that_does_not_hold_together_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        DriftWatch.from_state(names(4), tampered(change), FAMILIES)


# -- what it refuses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vector", "probability"),
    [([0.0, 1.0], 0.5), ([0.0, 0.0, float("nan"), 0.0], 0.5), ([0.0] * 4, 1.5), ([0.0] * 4, float("nan"))],
)
def test_a_label_it_cannot_use_is_refused_and_changes_nothing(vector: list[float], probability: float) -> None:
    watch = a_watch()
    watched(watch, range(100))
    before = text_of(watch)
    with pytest.raises(ValueError, match="expected 4 features|not finite|probability"):
        watch.observe(vector, probability, True, 100)
    assert text_of(watch) == before


def test_a_family_called_as_a_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="may not be called residual"):
        DriftWatch(["x"], {"x": "residual"})


@pytest.mark.parametrize("parameters", [{"delta": 0.0}, {"delta": 1.0}, {"warm_up": -1}])
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        DriftWatch(["x"], **parameters)
