"""The feature catalogue of propensity: what says whether somebody, customer or visitor, is about to buy.

As :mod:`streams.core.features` is for churn: one entry a column, one function that computes them all from a state
alone. Purchases within days follow hours, so what has just happened is told in hours here, and carts, clicks and
searches count for who never bought too.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import cos, log, log1p, pi, sin
from typing import Final

from streams.core.events import DAY_MS, HOUR_MS, Kind
from streams.core.features import Feature
from streams.core.lifecycle import gaps, usual_gap_ms
from streams.core.policy import Compiled
from streams.core.state import CARTS, CLICKS, DAY, ORDERS, SEARCHES, State

NEVER_HOURS: Final = 365 * 24.0
"""What has never happened counts as a year ago."""
_BEYOND: Final = log1p(6 * 24.0)

_HOURS, _LOG_RATIO = "hours", "log ratio"
CATALOGUE: Final[tuple[Feature, ...]] = (
    Feature("silence_hours", "recency", _HOURS, True, "all", "hours since the last sign of life of any kind"),
    Feature("click_hours", "recency", _HOURS, True, "clicks", "hours since the last click"),
    Feature("search_hours", "recency", _HOURS, True, "searches", "hours since the last search"),
    Feature("order_hours", "recency", _HOURS, True, "purchases", "hours since the last order"),
    Feature("order_beyond_6d", "recency", "log hours", False, "purchases", "log hours since the last order beyond 6 d"),
    Feature("ordered", "tenure", "flag", False, "purchases", "has ordered"),
    Feature("cart_hours", "cart", _HOURS, True, "clicks", "hours since something was put into the cart"),
    Feature("carts_open", "cart", "carts", True, "clicks", "things put into the cart since the last order"),
    Feature("cart_waits", "cart", "flag", False, "clicks", "something was put into the cart after the last order"),
    Feature("carts_2h", "cart", "carts", True, "clicks", "things put into the cart in 2 hours"),
    Feature("carts_24h", "cart", "carts", True, "clicks", "things put into the cart in 24 hours"),
    Feature("carts_7d", "cart", "carts", True, "clicks", "things put into the cart in 7 days"),
    Feature("orders_per_cart", "cart", _LOG_RATIO, False, "all", "orders against things put into the cart, ever"),
    Feature("looks_2h", "browse", "events", True, "all", "clicks and searches in 2 hours"),
    Feature("looks_6h", "browse", "events", True, "all", "clicks and searches in 6 hours"),
    Feature("clicks_24h", "browse", "clicks", True, "clicks", "clicks in 24 hours"),
    Feature("searches_24h", "browse", "searches", True, "searches", "searches in 24 hours"),
    Feature("active_hours_24h", "browse", _HOURS, True, "all", "hours of the last 24 with a sign of life"),
    Feature("clicks_7d", "browse", "clicks", True, "clicks", "clicks in 7 days"),
    Feature("searches_7d", "browse", "searches", True, "searches", "searches in 7 days"),
    Feature("active_days_7d", "browse", "days", True, "all", "active days in 7 days"),
    Feature("active_days_30d", "browse", "days", True, "all", "active days in 30 days"),
    Feature("active_rate_30d", "browse", "log rate", False, "all", "active days per day of the last 30, or since seen"),
    Feature("orders_24h", "frequency", "orders", True, "purchases", "orders in 24 hours"),
    Feature("orders_7d", "frequency", "orders", True, "purchases", "orders in 7 days"),
    Feature("orders_30d", "frequency", "orders", True, "purchases", "orders in 30 days"),
    Feature("orders_365d", "frequency", "orders", True, "purchases", "orders in 365 days"),
    Feature("order_days_30d", "frequency", "days", True, "purchases", "days with an order in 30 days"),
    Feature("order_days_90d", "frequency", "days", True, "purchases", "days with an order in 90 days"),
    Feature("order_rate_30d", "frequency", "log rate", False, "purchases", "order days per day of 30, or since seen"),
    Feature("order_rate_90d", "frequency", "log rate", False, "purchases", "order days per day of 90, or since seen"),
    Feature("tenure_days", "tenure", "days", True, "all", "days since first seen"),
    Feature("active_days", "tenure", "days", True, "all", "active days, ever"),
    Feature("purchase_days", "frequency", "days", True, "purchases", "days with an order, ever"),
    Feature("orders_per_look", "habits", _LOG_RATIO, False, "all", "orders against clicks and searches, ever"),
    Feature("buys_per_day", "habits", _LOG_RATIO, False, "all", "days with an order against active days, ever"),
    Feature("usual_gap_days", "rhythm", "days", True, "purchases", "median gap between purchase days, or the shop's"),
    Feature("mean_gap_days", "rhythm", "days", True, "purchases", "mean of the last 12 gaps"),
    Feature("overdue", "rhythm", _LOG_RATIO, False, "purchases", "days since the last order against the usual gap"),
    Feature("overdue_mean", "rhythm", _LOG_RATIO, False, "purchases", "days since the last order against the mean gap"),
    Feature("no_rhythm", "rhythm", "flag", False, "purchases", "has ordered, on fewer than 3 days"),
    Feature("gap_spread", "rhythm", "ratio", False, "purchases", "standard deviation of the gaps over their mean"),
    Feature("gap_ends_soon", "rhythm", "log odds", False, "purchases", "own longer gaps that end in the horizon"),
    Feature("gap_goes_on", "rhythm", "log odds", False, "purchases", "own gaps longer than the present one"),
    Feature("usual_hours_ahead", "calendar", "log share", False, "all", "share of own activity in the 6 hours to come"),
    Feature("hour_sine", "calendar", "sine", False, "clock", "hour of the day (UTC), as an angle"),
    Feature("hour_cosine", "calendar", "cosine", False, "clock", "hour of the day (UTC), as an angle"),
    Feature("weekday_sine", "calendar", "sine", False, "clock", "day of the week (UTC), as an angle"),
    Feature("weekday_cosine", "calendar", "cosine", False, "clock", "day of the week (UTC), as an angle"),
)
NAMES: Final = tuple(feature.name for feature in CATALOGUE)
SCHEMA: Final = tuple(feature.schema for feature in CATALOGUE)
_PACK: Final = struct.Struct(f"<{len(CATALOGUE)}f")
_HOUR_ANGLE: Final = tuple((sin(2 * pi * hour / 24), cos(2 * pi * hour / 24)) for hour in range(24))
_WEEKDAY_ANGLE: Final = tuple((sin(2 * pi * day / 7), cos(2 * pi * day / 7)) for day in range(7))


def packed(features: Sequence[float]) -> bytes:
    """float32, little-endian, in catalogue order."""
    return _PACK.pack(*features)


def unpacked(stored: bytes) -> tuple[float, ...]:
    """The inverse of :func:`packed`, to float32 precision."""
    return _PACK.unpack(stored)


def _hours(as_of: int, instant: int) -> float:
    return max(min((as_of - instant) / HOUR_MS, NEVER_HOURS), 0.0) if instant >= 0 else NEVER_HOURS


def propensity_vector(state: State, as_of: int, policy: Compiled, horizon_days: int) -> list[float]:
    """All features of a user as of an instant at or after everything folded.

    Parameters
    ----------
    state
        Of anybody who was ever seen, customer or not.
    as_of
        The instant, ms since the epoch.
    horizon_days
        How far the label looks ahead: whether a gap ends soon depends on it.

    Returns
    -------
    list of float
        In the order of :data:`CATALOGUE`.
    """
    hour, today = as_of // HOUR_MS, as_of // DAY_MS
    looks_2h = looks_6h = clicks_24h = searches_24h = carts_2h = carts_24h = orders_24h = hours_24h = 0
    for row in state.hours:
        ago = hour - row[DAY]
        if ago >= 24:
            continue
        hours_24h += 1
        clicks, searches, carts = row[CLICKS], row[SEARCHES], row[CARTS]
        clicks_24h += clicks
        searches_24h += searches
        carts_24h += carts
        orders_24h += row[ORDERS]
        if ago < 6:
            looks_6h += clicks + searches
            if ago < 2:
                looks_2h += clicks + searches
                carts_2h += carts
    clicks_7d = searches_7d = carts_7d = orders_7d = active_7d = active_30d = orders_30d = days_30d = days_90d = 0
    for row in reversed(state.days):
        ago = today - row[DAY]
        if ago >= 90:
            break
        orders = row[ORDERS]
        if orders > 0:
            days_90d += 1
        if ago < 30:
            active_30d += 1
            orders_30d += orders
            if orders > 0:
                days_30d += 1
            if ago < 7:
                active_7d += 1
                clicks_7d += row[CLICKS]
                searches_7d += row[SEARCHES]
                carts_7d += row[CARTS]
                orders_7d += orders
    last = state.last
    last_order, ordered = state.last_order, state.orders > 0
    tenure = max(as_of - state.first_seen, 0) / DAY_MS
    order_hours = log1p(_hours(as_of, last_order))
    gap = usual_gap_ms(state, policy) / DAY_MS
    mean, spread, overdue, overdue_mean, ends_soon, goes_on = gap, 0.0, 0.0, 0.0, 0.0, 0.0
    own = gaps(state)
    if ordered:
        recency = max(as_of - last_order, 0) / DAY_MS
        count = len(own)
        if count:
            mean = sum(own) / count
            spread = (sum((x - mean) ** 2 for x in own) / count) ** 0.5 / mean
        longer = beyond = 0
        for x in own:
            if x > recency:
                longer += 1
                if x > recency + horizon_days:
                    beyond += 1
        overdue = log((recency + 1.0) / (gap + 1.0))
        overdue_mean = log((recency + 1.0) / (mean + 1.0))
        ends_soon = log((longer - beyond + 0.5) / (beyond + 0.5))
        goes_on = log((longer + 0.5) / (count - longer + 0.5))
    looks = state.clicks + state.searches
    hour_of_day = hour % 24
    ahead, habit = state.hour_counts, 0
    for offset in range(1, 7):
        habit += ahead[(hour_of_day + offset) % 24]
    return [
        log1p(max(as_of - state.active_at, 0) / HOUR_MS),
        log1p(_hours(as_of, last[Kind.CLICK])),
        log1p(_hours(as_of, last[Kind.SEARCH])),
        order_hours,
        max(order_hours - _BEYOND, 0.0),
        1.0 if ordered else 0.0,
        log1p(_hours(as_of, state.last_cart)),
        log1p(state.carts_open),
        1.0 if state.last_cart > last_order else 0.0,
        log1p(carts_2h),
        log1p(carts_24h),
        log1p(carts_7d),
        log((state.orders + 0.5) / (state.carts + 1.0)),
        log1p(looks_2h),
        log1p(looks_6h),
        log1p(clicks_24h),
        log1p(searches_24h),
        log1p(hours_24h),
        log1p(clicks_7d),
        log1p(searches_7d),
        log1p(active_7d),
        log1p(active_30d),
        log((active_30d + 0.3) / (min(tenure, 30.0) + 3.0)),
        log1p(orders_24h),
        log1p(orders_7d),
        log1p(orders_30d),
        log1p(state.orders_365d),
        log1p(days_30d),
        log1p(days_90d),
        log((days_30d + 0.3) / (min(tenure, 30.0) + 7.0)),
        log((days_90d + 0.3) / (min(tenure, 90.0) + 7.0)),
        log1p(tenure),
        log1p(state.active_days),
        log1p(state.purchase_days_total),
        log((state.orders + 0.3) / (looks + 10.0)),
        log((state.purchase_days_total + 0.3) / (state.active_days + 3.0)),
        log1p(gap),
        log1p(mean),
        overdue,
        overdue_mean,
        1.0 if ordered and len(own) < 2 else 0.0,
        spread,
        ends_soon,
        goes_on,
        log((habit + 1.0) / (sum(ahead) + 4.0)),
        *_HOUR_ANGLE[hour_of_day],
        *_WEEKDAY_ANGLE[(today + 3) % 7],
    ]
