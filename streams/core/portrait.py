"""The portrait: what ``user-profiles`` and ``profiles.jsonl`` say about a user, as of its last change."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import msgspec

from streams.core.events import DAY_MS, MICRO
from streams.core.evidence import band_name, rfm_text, tier_name
from streams.core.hashing import output_id
from streams.core.instants import format_instant
from streams.core.ports import Output
from streams.core.profile import Profile
from streams.core.propensity import propensity_of
from streams.core.state import NO_TIME, PHASES, STAGE_NAMES, State
from streams.core.windows import WINDOW_DAYS, last_hours

USER_PROFILES: Final = "user-profiles"
_TOP_INTERESTS: Final = 5
_WINDOW_NAMES: Final = tuple(f"{days}d" for days in WINDOW_DAYS)
_encoder: Final = msgspec.json.Encoder()


def _instant(ms: int) -> str | None:
    return None if ms == NO_TIME else format_instant(ms)


def _window(clicks: int, searches: int, orders: int, amount: int) -> dict[str, Any]:
    return {"clicks": clicks, "searches": searches, "orders": orders, "amount": amount / MICRO}


def _windows(view: State, as_of: int) -> dict[str, dict[str, Any]]:
    """What happened in every window: the days are walked once, newest first."""
    day = last_hours(view, as_of)
    told = {"24h": _window(day.clicks, day.searches, day.orders, day.amount)}
    today = as_of // DAY_MS
    clicks = searches = orders = amount = left = 0
    edge = today - WINDOW_DAYS[0]
    for number, clicked, searched, _, ordered, net in reversed(view.days):
        while number <= edge:
            told[_WINDOW_NAMES[left]] = _window(clicks, searches, orders, amount)
            left += 1
            edge = today - WINDOW_DAYS[left] if left < len(WINDOW_DAYS) else NO_TIME
        clicks += clicked
        searches += searched
        orders += ordered
        amount += net
    for name in _WINDOW_NAMES[left:]:
        told[name] = _window(clicks, searches, orders, amount)
    return told


def portrait(profile: Profile, mode: str, propensity_days: int) -> Output:
    """The message for a user. Amounts are net of refunds, in the shop's currency."""
    view, delivery = profile.view, profile.delivery
    as_of = delivery.as_of
    total = sum(view.interests.values())
    strongest = sorted(view.interests.items(), key=lambda pair: (-pair[1], pair[0]))[:_TOP_INTERESTS]
    body: dict[str, Any] = {
        "id": "",
        "user_id": profile.user_id,
        "as_of": format_instant(as_of),
        "seq": delivery.seq,
        "mode": mode,
        "first_seen_at": _instant(view.first_seen),
        "last_seen_at": _instant(view.active_at),
        "first_order_at": _instant(view.first_order),
        "last_order_at": _instant(view.last_order),
        "totals": {
            "clicks": view.clicks,
            "searches": view.searches,
            "orders": view.orders,
            "lines": view.lines,
            "amount": view.amount / MICRO,
            "refunded": view.refunded / MICRO,
        },
        "windows": _windows(view, as_of),
        "lifecycle": {
            "stage": STAGE_NAMES[view.stage],
            "phase": PHASES[view.stage],
            "since": _instant(view.since),
        },
        "value": {
            "tier": tier_name(view.tier),
            "rfm": rfm_text(view.rfm),
            "expected_spend": delivery.spend if view.orders else None,
            "clv": delivery.clv if view.orders else None,
        },
        "risk": None
        if delivery.scored_at < 0
        else {
            "probability": delivery.probability,
            "band": band_name(delivery.band),
            "as_of": format_instant(delivery.scored_at),
            "model_version": delivery.version,
        },
        "propensity": None
        if (propensity := propensity_of(profile, as_of)) is None
        else {
            "probability": propensity,
            "horizon_days": propensity_days,
            "as_of": format_instant(delivery.propensity_at),
            "model_version": delivery.propensity_version,
        },
        "interests": [{"category": name, "weight": round(weight / total, 4)} for name, weight in strongest if total],
    }
    # Which records had come when a portrait was due, the wall clock decides: its content is part of its name.
    content = blake2b(_encoder.encode(body), digest_size=16).hexdigest()
    body["id"] = key = output_id(profile.user_id, USER_PROFILES, delivery.cause, "", content, "")
    return Output(USER_PROFILES, key, profile.user_id, as_of, body)
