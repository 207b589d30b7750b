"""Evidence: the figures behind a change of stage or tier, under the names that people read."""

from __future__ import annotations

from typing import Any

from streams.core.events import DAY_MS, MICRO
from streams.core.lifecycle import usual_gap_ms
from streams.core.policy import BANDS, TIERS, Compiled
from streams.core.state import State
from streams.core.windows import window


def tier_name(tier: int) -> str | None:
    """The name of a value tier; None for who never bought."""
    return TIERS[tier] if tier >= 0 else None


def band_name(band: int) -> str | None:
    """The name of a risk band; None before the first probability."""
    return BANDS[band] if band >= 0 else None


def rfm_text(rfm: int) -> str | None:
    """R, F and M as the three digits people write; None for who never bought."""
    return f"{rfm:03d}" if rfm else None


def stage_evidence(view: State, at: int, policy: Compiled) -> dict[str, Any]:
    """What a life-cycle stage as of an instant rests on."""
    month = window(view, at, 30)
    evidence: dict[str, Any] = {
        "orders": view.orders,
        "orders_365d": view.orders_365d,
        "active_days": view.active_days,
        "clicks_30d": month.clicks,
        "searches_30d": month.searches,
    }
    if view.orders:
        evidence["days_since_last_order"] = round((at - view.last_order) / DAY_MS, 3)
        evidence["usual_gap_days"] = round(usual_gap_ms(view, policy) / DAY_MS, 3)
    else:
        evidence["days_silent"] = round((at - view.active_at) / DAY_MS, 3)
    return evidence


def value_evidence(view: State, at: int) -> dict[str, Any]:
    """What a value tier as of an instant rests on."""
    evidence: dict[str, Any] = {
        "rfm": rfm_text(view.rfm),
        "orders_365d": view.orders_365d,
        "net_spend_365d": view.amount_365d / MICRO,
    }
    if view.orders:
        evidence["days_since_last_order"] = round((at - view.last_order) / DAY_MS, 3)
    return evidence
