"""Every feature of the catalogue by name, from the naive past."""

from __future__ import annotations

from collections import Counter
from math import log, log1p, sqrt
from statistics import fmean, pstdev

from streams.core.events import ACTIONS, DAY_MS, MICRO, Kind
from tests.support.oracle import Past, is_buying


def features(past: Past, at: int) -> dict[str, float]:
    """All features of a customer as of an instant, in the unit of the feature vector."""

    def days_since(ts: int) -> float:
        return (at - ts) / DAY_MS

    def spent(days: int) -> float:
        return max(past.window(at, days).amount, 0) / MICRO

    orders = past.standing
    week, month, quarter, year = (past.window(at, days) for days in (7, 30, 90, 365))
    recency, tenure = days_since(past.last_order), days_since(past.first_order)
    gap = past.usual_gap_ms / DAY_MS
    gaps = past.gaps
    mean = sum(gaps) / len(gaps) if gaps else gap
    longest = max(gaps) if gaps else gap
    last = gaps[-1] if gaps else gap
    return {
        "recency_days": log1p(recency),
        "silence_days": log1p(days_since(past.active_at)),
        "second_recency_days": log1p(days_since(orders[-2].last) if len(orders) > 1 else tenure),
        "recency_share": recency / tenure if tenure else 0.0,
        "tenure_days": log1p(tenure),
        "orders": log1p(len(orders)),
        "purchase_days": log1p(len(past.purchase_days)),
        "one_time": float(len(past.purchase_days) == 1),
        "order_rate": log1p(30 * len(orders) / (tenure + 30)),
        "usual_gap_days": log1p(gap),
        "mean_gap_days": log1p(mean),
        "longest_gap_days": log1p(longest),
        "last_gap_days": log1p(last),
        "gap_spread": sqrt(sum((one - mean) ** 2 for one in gaps) / len(gaps)) / mean if gaps else 0.0,
        "gap_trend": log((last + 1) / (mean + 1)) if gaps else 0.0,
        "overdue": log((recency + 1) / (gap + 1)),
        "overdue_longest": log((recency + 1) / (longest + 1)),
        "overdue_mean": log((recency + 1) / (mean + 1)),
        "no_rhythm": float(len(past.purchase_days) < 3),
        "orders_7d": log1p(week.orders),
        "orders_30d": log1p(month.orders),
        "orders_90d": log1p(quarter.orders),
        "orders_365d": log1p(year.orders),
        "order_days_30d": log1p(past.order_days(at, 30)),
        "order_days_90d": log1p(past.order_days(at, 90)),
        "orders_trend_30d": log((month.orders + 0.5) / (quarter.orders / 3 + 0.5)),
        "orders_trend_90d": log((quarter.orders + 0.5) / (year.orders / 4 + 0.5)),
        "net_spend_30d": log1p(spent(30)),
        "net_spend_90d": log1p(spent(90)),
        "net_spend_365d": log1p(spent(365)),
        "order_value": log1p(max(past.amount, 0) / MICRO / len(orders)),
        "last_order_value": log1p(max(orders[-1].amount, 0) / MICRO),
        "spend_trend_90d": log((spent(90) + 1) / (spent(365) / 4 + 1)),
        "lines_per_order": log1p(past.lines / len(orders)),
        "refund_share": past.refunded / (max(past.amount, 0) + past.refunded) if past.refunded else 0.0,
        "interests": log1p(len(past.interests)),
        "clicks_7d": log1p(week.clicks),
        "clicks_30d": log1p(month.clicks),
        "searches_30d": log1p(month.searches),
        "carts_30d": log1p(month.carts),
        "looked_after_order": log1p(max(past.active_at - past.last_order, 0) / DAY_MS),
        "browses": float(bool(past.of(Kind.CLICK) or past.of(Kind.SEARCH))),
        "clicks_trend_7d": log((week.clicks + 0.5) / (month.clicks / 4 + 0.5)),
        "active_days": log1p(past.active_days),
        **rhythm(gaps, recency, gap),
        **bends(recency, tenure, gap, len(past.purchase_days), past.order_days(at, 90)),
        **{f"active_days_{days}d": log1p(active_days(past, at, days)) for days in (3, 14, 21, 45, 60, 120, 180, 270)},
        "carts_open": log1p(carts_open(past)),
        "visit_days_7d": log1p(visit_days(past, at, 7)),
        "visit_days_30d": log1p(visit_days(past, at, 30)),
    }


def rhythm(gaps: list[int], recency: float, gap: float) -> dict[str, float]:
    """What the user's own gaps tell of this silence."""
    logs = [log1p(one) for one in gaps]
    typical = fmean(logs) if gaps else log1p(gap)
    spread = pstdev(logs) if gaps else 0.7
    weights = [0.7 ** (len(gaps) - 1 - at) for at in range(len(gaps))]
    longer = [one for one in gaps if one > recency]

    def odds(yes: int, of: int) -> float:
        return log((yes + 0.5) / (of - yes + 0.5))

    return {
        "mean_gap_of_3_days": log1p(fmean(gaps[-3:]) if gaps else gap),
        "mean_gap_of_6_days": log1p(fmean(gaps[-6:]) if gaps else gap),
        "recent_gap_days": fmean(logs, weights) if gaps else log1p(gap),
        "typical_gap_days": typical,
        "gap_log_spread": spread,
        "gaps": log1p(len(gaps)),
        "gaps_longer": odds(len(longer), len(gaps)),
        "gaps_longer_by_30d": odds(sum(one > recency + 30 for one in longer), len(longer)),
        "gaps_longer_by_90d": odds(sum(one > recency + 90 for one in longer), len(longer)),
        "overdue_deviations": (log1p(recency) - typical) / (spread + 0.5),
    }


def bends(recency: float, tenure: float, gap: float, days: int, days_90: int) -> dict[str, float]:
    """Hinges, squares and products."""
    silence, known, overdue = log1p(recency), log1p(tenure), log((recency + 1) / (gap + 1))
    hinges = {
        **{
            f"recency_over_{name}": max(0.0, silence - at)
            for at, name in enumerate(("2d", "6d", "19d", "54d", "147d"), 1)
        },
        **{
            f"overdue_over_{name}": max(0.0, overdue - at)
            for at, name in enumerate(("14pct", "37pct", "100pct", "270pct", "740pct"), -2)
        },
    }
    return {
        **hinges,
        "recency_squared": silence**2,
        "recency_one_time": silence if days == 1 else 0.0,
        "recency_no_rhythm": silence if days < 3 else 0.0,
        "recency_x_purchase_days": silence * log1p(days),
        "recency_x_tenure": silence * known,
        "recency_x_rate_90d": silence * log((days_90 + 0.3) / (min(tenure, 90) + 11)),
        "recency_x_days_90d": silence * log1p(days_90),
        "tenure_squared": known**2,
        "tenure_one_time": known if days == 1 else 0.0,
        "overdue_squared": overdue**2,
        "overdue_x_purchase_days": overdue * log1p(days),
    }


def carts_open(past: Past) -> int:
    """Things put into the cart after the last purchase."""
    bought = max((number for number, event in enumerate(past.events) if is_buying(event)), default=-1)
    return sum(event.kind == Kind.CLICK and ACTIONS[event.action] == "cart" for event in past.events[bought + 1 :])


def visit_days(past: Past, at: int, days: int) -> int:
    """Days of a window with a click or a search."""
    seen = {event.ts // DAY_MS for event in past.events if event.kind != Kind.PURCHASE}
    return sum(day > at // DAY_MS - days for day in seen)


def active_days(past: Past, at: int, days: int) -> int:
    """Days of a window with a click, a search, an order that stands, or money that went one way or the other."""
    money: Counter[int] = Counter()
    for event in past.events:
        money[event.ts // DAY_MS] += past.gross(event) - past.returned(event)
    seen = {event.ts // DAY_MS for event in past.events if event.kind != Kind.PURCHASE}
    seen |= {order.opened // DAY_MS for order in past.standing} | {day for day, net in money.items() if net}
    return sum(day > at // DAY_MS - days for day in seen)
