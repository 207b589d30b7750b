"""What the observer of a live process tells the metrics."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry

from streams.live.metering import JUDGED, Metering
from streams.metrics.catalogue import GaugeMetric
from streams.metrics.registry import Metrics


@pytest.mark.parametrize("metric", [metric for metric, _ in JUDGED], ids=lambda metric: metric.name)
def test_a_quality_that_nobody_has_measured_is_not_a_number(metric: GaugeMetric) -> None:
    metrics = Metrics(CollectorRegistry())
    Metering(metrics)
    value = metrics.value(metric)
    assert value is not None
    assert math.isnan(value)
