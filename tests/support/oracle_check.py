"""Engine and oracle in the same words, and the comparison of the two."""

from __future__ import annotations

import pytest

from streams.core.events import DAY_MS, HOUR_MS, Event, Kind
from streams.core.feature_vector import vector
from streams.core.features import NAMES
from streams.core.state import STAGE_NAMES, State
from streams.core.windows import last_hours, window
from tests.support.oracle import Truth, is_alive, truth
from tests.support.oracle_features import features
from tests.support.partition_runs import COMPILED, HORIZON_DAYS, POLICY


def told_by_engine(state: State, at: int) -> dict[str, object]:
    return {
        "first_seen": state.first_seen,
        "active_at": state.active_at,
        "active_days": state.active_days,
        # Nobody asks any more once there is an order: the stage does not depend on it.
        "engaged": state.engaged if not state.orders else None,
        "clicks": state.clicks,
        "searches": state.searches,
        "carts": state.carts,
        "orders": state.orders,
        "lines": state.lines,
        "amount": state.amount,
        "refunded": state.refunded,
        "first_order": state.first_order,
        "last_order": state.last_order,
        "purchase_days": (state.purchase_days_total, state.purchase_days),
        "usual_gap": state.half_gap * DAY_MS / 2 or COMPILED.shop_gap_ms,
        "hour_counts": state.hour_counts,
        "interests": state.interests,
        "first": state.first,
        "last": state.last,
        "windows": [tuple(window(state, at, days))[:5] for days in (7, 30, 90, 365)],
        "hours": tuple(last_hours(state, at))[:5],
        "tier": state.tier,
        "rfm": state.rfm,
        "stage": STAGE_NAMES[state.stage],
        "since": state.since,
        "loyal": state.loyal,
    }


def told_by_oracle(known: Truth) -> dict[str, object]:
    past, at = known.past, known.at
    alive = [event for event in past.events if is_alive(event)]
    rfm = past.rfm(at)
    kinds = [[event.ts for event in alive if event.kind == kind] for kind in Kind]
    sums = [past.window(at, days) for days in (7, 30, 90, 365)]
    day = past.last_hours(at)
    return {
        "first_seen": past.events[0].ts,
        "active_at": past.active_at,
        "active_days": past.active_days,
        "engaged": past.engaged if not past.standing else None,
        "clicks": len(past.of(Kind.CLICK)),
        "searches": len(past.of(Kind.SEARCH)),
        "carts": sum(event.action == 2 for event in past.of(Kind.CLICK)),
        "orders": len(past.standing),
        "lines": past.lines,
        "amount": past.amount,
        "refunded": past.refunded,
        "first_order": past.first_order,
        "last_order": past.last_order,
        "purchase_days": (len(past.purchase_days), past.purchase_days[-13:]),
        "usual_gap": past.usual_gap_ms,
        "hour_counts": [sum(event.ts // HOUR_MS % 24 == hour for event in alive) for hour in range(24)],
        "interests": past.interests,
        "first": [min(times, default=-1) for times in kinds],
        "last": [max(times, default=-1) for times in kinds],
        "windows": [(one.clicks, one.searches, one.carts, one.orders, one.amount) for one in sums],
        "hours": (day.clicks, day.searches, day.carts, day.orders, day.amount),
        "tier": past.tier(at),
        "rfm": 0 if rfm is None else rfm[0] * 100 + rfm[1] * 10 + rfm[2],
        "stage": known.stage,
        "since": known.since,
        "loyal": known.loyal,
    }


def by_user(events: list[Event]) -> dict[str, list[Event]]:
    ordered = sorted(events, key=lambda event: event.sort_key)
    return {user: [event for event in ordered if event.user_id == user] for user in {e.user_id for e in events}}


def assert_same(state: State, events: list[Event], at: int) -> None:
    known = truth(events, at, POLICY, HORIZON_DAYS)
    assert known is not None
    assert told_by_engine(state, at) == told_by_oracle(known)
    if state.orders:
        wanted = features(known.past, at)
        assert dict(zip(NAMES, vector(state, at, COMPILED), strict=True)) == pytest.approx(wanted, abs=1e-6)
