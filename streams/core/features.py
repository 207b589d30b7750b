"""The feature catalogue: what a churn model may look at, as of one instant.

One entry says name, family, unit, source and meaning; :mod:`streams.core.feature_vector` computes all of them in the
order of the catalogue. Counts and durations enter as log1p, which is what a linear model can use;
:meth:`Feature.natural` gives them back in their unit. What bends even so is given as hinges (what lies beyond a point),
squares, products and differences, each in the family of what it is about, so that a family's contributions add up to
what it means.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import expm1
from typing import Final, NamedTuple

from streams.core.bends import bends


class Feature(NamedTuple):
    """One column of the feature vector."""

    name: str
    family: str
    unit: str
    log: bool
    source: str
    meaning: str

    def natural(self, value: float) -> float:
        """The value in its unit, undoing the logarithm."""
        return expm1(value) if self.log else value

    @property
    def schema(self) -> str:
        """What a model must agree on to use this column."""
        return f"{self.name}:{self.unit}:{'log1p' if self.log else 'plain'}"


def _f(name: str, family: str, unit: str, log: bool, source: str, meaning: str) -> Feature:
    return Feature(name, family, unit, log, source, meaning)


OBSERVED: Final[tuple[Feature, ...]] = (
    _f("recency_days", "recency", "days", True, "purchases", "days since the last order"),
    _f("silence_days", "recency", "days", True, "all", "days since the last sign of life of any kind"),
    _f("second_recency_days", "recency", "days", True, "purchases", "days since the last order but one"),
    _f("recency_share", "recency", "ratio", False, "purchases", "days since the last order over tenure"),
    _f("recency_x_rate_90d", "recency", "product", False, "purchases", "days since the last order × rate of 90 days"),
    _f("tenure_days", "tenure", "days", True, "purchases", "days since the first order"),
    _f("orders", "frequency", "orders", True, "purchases", "orders ever"),
    _f("purchase_days", "frequency", "days", True, "purchases", "distinct days with an order, ever"),
    _f("one_time", "frequency", "flag", False, "purchases", "ordered on one day only"),
    _f("order_rate", "frequency", "orders per 30 d", True, "purchases", "orders per 30 days of tenure"),
    _f("usual_gap_days", "rhythm", "days", True, "purchases", "median gap between purchase days (the shop's below 3)"),
    _f("mean_gap_days", "rhythm", "days", True, "purchases", "mean of the last 12 gaps"),
    _f("longest_gap_days", "rhythm", "days", True, "purchases", "longest of the last 12 gaps"),
    _f("last_gap_days", "rhythm", "days", True, "purchases", "the last gap"),
    _f("gap_spread", "rhythm", "ratio", False, "purchases", "standard deviation of the gaps over their mean"),
    _f("no_rhythm", "rhythm", "flag", False, "purchases", "fewer than 3 purchase days"),
    _f("mean_gap_of_3_days", "rhythm", "days", True, "purchases", "mean of the last 3 gaps"),
    _f("mean_gap_of_6_days", "rhythm", "days", True, "purchases", "mean of the last 6 gaps"),
    _f("recent_gap_days", "rhythm", "days", True, "purchases", "typical gap, each gap counting 0.7 of the next"),
    _f("typical_gap_days", "rhythm", "days", True, "purchases", "geometric mean of the last 12 gaps"),
    _f("gap_log_spread", "rhythm", "log ratio", False, "purchases", "standard deviation of the gaps' logarithms"),
    _f("gaps", "rhythm", "gaps", True, "purchases", "gaps known, at most 12"),
    _f("gaps_longer", "rhythm", "log odds", False, "purchases", "share of the own gaps longer than this silence"),
    _f("gaps_longer_by_30d", "rhythm", "log odds", False, "purchases", "share of those gaps longer by 30 days"),
    _f("gaps_longer_by_90d", "rhythm", "log odds", False, "purchases", "share of those gaps longer by 90 days"),
    _f("orders_7d", "windows", "orders", True, "purchases", "orders in 7 days"),
    _f("orders_30d", "windows", "orders", True, "purchases", "orders in 30 days"),
    _f("orders_90d", "windows", "orders", True, "purchases", "orders in 90 days"),
    _f("orders_365d", "windows", "orders", True, "purchases", "orders in 365 days"),
    _f("active_days_3d", "windows", "days", True, "all", "days with a visit, an order or a refund in 3 days"),
    _f("active_days_14d", "windows", "days", True, "all", "days with a visit, an order or a refund in 14 days"),
    _f("active_days_21d", "windows", "days", True, "all", "days with a visit, an order or a refund in 21 days"),
    _f("order_days_30d", "windows", "days", True, "purchases", "days with an order in 30 days"),
    _f("active_days_45d", "windows", "days", True, "all", "days with a visit, an order or a refund in 45 days"),
    _f("active_days_60d", "windows", "days", True, "all", "days with a visit, an order or a refund in 60 days"),
    _f("order_days_90d", "windows", "days", True, "purchases", "days with an order in 90 days"),
    _f("active_days_120d", "windows", "days", True, "all", "days with a visit, an order or a refund in 120 days"),
    _f("active_days_180d", "windows", "days", True, "all", "days with a visit, an order or a refund in 180 days"),
    _f("active_days_270d", "windows", "days", True, "all", "days with a visit, an order or a refund in 270 days"),
    _f("orders_trend_30d", "trends", "log ratio", False, "purchases", "orders in 30 days against a third of 90 days"),
    _f("orders_trend_90d", "trends", "log ratio", False, "purchases", "orders in 90 days against a quarter of a year"),
    _f("net_spend_30d", "money", "currency", True, "purchases", "net spend in 30 days"),
    _f("net_spend_90d", "money", "currency", True, "purchases", "net spend in 90 days"),
    _f("net_spend_365d", "money", "currency", True, "purchases", "net spend in 365 days"),
    _f("order_value", "money", "currency", True, "purchases", "net spend per order, ever"),
    _f("last_order_value", "money", "currency", True, "purchases", "value of the last order"),
    _f("spend_trend_90d", "trends", "log ratio", False, "purchases", "spend in 90 days against a quarter of a year"),
    _f("lines_per_order", "basket", "lines", True, "purchases", "lines per order"),
    _f("refund_share", "basket", "ratio", False, "purchases", "refunds over net spend and refunds"),
    _f("interests", "basket", "categories", True, "all", "categories of interest at present"),
    _f("clicks_7d", "browse", "clicks", True, "clicks", "clicks in 7 days"),
    _f("clicks_30d", "browse", "clicks", True, "clicks", "clicks in 30 days"),
    _f("searches_30d", "browse", "searches", True, "searches", "searches in 30 days"),
    _f("carts_30d", "browse", "carts", True, "clicks", "things put into the cart in 30 days"),
    _f("carts_open", "browse", "carts", True, "clicks", "things put into the cart since the last order"),
    _f("visit_days_7d", "browse", "days", True, "clicks", "days with a click or a search in 7 days"),
    _f("visit_days_30d", "browse", "days", True, "clicks", "days with a click or a search in 30 days"),
    _f("looked_after_order", "browse", "days", True, "all", "days between the last order and the last sign of life"),
    _f("browses", "browse", "flag", False, "clicks", "was ever seen to click or search"),
    _f("clicks_trend_7d", "trends", "log ratio", False, "clicks", "clicks in 7 days against a quarter of 30 days"),
    _f("active_days", "tenure", "days", True, "all", "distinct active days, ever"),
)
"""What is read off a state, and kept with a score that waits for its label."""
BENT: Final[tuple[Feature, ...]] = (
    _f("recency_over_2d", "recency", "log days", False, "purchases", "days since the last order, beyond 1.7"),
    _f("recency_over_6d", "recency", "log days", False, "purchases", "days since the last order, beyond 6.4"),
    _f("recency_over_19d", "recency", "log days", False, "purchases", "days since the last order, beyond 19"),
    _f("recency_over_54d", "recency", "log days", False, "purchases", "days since the last order, beyond 54"),
    _f("recency_over_147d", "recency", "log days", False, "purchases", "days since the last order, beyond 147"),
    _f("recency_squared", "recency", "log days squared", False, "purchases", "days since the last order, squared"),
    _f("recency_one_time", "recency", "log days", False, "purchases", "days since the last order, of one-time buyers"),
    _f("recency_no_rhythm", "recency", "log days", False, "purchases", "days since the last order, below 3 order days"),
    _f("recency_x_purchase_days", "recency", "product", False, "purchases", "days since the last order × order days"),
    _f("recency_x_tenure", "recency", "product", False, "purchases", "days since the last order × tenure"),
    _f("recency_x_days_90d", "recency", "product", False, "purchases", "days since the last order × order days in 90"),
    _f("tenure_squared", "tenure", "log days squared", False, "purchases", "days since the first order, squared"),
    _f("tenure_one_time", "tenure", "log days", False, "purchases", "days since the first order, of one-time buyers"),
    _f("gap_trend", "rhythm", "log ratio", False, "purchases", "last gap against the mean gap"),
    _f("overdue", "rhythm", "log ratio", False, "purchases", "days since last order against the usual gap"),
    _f("overdue_longest", "rhythm", "log ratio", False, "purchases", "days since last order against the longest gap"),
    _f("overdue_mean", "rhythm", "log ratio", False, "purchases", "days since last order against the mean gap"),
    _f("overdue_deviations", "rhythm", "ratio", False, "purchases", "silence in deviations from the typical gap"),
    _f("overdue_over_14pct", "rhythm", "log ratio", False, "purchases", "silence against the gap, beyond 0.14"),
    _f("overdue_over_37pct", "rhythm", "log ratio", False, "purchases", "silence against the gap, beyond 0.37"),
    _f("overdue_over_100pct", "rhythm", "log ratio", False, "purchases", "silence against the gap, beyond 1"),
    _f("overdue_over_270pct", "rhythm", "log ratio", False, "purchases", "silence against the gap, beyond 2.7"),
    _f("overdue_over_740pct", "rhythm", "log ratio", False, "purchases", "silence against the gap, beyond 7.4"),
    _f("overdue_squared", "rhythm", "log ratio squared", False, "purchases", "silence against the gap, squared"),
    _f("overdue_x_purchase_days", "rhythm", "product", False, "purchases", "silence against the gap × order days"),
)
"""What follows from the observed ones (:mod:`streams.core.bends`), so nobody keeps it."""
CATALOGUE: Final[tuple[Feature, ...]] = (*OBSERVED, *BENT)
NAMES: Final = tuple(feature.name for feature in CATALOGUE)
SCHEMA: Final = tuple(feature.schema for feature in CATALOGUE)
_OBSERVED: Final = struct.Struct(f"<{len(OBSERVED)}f")
_ALL: Final = struct.Struct(f"<{len(CATALOGUE)}f")


def packed(features: Sequence[float]) -> bytes:
    """The observed columns of a vector as float32, little-endian, in catalogue order: what a waiting score keeps."""
    return _OBSERVED.pack(*features[: len(OBSERVED)])


def completed(kept: bytes) -> bytes | None:
    """All columns as float32, little-endian, in catalogue order, from what :func:`packed` kept: what is learned.

    None if it was kept by another catalogue: that score serves the scorecard only.
    """
    if len(kept) != _OBSERVED.size:
        return None
    observed = _OBSERVED.unpack(kept)
    return _ALL.pack(*observed, *bends(observed))


def unpacked(data: bytes) -> tuple[float, ...]:
    """The vector that :func:`completed` gave, to float32 precision."""
    return _ALL.unpack(data)
