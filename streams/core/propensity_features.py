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
from streams.core.lifecycle import gaps
from streams.core.policy import Compiled
from streams.core.rhythm import gap_days, rhythm_of
from streams.core.state import State

NEVER_HOURS: Final = 365 * 24.0
"""What has never happened counts as a year ago."""
_LOG_NEVER: Final = log1p(NEVER_HOURS)
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
_LAST_WITHIN: Final = 17
"""The last hour of a day from which the 6 hours to come are of the same day."""
_WEEKDAY_ANGLE: Final = tuple((sin(2 * pi * day / 7), cos(2 * pi * day / 7)) for day in range(7))


def packed(features: Sequence[float]) -> bytes:
    """float32, little-endian, in catalogue order."""
    return _PACK.pack(*features)


def unpacked(stored: bytes) -> tuple[float, ...]:
    """The inverse of :func:`packed`, to float32 precision."""
    return _PACK.unpack(stored)


def _log_hours(as_of: int, instant: int) -> float:
    """log1p of the hours since an instant, at most a year; one that never came counts as a year ago."""
    hours = (as_of - instant) / HOUR_MS
    if instant < 0 or hours >= NEVER_HOURS:
        return _LOG_NEVER
    return log1p(hours) if hours > 0.0 else 0.0


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
    edge_24h, edge_6h, edge_2h = hour - 24, hour - 6, hour - 2
    for number, clicked, searched, put, ordered, _ in state.hours:
        if number <= edge_24h:
            continue
        hours_24h += 1
        clicks_24h += clicked
        searches_24h += searched
        carts_24h += put
        orders_24h += ordered
        if number > edge_6h:
            looks_6h += clicked + searched
            if number > edge_2h:
                looks_2h += clicked + searched
                carts_2h += put
    clicks_7d = searches_7d = carts_7d = orders_7d = active_7d = active_30d = orders_30d = days_30d = days_90d = 0
    edge_90d, edge_30d, edge_7d = today - 90, today - 30, today - 7
    for number, clicked, searched, put, ordered, _ in reversed(state.days):
        if number <= edge_90d:
            break
        if ordered > 0:
            days_90d += 1
        if number > edge_30d:
            active_30d += 1
            if ordered:
                orders_30d += ordered
                if ordered > 0:
                    days_30d += 1
            if number > edge_7d:
                active_7d += 1
                clicks_7d += clicked
                searches_7d += searched
                carts_7d += put
                orders_7d += ordered
    last, last_order, orders_ever, active_days = state.last, state.last_order, state.orders, state.active_days
    days_ever = state.purchase_days_total
    silent, known = as_of - state.active_at, as_of - state.first_seen
    tenure = known / DAY_MS if known > 0 else 0.0
    order_hours = _log_hours(as_of, last_order)
    gap = gap_days(state, policy)
    log_gap = log1p(gap)
    log_mean, spread, overdue, overdue_mean, ends_soon, goes_on, no_rhythm = log_gap, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if orders_ever > 0:
        away = as_of - last_order
        recency = away / DAY_MS if away > 0 else 0.0
        own = gaps(state)
        mean, count = gap, len(own)
        if count:
            rhythm = rhythm_of(tuple(own))
            mean, spread, log_mean = rhythm.mean, rhythm.spread, rhythm.log_mean
        longer = beyond = 0
        for one in own:
            if one > recency:
                longer += 1
                if one > recency + horizon_days:
                    beyond += 1
        overdue = log((recency + 1.0) / (gap + 1.0))
        overdue_mean = log((recency + 1.0) / (mean + 1.0))
        ends_soon = log((longer - beyond + 0.5) / (beyond + 0.5))
        goes_on = log((longer + 0.5) / (count - longer + 0.5))
        no_rhythm = 1.0 if count < 2 else 0.0
    hour_of_day = hour % 24
    by_hour = state.hour_counts
    habit = sum(by_hour[hour_of_day + 1 : hour_of_day + 7])
    if hour_of_day > _LAST_WITHIN:
        habit += sum(by_hour[: hour_of_day - _LAST_WITHIN])
    hour_sine, hour_cosine = _HOUR_ANGLE[hour_of_day]
    weekday_sine, weekday_cosine = _WEEKDAY_ANGLE[(today + 3) % 7]
    # What is mostly 0 is not asked for its logarithm then.
    return [
        log1p(silent / HOUR_MS) if silent > 0 else 0.0,
        _log_hours(as_of, last[Kind.CLICK]),
        _log_hours(as_of, last[Kind.SEARCH]),
        order_hours,
        order_hours - _BEYOND if order_hours > _BEYOND else 0.0,
        1.0 if orders_ever > 0 else 0.0,
        _log_hours(as_of, state.last_cart),
        log1p(state.carts_open) if state.carts_open else 0.0,
        1.0 if state.last_cart > last_order else 0.0,
        log1p(carts_2h) if carts_2h else 0.0,
        log1p(carts_24h) if carts_24h else 0.0,
        log1p(carts_7d) if carts_7d else 0.0,
        log((orders_ever + 0.5) / (state.carts + 1.0)),
        log1p(looks_2h) if looks_2h else 0.0,
        log1p(looks_6h) if looks_6h else 0.0,
        log1p(clicks_24h) if clicks_24h else 0.0,
        log1p(searches_24h) if searches_24h else 0.0,
        log1p(hours_24h) if hours_24h else 0.0,
        log1p(clicks_7d) if clicks_7d else 0.0,
        log1p(searches_7d) if searches_7d else 0.0,
        log1p(active_7d) if active_7d else 0.0,
        log1p(active_30d),
        log((active_30d + 0.3) / ((tenure if tenure < 30.0 else 30.0) + 3.0)),
        log1p(orders_24h) if orders_24h else 0.0,
        log1p(orders_7d) if orders_7d else 0.0,
        log1p(orders_30d) if orders_30d else 0.0,
        log1p(state.orders_365d) if state.orders_365d else 0.0,
        log1p(days_30d) if days_30d else 0.0,
        log1p(days_90d) if days_90d else 0.0,
        log((days_30d + 0.3) / ((tenure if tenure < 30.0 else 30.0) + 7.0)),
        log((days_90d + 0.3) / ((tenure if tenure < 90.0 else 90.0) + 7.0)),
        log1p(tenure),
        log1p(active_days),
        log1p(days_ever) if days_ever else 0.0,
        log((orders_ever + 0.3) / (state.clicks + state.searches + 10.0)),
        log((days_ever + 0.3) / (active_days + 3.0)),
        log_gap,
        log_mean,
        overdue,
        overdue_mean,
        no_rhythm,
        spread,
        ends_soon,
        goes_on,
        log((habit + 1.0) / (sum(by_hour) + 4.0)),
        hour_sine,
        hour_cosine,
        weekday_sine,
        weekday_cosine,
    ]
