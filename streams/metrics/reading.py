"""A worker's ``/metrics`` read back: figures by name and labels, for who watches a worker without Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from streams.metrics.catalogue import CATALOGUE, HistogramMetric, Metric

ANSWER_WITHIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The samples of one reading, by metric name and label values in the order of the catalogue."""

    samples: dict[tuple[str, tuple[str, ...]], float]

    def total(self, metric: Metric, *, where: Callable[[tuple[str, ...]], bool] = lambda labels: True) -> float:
        """The sum over all label values that fit; 0 where there are none."""
        return sum(value for (name, labels), value in self.samples.items() if name == metric.name and where(labels))

    def by(self, metric: Metric, label: str) -> dict[str, float]:
        """Sums by one of the metric's labels."""
        place = metric.labels.index(label)
        sums: dict[str, float] = {}
        for (name, labels), value in self.samples.items():
            if name == metric.name:
                sums[labels[place]] = sums.get(labels[place], 0.0) + value
        return sums

    def known(self, metric: Metric) -> bool:
        """Whether the worker has told it yet."""
        return any(name == metric.name for name, _ in self.samples)


def parse_figures(text: str) -> Figures:
    """Read the text format; what the catalogue does not know, and buckets, are passed over.

    >>> from streams.metrics.catalogue import EVENTS
    >>> figures = parse_figures('ebbtide_events_total{topic="clicks",outcome="accepted"} 3.0\\n')
    >>> figures.total(EVENTS), figures.by(EVENTS, "outcome")
    (3.0, {'accepted': 3.0})
    """
    samples: dict[tuple[str, tuple[str, ...]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            metric = CATALOGUE.get(sample.name)
            if metric is not None and not isinstance(metric, HistogramMetric):
                samples[sample.name, tuple(sample.labels.get(label, "") for label in metric.labels)] = sample.value
    return Figures(samples)


def read_figures(url: str) -> Figures | None:
    """The figures behind a worker's ``/metrics``; None while it does not answer.

    Parameters
    ----------
    url
        Of the worker, without a path.
    """
    try:
        with urlopen(f"{url}/metrics", timeout=ANSWER_WITHIN_S) as answer:
            return parse_figures(answer.read().decode("utf-8"))
    except (URLError, OSError, ValueError):  # not up yet, busy, or cut off in the middle of a line
        return None
