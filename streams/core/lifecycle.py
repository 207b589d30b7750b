"""Life-cycle stage, RFM and value tier, as plain functions of a state, an instant and the policy."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple

from streams.core.events import DAY_MS
from streams.core.policy import Compiled
from streams.core.state import DAY, FAR, Stage, State

_CUSTOMER_STAGES = frozenset(
    {Stage.NEW_CUSTOMER, Stage.GROWING, Stage.REACTIVATED, Stage.LOYAL, Stage.AT_RISK, Stage.CHURNED}
)


class SilenceLimits(NamedTuple):
    """When the present silence becomes at risk, and churned (ms since the epoch)."""

    at_risk: int
    churned: int


def gaps(state: State) -> list[int]:
    """The user's last gaps between purchase days, in days, oldest first (at most 12)."""
    days = state.purchase_days
    return [later - earlier for earlier, later in pairwise(days)]


def usual_gap_ms(state: State, policy: Compiled) -> int:
    """G: the median of the last 12 gaps; the shop's gap below 3 purchase days."""
    return state.half_gap * DAY_MS // 2 if state.half_gap else policy.shop_gap_ms


def note_rhythm(state: State) -> None:
    """Bring the median gap up to date after the purchase days changed."""
    ordered = sorted(gaps(state))
    if len(ordered) < 2:
        state.half_gap = 0
    elif len(ordered) % 2:
        state.half_gap = 2 * ordered[len(ordered) // 2]
    else:
        state.half_gap = ordered[len(ordered) // 2 - 1] + ordered[len(ordered) // 2]


def silence_limits(state: State, policy: Compiled) -> SilenceLimits:
    """2 G (at least 7 d) and 4 G (at least 21 d) after the last order, as the policy has them."""
    spans = policy.silence_spans.get(state.half_gap)
    if spans is None:
        gap = usual_gap_ms(state, policy)
        spans = policy.silence_spans[state.half_gap] = (
            max(round(policy.at_risk_gaps * gap), policy.at_risk_floor_ms),
            max(round(policy.churned_gaps * gap), policy.churned_floor_ms),
        )
    return SilenceLimits(state.last_order + spans[0], state.last_order + spans[1])


def _loyal(state: State, instant: int, policy: Compiled) -> bool:
    if state.loyal:
        return state.orders_365d >= policy.loyal_leave
    return state.orders_365d >= policy.loyal_orders and instant >= loyal_tenure_at(state, policy)


def loyal_tenure_at(state: State, policy: Compiled) -> int:
    """The instant from which the first order is long enough ago for loyalty."""
    return state.first_order + round(policy.loyal_tenure_gaps * usual_gap_ms(state, policy))


def stage_at(state: State, instant: int, policy: Compiled, *, ordered: bool) -> tuple[int, str]:
    """The stage as of an instant, and the rule that says so.

    ``ordered`` tells that an order was opened at this very instant: that is what reactivates.
    Updates ``state.loyal``, the memory of the loyalty hysteresis.
    """
    if not state.orders:
        state.loyal = False
        if instant >= state.active_at + policy.dormant_ms:
            return Stage.DORMANT, "never bought and silent"
        if state.engaged:
            return Stage.ACTIVATED, "cart, favourite, share, review, or search and click in one session"
        if state.active_days >= 2:
            return Stage.ACTIVATED, "active on 2 days"
        return Stage.VISITOR, "first seen"
    limits = silence_limits(state, policy)
    if instant >= limits.churned:
        state.loyal = False
        return Stage.CHURNED, f"no order for {policy.churned_gaps:g} usual gaps"
    was_churned = state.stage == Stage.CHURNED
    state.loyal = _loyal(state, instant, policy)
    if instant >= limits.at_risk:
        if was_churned:
            return Stage.CHURNED, f"no order for {policy.churned_gaps:g} usual gaps"
        return Stage.AT_RISK, f"no order for {policy.at_risk_gaps:g} usual gaps"
    if was_churned and ordered:
        return Stage.REACTIVATED, "an order while churned"
    if state.stage == Stage.REACTIVATED and not ordered:
        return Stage.REACTIVATED, "an order while churned"
    if state.loyal:
        return Stage.LOYAL, f"{policy.loyal_orders} orders in 365 d and tenure"
    if state.orders >= 2:
        return Stage.GROWING, "2 orders or more"
    return Stage.NEW_CUSTOMER, "first order"


def rfm_at(state: State, instant: int, policy: Compiled) -> tuple[int, int, int]:
    """R, F and M, 1 (worst) to 5 (best) each. Only for who has bought."""
    recency = 5 - bisect_right(policy.recency_ms, instant - state.last_order)
    frequency = 1 + bisect_right(policy.frequency, state.orders_365d)
    monetary = 1 + bisect_right(policy.monetary, state.amount_365d)
    return recency, frequency, monetary


def tier_of(rfm: tuple[int, int, int], policy: Compiled) -> int:
    """Value tier (index into :data:`streams.core.policy.TIERS`) from R + F + M."""
    return bisect_right(policy.tier_points, sum(rfm))


def evaluate(state: State, instant: int, policy: Compiled, *, ordered: bool = False) -> str:
    """Bring stage, RFM and tier of a state up to an instant; the rule of the stage is returned."""
    stage, rule = stage_at(state, instant, policy, ordered=ordered)
    if stage != state.stage or state.since < 0:
        state.stage = stage
        state.since = instant
    revalue(state, instant, policy)
    return rule


def revalue(state: State, instant: int, policy: Compiled) -> None:
    """Bring RFM and tier alone up to an instant."""
    if state.orders:
        rfm = rfm_at(state, instant, policy)
        state.rfm = rfm[0] * 100 + rfm[1] * 10 + rfm[2]
        state.tier = tier_of(rfm, policy)
    else:
        state.rfm = 0
        state.tier = -1


def next_change(state: State, after: int, policy: Compiled) -> int:
    """The next instant after ``after`` at which silence alone can change stage, RFM or tier."""
    if not state.orders:
        dormant = state.active_at + policy.dormant_ms
        return dormant if dormant > after else FAR
    soonest = FAR
    limits = silence_limits(state, policy)
    candidates = [limits.at_risk, limits.churned]
    crossed = bisect_right(policy.recency_ms, after - state.last_order)
    if crossed < len(policy.recency_ms):
        candidates.append(state.last_order + policy.recency_ms[crossed])
    if state.orders_365d >= policy.loyal_orders and not state.loyal:
        candidates.append(loyal_tenure_at(state, policy))
    if state.days:
        candidates.append((state.days[0][DAY] + 365) * DAY_MS)
    for candidate in candidates:
        if after < candidate < soonest:
            soonest = candidate
    return soonest
