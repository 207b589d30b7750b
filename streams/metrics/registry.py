"""Collectors of prometheus_client, built from the catalogue on a registry that is handed in (never the default one)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streams.metrics.catalogue import (
    CATALOGUE,
    CounterMetric,
    GaugeMetric,
    HistogramMetric,
    Metric,
)


class Metrics:
    """One process's metrics; every name of the catalogue is there from the start.

    Parameters
    ----------
    registry
        Where the collectors register. A second ``Metrics`` on the same registry is a ValueError.

    Examples
    --------
    >>> from streams.metrics.catalogue import EVENTS
    >>> metrics = Metrics(CollectorRegistry())
    >>> metrics.add(EVENTS, 3, "clicks", "accepted")
    >>> metrics.value(EVENTS, "clicks", "accepted")
    3.0
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        """By name and label values: looking one up in its collector costs ten times what it does."""
        for metric in CATALOGUE.values():
            match metric:
                case CounterMetric():
                    self._counters[metric.name] = Counter(metric.name, metric.meaning, metric.labels, registry=registry)
                case GaugeMetric():
                    self._gauges[metric.name] = Gauge(metric.name, metric.meaning, metric.labels, registry=registry)
                case HistogramMetric():
                    self._histograms[metric.name] = Histogram(
                        metric.name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets
                    )

    def add(self, metric: CounterMetric, amount: float, *labels: str) -> None:
        """Raise a counter; its label values come in the order of the catalogue. Nothing happens for 0."""
        if amount:
            self._child(self._counters, metric, labels).inc(amount)

    def begin(self, metric: CounterMetric, *labels: str) -> None:
        """Show a counter at 0 before anything is counted, so that the first count is seen as an increase."""
        self._child(self._counters, metric, labels)

    def set(self, metric: GaugeMetric, value: float, *labels: str) -> None:
        """Set a gauge to how it stands."""
        self._child(self._gauges, metric, labels).set(value)

    def observe(self, metric: HistogramMetric, value: float, *labels: str) -> None:
        """Count a value into its bucket."""
        self._child(self._histograms, metric, labels).observe(value)

    def set_only(self, metric: GaugeMetric, value: float, *labels: str) -> None:
        """Set a gauge for these labels and forget it for all others: the one model that serves."""
        if (metric.name, labels) not in self._children:
            self._gauges[metric.name].clear()
            self._children = {key: child for key, child in self._children.items() if key[0] != metric.name}
        self.set(metric, value, *labels)

    def forget_partition(self, partition: int) -> None:
        """Drop every gauge of a partition that is no longer ours: its next owner tells how it stands."""
        for name, gauge in self._gauges.items():
            if "partition" in CATALOGUE[name].labels:
                gauge.remove_by_labels({"partition": str(partition)})
        self._children.clear()

    def _child(self, collectors: Mapping[str, Any], metric: Metric, labels: tuple[str, ...]) -> Any:
        key = (metric.name, labels)
        if (child := self._children.get(key)) is None:
            collector = collectors[metric.name]
            child = self._children[key] = collector.labels(*labels) if metric.labels else collector
        return child

    def value(self, metric: Metric, *labels: str) -> float | None:
        """What is told now (of a histogram: how many values); None where these labels were never used."""
        name = f"{metric.name}_count" if isinstance(metric, HistogramMetric) else metric.name
        return self.registry.get_sample_value(name, dict(zip(metric.labels, labels, strict=True)))


def new_metrics() -> Metrics:
    """Metrics on a registry of their own."""
    return Metrics(CollectorRegistry())
