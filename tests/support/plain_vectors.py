"""Both feature vectors the straightforward way: as they were first written. The fast ones must give the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log1p

from streams.core.events import DAY_MS, HOUR_MS, MICRO, Kind
from streams.core.lifecycle import gaps, usual_gap_ms
from streams.core.policy import Compiled
from streams.core.propensity_features import _BEYOND, _HOUR_ANGLE, _WEEKDAY_ANGLE, NEVER_HOURS
from streams.core.state import AMOUNT, CARTS, CLICKS, DAY, ORDERS, SEARCHES, State
from streams.core.windows import last_hours, window

Sums = tuple[int, int, int, int, int, int, int, int]


def _window(state: State, today: int, days: int) -> Sums:
    """Orders, days with one, net, clicks, searches, carts, days with a visit, days with anything: one window, whole."""
    rows = [row for row in state.days if row[DAY] > today - days]
    return (
        sum(row[ORDERS] for row in rows if row[ORDERS] > 0),
        sum(row[ORDERS] > 0 for row in rows),
        sum(row[AMOUNT] for row in rows),
        sum(row[CLICKS] for row in rows if row[CLICKS] or row[SEARCHES]),
        sum(row[SEARCHES] for row in rows if row[CLICKS] or row[SEARCHES]),
        sum(row[CARTS] for row in rows if row[CLICKS] or row[SEARCHES]),
        sum(bool(row[CLICKS] or row[SEARCHES]) for row in rows),
        sum(bool(row[CLICKS] or row[SEARCHES] or row[ORDERS] > 0 or row[AMOUNT]) for row in rows),
    )


def _money(amount: int) -> float:
    return log1p(amount / MICRO) if amount > 0 else 0.0


def plain_vector(state: State, as_of: int, policy: Compiled) -> list[float]:
    """As :func:`streams.core.feature_vector.vector`."""
    w3, w7, w14, w21, w30, w45, w60, w90, w120, w180, w270, year = (
        _window(state, as_of // DAY_MS, days) for days in (3, 7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)
    )
    o7, o30, o90, o365 = w7[0], w30[0], w90[0], year[0]
    d90, m90, m365, c7, c30 = w90[1], w90[2], year[2], w7[3], w30[3]
    recency = (as_of - state.last_order) / DAY_MS
    tenure = (as_of - state.first_order) / DAY_MS
    seen = (as_of - state.active_at) / DAY_MS
    recent = state.recent_orders
    second = (as_of - recent[-2].ts) / DAY_MS if len(recent) > 1 else tenure
    gap = usual_gap_ms(state, policy) / DAY_MS
    own = tuple(gaps(state))
    known = len(own)
    mean = sum(own) / known if known else gap
    logs = [log1p(one) for one in own] or [log1p(gap)]
    typical = sum(logs) / len(logs)
    recent_log = weights = 0.0
    for place, one in enumerate(reversed(logs)):
        weight = 1.0
        for _ in range(place):
            weight *= 0.7
        recent_log += weight * one
        weights += weight
    spread = (sum((one - mean) ** 2 for one in own) / known) ** 0.5 / mean if known else 0.0
    log_spread = (sum((one - typical) ** 2 for one in logs) / len(logs)) ** 0.5 if known else 0.7
    mean_of_3 = sum(own[-3:]) / len(own[-3:]) if known else gap
    mean_of_6 = sum(own[-6:]) / len(own[-6:]) if known else gap
    longer = longer_30 = longer_90 = 0
    for one in own:
        if one > recency:
            longer += 1
            if one > recency + 30.0:
                longer_30 += 1
                if one > recency + 90.0:
                    longer_90 += 1
    orders_ever, days_ever = state.orders, state.purchase_days_total
    one_time = 1.0 if days_ever <= 1 else 0.0
    no_rhythm = 1.0 if len(state.purchase_days) < 3 else 0.0
    log_recency, log_tenure, log_gap, log_days = log1p(recency), log1p(tenure), log1p(gap), log1p(days_ever)
    log_d90 = log1p(d90)
    rate_90 = log((d90 + 0.3) / (min(tenure, 90.0) + 11.0))
    observed = [
        log_recency,
        log1p(seen if seen > 0 else 0.0),
        log1p(second),
        recency / tenure if tenure > 0 else 0.0,
        log_recency * rate_90,
        log_tenure,
        log1p(orders_ever),
        log_days,
        one_time,
        log1p(orders_ever * 30.0 / (tenure + 30.0)),
        log_gap,
        log1p(mean),
        max(logs),
        logs[-1],
        spread,
        no_rhythm,
        log1p(mean_of_3),
        log1p(mean_of_6),
        recent_log / weights if known else logs[0],
        typical if known else logs[0],
        log_spread,
        log1p(known),
        log((longer + 0.5) / (known - longer + 0.5)),
        log((longer_30 + 0.5) / (longer - longer_30 + 0.5)),
        log((longer_90 + 0.5) / (longer - longer_90 + 0.5)),
        log1p(o7),
        log1p(o30),
        log1p(o90),
        log1p(o365),
        log1p(w3[7]),
        log1p(w14[7]),
        log1p(w21[7]),
        log1p(w30[1]),
        log1p(w45[7]),
        log1p(w60[7]),
        log_d90,
        log1p(w120[7]),
        log1p(w180[7]),
        log1p(w270[7]),
        log((o30 + 0.5) / (o90 / 3.0 + 0.5)),
        log((o90 + 0.5) / (o365 / 4.0 + 0.5)),
        _money(w30[2]),
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
        log1p(w30[4]),
        log1p(w30[5]),
        log1p(state.carts_open),
        log1p(w7[6]),
        log1p(w30[6]),
        log1p(max(state.active_at - state.last_order, 0) / DAY_MS),
        1.0 if state.first[Kind.CLICK] >= 0 or state.first[Kind.SEARCH] >= 0 else 0.0,
        log((c7 + 0.5) / (c30 / 4.0 + 0.5)),
        log1p(state.active_days),
    ]
    return observed + plain_bends(observed)


def _over(value: float, knot: float) -> float:
    return value - knot if value > knot else 0.0


def plain_bends(observed: Sequence[float]) -> list[float]:
    """The bent columns, in catalogue order, from the observed ones."""
    silence, tenure, days, one_time, gap, mean, longest, last, no_rhythm, typical, spread, days_90 = (
        observed[at] for at in (0, 5, 7, 8, 10, 11, 12, 13, 15, 19, 20, 35)
    )
    overdue = silence - gap
    return [
        _over(silence, 1.0),
        _over(silence, 2.0),
        _over(silence, 3.0),
        _over(silence, 4.0),
        _over(silence, 5.0),
        silence * silence,
        silence * one_time,
        silence * no_rhythm,
        silence * days,
        silence * tenure,
        silence * days_90,
        tenure * tenure,
        tenure * one_time,
        last - mean,
        overdue,
        silence - longest,
        silence - mean,
        (silence - typical) / (spread + 0.5),
        _over(overdue, -2.0),
        _over(overdue, -1.0),
        _over(overdue, 0.0),
        _over(overdue, 1.0),
        _over(overdue, 2.0),
        overdue * overdue,
        overdue * days,
    ]


def _hours(as_of: int, instant: int) -> float:
    return max(min((as_of - instant) / HOUR_MS, NEVER_HOURS), 0.0) if instant >= 0 else NEVER_HOURS


def plain_propensity(state: State, as_of: int, policy: Compiled, horizon_days: int) -> list[float]:
    """As :func:`streams.core.propensity_features.propensity_vector`."""
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


def plain_windows(state: State, as_of: int) -> dict[str, dict[str, int | float]]:
    """The ``windows`` of a portrait, one by one."""
    sums = {"24h": last_hours(state, as_of), **{f"{days}d": window(state, as_of, days) for days in (7, 30, 90, 365)}}
    return {
        name: {"clicks": of.clicks, "searches": of.searches, "orders": of.orders, "amount": of.amount / MICRO}
        for name, of in sums.items()
    }
