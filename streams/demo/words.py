"""How the demo puts messages into words: the same on the screen and in the report."""

from __future__ import annotations

from typing import Any, Final

from streams.core.instants import format_instant
from streams.demo.view import Change, Customer, Model

COLD_LABELS: Final = 1_000
"""Labels that a model learns before it serves probabilities."""
_CAUSES: Final = {"clicks": "a click", "searches": "a search", "purchases": "a purchase", "policy": "a new policy"}


def day_text(ms: int) -> str:
    """A day of event time.

    >>> day_text(1_704_067_200_000)
    '2024-01-01'
    """
    return format_instant(ms)[:10]


def moment_text(ms: int) -> str:
    """A minute of event time.

    >>> moment_text(1_704_067_200_000)
    '01-01 00:00'
    """
    return format_instant(ms)[5:16].replace("T", " ")


def share(value: float | None) -> str:
    """A ratio from 0 to 1 with two digits; a dash where there is none.

    >>> share(0.8765), share(None)
    ('0.88', '-')
    """
    return "-" if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    """A ratio in whole percent.

    >>> percent(0.1749)
    '17 %'
    """
    return "-" if value is None else f"{value * 100:.0f} %"


def amount(count: int, singular: str, plural: str = "") -> str:
    """A count with its noun.

    >>> amount(1, "order"), amount(1200, "order")
    ('1 order', '1,200 orders')
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def cause_text(change: Change) -> str:
    """What made a change: an event that came, or one that did not."""
    return "silence" if change.cause == "silence" else _CAUSES.get(change.cause, change.cause)


def move_text(change: Change) -> str:
    """From where to where.

    >>> move_text(Change(0, "u", "risk_band", "low", "high", "silence", {}))
    'risk low -> high'
    """
    name = {"lifecycle": "", "value_tier": "tier ", "risk_band": "risk "}.get(change.dimension, change.dimension)
    return f"{name}{change.previous or 'new'} -> {change.current or 'none'}"


def evidence_text(change: Change) -> str:
    """The figures that a change rests on.

    >>> figures = {"days_since_last_order": 21.44, "usual_gap_days": 9.8, "orders": 14}
    >>> evidence_text(Change(0, "u", "lifecycle", "loyal", "at_risk", "silence", figures))
    'no order for 21.4 d, usual gap 9.8 d, 14 orders'
    """
    evidence = change.evidence
    if change.dimension == "risk_band":
        return _risk_evidence(evidence)
    if change.dimension == "value_tier":
        spent = evidence.get("net_spend_365d", 0.0)
        orders = amount(evidence.get("orders_365d", 0), "order")
        return f"RFM {evidence.get('rfm') or '-'}: {orders} and {spent:,.0f} spent in 365 d"
    if "days_since_last_order" in evidence:
        ago, gap = evidence["days_since_last_order"], evidence["usual_gap_days"]
        if ago < 0.05:
            return f"{_nth(evidence['orders'])} order, usual gap {gap:.1f} d"
        return f"no order for {ago:.1f} d, usual gap {gap:.1f} d, {amount(evidence['orders'], 'order')}"
    searches = amount(evidence.get("searches_30d", 0), "search", "searches")
    clicks = amount(evidence.get("clicks_30d", 0), "click")
    silent = evidence.get("days_silent", 0.0)
    return f"{clicks}, {searches} in 30 d" + (f"; silent for {silent:.0f} d" if silent >= 1 else "")


def _risk_evidence(evidence: dict[str, Any]) -> str:
    probability = evidence.get("probability")
    within = evidence.get("horizon_days")
    return f"probability {share(probability)} to churn within {within} d"


def _nth(count: int) -> str:
    if count % 100 in (11, 12, 13):
        return f"{count}th"
    ending = {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{ending}"


def risk_text(customer: Customer) -> str:
    """How endangered a customer is.

    >>> risk_text(Customer("u", rank=2.5))
    '2.5 gaps silent'
    """
    if customer.probability is not None:
        return f"{customer.probability:.2f} {customer.band or ''}".rstrip()
    return f"{customer.rank or 0.0:.1f} gaps silent"


def model_text(model: Model) -> str:
    """Where the learning stands, one line."""
    if model.cold:
        return f"cold start: {model.learned:,} of {COLD_LABELS:,} labels learned; until then silence ranks"
    return f"learned {model.learned:,} labels; {model.scored:,} scores compared with what came"
