"""What a state keeps of the past within bounds: ids, orders, purchase days, interests."""

from __future__ import annotations

from typing import Final

from streams.core.events import DAY_MS, Event
from streams.core.hashing import stable_hash
from streams.core.lifecycle import note_rhythm
from streams.core.state import IDS_HORIZON_MS, MAX_IDS, MAX_ORDERS, MAX_PURCHASE_DAYS, Order, State

_MAX_INTERESTS: Final = 12
_MOST_INTERESTS: Final = 256
"""Within a day: whoever names a new category with every record must not grow without bound."""
_HALF_LIFE_DAYS: Final = 30
_DECAY: Final = tuple(round((1 << 32) * 0.5 ** (days / _HALF_LIFE_DAYS)) for days in range(10 * _HALF_LIFE_DAYS))
"""What a weight keeps after so many days, in units of 2**-32: integers, so sums never depend on a rounding mode."""


def identity(event: Event) -> int:
    """What an event_id is remembered by: inputs number their records each on their own."""
    return stable_hash(event.id) ^ event.kind


def remember_id(state: State, hashed: int, ts: int) -> None:
    """Keep an event_id for a day, among the newest 32."""
    ids = state.ids
    oldest = state.through - IDS_HORIZON_MS
    if ts >= oldest:
        ids[hashed] = ts
    while ids and (len(ids) > MAX_IDS or ids[next(iter(ids))] < oldest):
        del ids[next(iter(ids))]


def insert_order(state: State, order: Order) -> None:
    """Keep the newest 32 orders, oldest first."""
    orders = state.recent_orders
    at = len(orders)
    while at and orders[at - 1].ts > order.ts:
        at -= 1
    orders.insert(at, order)
    if len(orders) > MAX_ORDERS:
        orders.pop(0)


def note_purchase_day(state: State, day: int) -> None:
    """Keep the last 13 distinct purchase days (12 gaps), oldest first."""
    days = state.purchase_days
    if days and day == days[-1]:
        return
    if day in days:
        return
    state.purchase_days_total += 1
    at = len(days)
    while at and days[at - 1] > day:
        at -= 1
    days.insert(at, day)
    if len(days) > MAX_PURCHASE_DAYS:
        days.pop(0)
    note_rhythm(state)


def interest(state: State, category: str, weight: int, ts: int) -> None:
    """Add to a decayed interest; once a day all fade by a half-life of 30 days and the weakest go."""
    day = ts // DAY_MS
    passed = day - state.interests_day
    if passed > 0:
        kept = _DECAY[passed] if passed < len(_DECAY) else 0
        faded = [(name, value * kept >> 32) for name, value in state.interests.items()]
        if len(faded) > _MAX_INTERESTS:
            strongest = sorted(faded, key=lambda pair: (-pair[1], pair[0]))[:_MAX_INTERESTS]
            names = {name for name, _ in strongest}
            faded = [pair for pair in faded if pair[0] in names]
        state.interests = {name: value for name, value in faded if value}
        state.interests_day = day
    interests = state.interests
    interests[category] = interests.get(category, 0) + weight
    if len(interests) > _MOST_INTERESTS:
        strongest = sorted(interests.items(), key=lambda pair: (-pair[1], pair[0]))[: _MOST_INTERESTS // 2]
        state.interests = dict(sorted(strongest))
