"""The feature catalogue: what a churn model may look at, as of one instant.

One entry says name, unit, source, meaning and, for reasons, a phrase. :func:`vector` computes all of them in catalogue
order from a state alone, so live, replay and backfill cannot differ and nothing can read past ``as_of``. Counts and
durations enter as log1p, which is what a linear model can use; :meth:`Feature.natural` gives them back in their unit.
"""

from __future__ import annotations

import struct
from math import expm1, log, log1p
from typing import Final, NamedTuple

from streams.core.events import DAY_MS, MICRO, Kind
from streams.core.lifecycle import gaps, usual_gap_ms
from streams.core.policy import Compiled
from streams.core.state import AMOUNT, CARTS, CLICKS, DAY, ORDERS, SEARCHES, State


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


CATALOGUE: Final[tuple[Feature, ...]] = (
    _f("recency_days", "recency", "days", True, "purchases", "days since the last order"),
    _f("silence_days", "recency", "days", True, "all", "days since the last sign of life of any kind"),
    _f("second_recency_days", "recency", "days", True, "purchases", "days since the last order but one"),
    _f("recency_share", "recency", "ratio", False, "purchases", "days since the last order over tenure"),
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
    _f("gap_trend", "rhythm", "log ratio", False, "purchases", "last gap against the mean gap"),
    _f("overdue", "rhythm", "log ratio", False, "purchases", "days since last order against the usual gap"),
    _f("overdue_longest", "rhythm", "log ratio", False, "purchases", "days since last order against the longest gap"),
    _f("overdue_mean", "rhythm", "log ratio", False, "purchases", "days since last order against the mean gap"),
    _f("no_rhythm", "rhythm", "flag", False, "purchases", "fewer than 3 purchase days"),
    _f("orders_7d", "windows", "orders", True, "purchases", "orders in 7 days"),
    _f("orders_30d", "windows", "orders", True, "purchases", "orders in 30 days"),
    _f("orders_90d", "windows", "orders", True, "purchases", "orders in 90 days"),
    _f("orders_365d", "windows", "orders", True, "purchases", "orders in 365 days"),
    _f("order_days_30d", "windows", "days", True, "purchases", "days with an order in 30 days"),
    _f("order_days_90d", "windows", "days", True, "purchases", "days with an order in 90 days"),
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
    _f("looked_after_order", "browse", "days", True, "all", "days between the last order and the last sign of life"),
    _f("browses", "browse", "flag", False, "clicks", "was ever seen to click or search"),
    _f("clicks_trend_7d", "trends", "log ratio", False, "clicks", "clicks in 7 days against a quarter of 30 days"),
    _f("active_days", "tenure", "days", True, "all", "distinct active days, ever"),
)
NAMES: Final = tuple(feature.name for feature in CATALOGUE)
SCHEMA: Final = tuple(feature.schema for feature in CATALOGUE)
_PACK: Final = struct.Struct(f"<{len(CATALOGUE)}f")


def packed(features: list[float]) -> bytes:
    """float32, little-endian, in catalogue order."""
    return _PACK.pack(*features)


def unpacked(data: bytes) -> tuple[float, ...]:
    """The inverse of :func:`packed`, to float32 precision."""
    return _PACK.unpack(data)


def _money(amount: int) -> float:
    return log1p(amount / MICRO) if amount > 0 else 0.0


def vector(state: State, as_of: int, policy: Compiled) -> list[float]:
    """All features of a customer as of an instant at or after everything folded.

    Parameters
    ----------
    state
        A state with at least one order.
    as_of
        The instant, ms since the epoch.

    Returns
    -------
    list of float
        In the order of :data:`CATALOGUE`.
    """
    today = as_of // DAY_MS
    after_7, after_30, after_90, after_365 = today - 7, today - 30, today - 90, today - 365
    o7 = o30 = o90 = o365 = d30 = d90 = m30 = m90 = m365 = c7 = c30 = s30 = k30 = 0
    for row in reversed(state.days):
        day = row[DAY]
        if day <= after_365:
            break
        orders, amount = row[ORDERS], row[AMOUNT]
        o365 += orders
        m365 += amount
        if day > after_90:
            o90 += orders
            m90 += amount
            if orders > 0:
                d90 += 1
            if day > after_30:
                o30 += orders
                m30 += amount
                if orders > 0:
                    d30 += 1
                c30 += row[CLICKS]
                s30 += row[SEARCHES]
                k30 += row[CARTS]
                if day > after_7:
                    o7 += orders
                    c7 += row[CLICKS]
    recency = (as_of - state.last_order) / DAY_MS
    tenure = (as_of - state.first_order) / DAY_MS
    seen = (as_of - state.active_at) / DAY_MS
    recent = state.recent_orders
    second = (as_of - recent[-2].ts) / DAY_MS if len(recent) > 1 else tenure
    gap = usual_gap_ms(state, policy) / DAY_MS
    own = gaps(state)
    if own:
        count = len(own)
        mean = sum(own) / count
        spread = (sum((x - mean) ** 2 for x in own) / count) ** 0.5 / mean
        longest, last = float(max(own)), float(own[-1])
        trend = log((last + 1.0) / (mean + 1.0))
    else:
        mean, spread, longest, last, trend = gap, 0.0, gap, gap, 0.0
    orders_ever = state.orders
    browses = state.first[Kind.CLICK] >= 0 or state.first[Kind.SEARCH] >= 0
    log_recency = log1p(recency)
    return [
        log_recency,
        log1p(seen if seen > 0 else 0.0),
        log1p(second),
        recency / tenure if tenure > 0 else 0.0,
        log1p(tenure),
        log1p(orders_ever),
        log1p(state.purchase_days_total),
        1.0 if state.purchase_days_total <= 1 else 0.0,
        log1p(orders_ever * 30.0 / (tenure + 30.0)),
        log1p(gap),
        log1p(mean),
        log1p(longest),
        log1p(last),
        spread,
        trend,
        log((recency + 1.0) / (gap + 1.0)),
        log((recency + 1.0) / (longest + 1.0)),
        log((recency + 1.0) / (mean + 1.0)),
        1.0 if len(state.purchase_days) < 3 else 0.0,
        log1p(o7),
        log1p(o30),
        log1p(o90),
        log1p(o365),
        log1p(d30),
        log1p(d90),
        log((o30 + 0.5) / (o90 / 3.0 + 0.5)),
        log((o90 + 0.5) / (o365 / 4.0 + 0.5)),
        _money(m30),
        _money(m90),
        _money(m365),
        _money(state.amount // orders_ever),
        _money(recent[-1].amount) if recent else 0.0,
        log((max(m90, 0) / MICRO + 1.0) / (max(m365, 0) / MICRO / 4.0 + 1.0)),
        log1p(state.lines / orders_ever),
        state.refunded / (max(state.amount, 0) + state.refunded) if state.refunded > 0 else 0.0,
        log1p(len(state.interests)),
        log1p(c7),
        log1p(c30),
        log1p(s30),
        log1p(k30),
        log1p(max(state.active_at - state.last_order, 0) / DAY_MS),
        1.0 if browses else 0.0,
        log((c7 + 0.5) / (c30 / 4.0 + 0.5)),
        log1p(state.active_days),
    ]
