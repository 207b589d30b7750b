"""The bars: which logs and cuts are judged, what a refitted batch model reached there, and what counts as good enough.

The figures of LightGBM are means of five seeds, refitted at each cut on regular snapshots whose labels were known by
then, scored at the cut; they were fixed beforehand. ``recency_auc`` ranks by silence alone. ``bias``, the mean score
less the base rate, was not: it is that of two seeds refitted on weekly snapshots of the engine's features, judged at
the last score before the cut (cdnow: one seed, a third of the users). ``make quality LIGHTGBM=1`` measures it anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tests.quality.figures import Figures

AUC_BELOW: Final = 0.005
BRIER_ABOVE: Final = 0.002
BIAS_ABOVE: Final = 0.02
MOST_EXCESS: Final = 0.02
LEAST_SHARE: Final = 0.98


class Reference(NamedTuple):
    """What LightGBM reached at a cut. ``bias`` is without its sign."""

    auc: float
    brier: float
    ece: float
    bias: float


class Shop(NamedTuple):
    """A log, how far its labels look ahead, how far back a customer may have bought, and the cuts."""

    name: str
    horizon_days: int
    look_back_days: int
    recency_auc: Mapping[str, float]
    references: Mapping[str, Reference]

    @property
    def cuts(self) -> tuple[str, ...]:
        """Instants at which the scores are judged, in order."""
        return tuple(self.references)


SHOPS: Final = (
    Shop("cdnow", 90, 450, {"1998-03-31": 0.826}, {"1998-03-31": Reference(0.839, 0.0900, 0.023, 0.015)}),
    Shop(
        "online_retail_2011",
        60,
        180,
        {"2011-08-31": 0.644, "2011-09-30": 0.629},
        {"2011-08-31": Reference(0.738, 0.2061, 0.034, 0.026), "2011-09-30": Reference(0.722, 0.2140, 0.051, 0.055)},
    ),
    Shop(
        "complete_journey_dev",
        30,
        90,
        {"2017-09-30": 0.811, "2017-11-15": 0.810},
        {"2017-09-30": Reference(0.877, 0.0852, 0.024, 0.002), "2017-11-15": Reference(0.877, 0.0870, 0.015, 0.020)},
    ),
)


class Verdict(NamedTuple):
    """One bar: what was asked, what was found, and whether that is enough."""

    bar: str
    found: float
    limit: float
    holds: bool


def of_cut(name: str, reference: Reference, found: Figures) -> list[Verdict]:
    """The bars of one cut.

    >>> figures = Figures(100, 1.0, 0.2, 0.81, 0.09, 0.01, 0.02, 0.0)
    >>> [verdict.holds for verdict in of_cut("c", Reference(0.81, 0.09, 0.02, 0.0), figures)]
    [True, True, True, True, True]
    """
    at_most = (
        (f"{name}: Brier", found.brier, reference.brier + BRIER_ABOVE),
        (f"{name}: |mean score - base rate|", abs(found.bias), reference.bias + BIAS_ABOVE),
        (f"{name}: calibration excess", found.excess, MOST_EXCESS),
    )
    at_least = (
        (f"{name}: AUC", found.auc, reference.auc - AUC_BELOW),
        (f"{name}: share scored", found.share, LEAST_SHARE),
    )
    return [
        *(Verdict(bar, value, limit, value >= limit) for bar, value, limit in at_least),
        *(Verdict(bar, value, limit, value <= limit) for bar, value, limit in at_most),
    ]


def of_mean(found: Sequence[tuple[Reference, Figures]]) -> Verdict:
    """The bar over all cuts: the mean AUC is above LightGBM's."""
    mean = sum(figures.auc for _, figures in found) / len(found)
    limit = sum(reference.auc for reference, _ in found) / len(found)
    return Verdict("mean AUC over the cuts", mean, limit, mean > limit)
