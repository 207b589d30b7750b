"""What the observer of a live process tells the metrics."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from models.accounts import Account
from models.scorecard import Scorecard
from models.scorecards import scorecard_records
from models.trainer import Trainer
from streams.live.metering import JUDGED, Metering
from streams.metrics import catalogue
from streams.metrics.catalogue import GaugeMetric
from streams.metrics.registry import Metrics
from tests.support.scored_labels import labels


def cards(count: int = 60) -> list[dict[str, Any]]:
    card = Scorecard()
    for number, (p, y) in enumerate(labels(count)):
        card.observe(number, number + 9, p, y, "loyal" if number % 3 else "at_risk", None)
    card.observe(0, 9, None, True, "growing", "gold")
    head = {"horizon_days": 30, "cold_start": False, "scorecard": card.state()}
    cut = {"version": "v", "day": 0, "heads": {"churn": head}}
    return scorecard_records(cut, lambda name: Account({"opened": 9, "churned": 2}, 1, 0))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.mark.parametrize("metric", [metric for metric, _ in JUDGED], ids=lambda metric: metric.name)
def test_a_quality_that_nobody_has_measured_is_not_a_number(metric: GaugeMetric, metrics: Metrics) -> None:
    Metering(metrics)
    value = metrics.value(metric, "churn", "all", "all")
    assert value is not None
    assert math.isnan(value)


@pytest.mark.parametrize(("metric", "name"), JUDGED, ids=lambda one: one if isinstance(one, str) else one.name)
def test_gauges_are_the_figures_of_the_window(metric: GaugeMetric, name: str, metrics: Metrics) -> None:
    told = cards()
    Metering(metrics).scorecards(told)
    assert metrics.value(metric, "churn", "all", "all") == told[0]["window"][name]
    assert metrics.value(metric, "churn", "stage", "loyal") == told[0]["by_stage"]["loyal"]["window"][name]


def test_what_a_group_cannot_say_is_not_a_number(metrics: Metrics) -> None:
    Metering(metrics).scorecards(cards())
    assert math.isnan(metrics.value(catalogue.AUC, "churn", "cold_start", "cold") or 0.0)


def test_bins_show_what_was_said_beside_what_came(metrics: Metrics) -> None:
    told = cards()
    Metering(metrics).scorecards(told)
    third = told[0]["window"]["bins"][2]
    assert metrics.value(catalogue.RELIABILITY_SAID, "churn", "03") == third["mean_probability"]
    assert metrics.value(catalogue.RELIABILITY_CAME, "churn", "03") == third["observed_ratio"]


def test_a_bin_that_is_no_more_is_not_a_number(metrics: Metrics) -> None:
    metering = Metering(metrics)
    metering.scorecards(cards(60))
    metering.scorecards(cards(3))
    assert math.isnan(metrics.value(catalogue.RELIABILITY_SAID, "churn", "10") or 0.0)


class Alarmed:
    """A trainer of one head that had drift alarms."""

    pending = 0

    def __init__(self) -> None:
        self.drift_alarms: dict[str, Counter[str]] = {"churn": Counter()}

    def count(self, what: str) -> int:
        return 0

    def account(self, head: str) -> None:
        return None


def test_drift_alarms_are_counted_once_by_head_and_signal(metrics: Metrics) -> None:
    trainer, metering = Alarmed(), Metering(metrics)
    for alarms in (0, 1, 1, 3):
        trainer.drift_alarms["churn"]["residual"] = alarms
        metering.learned(cast(Trainer, trainer))
        assert metrics.value(catalogue.DRIFT_ALARMS, "churn", "residual") == alarms


def test_before_the_first_alarm_there_is_a_zero_so_that_it_is_an_increase(metrics: Metrics) -> None:
    Metering(metrics).learned(cast(Trainer, Alarmed()))
    assert metrics.value(catalogue.DRIFT_ALARMS, "churn", "log_loss") == 0
