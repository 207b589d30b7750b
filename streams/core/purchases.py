"""Purchases folded onto a state: orders, money, refunds.

Several lines are one order. A negative quantity lowers money and is never activity; only a full refund that names its
order takes the order back. A line worth more than the policy's limit is left out of money both ways.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

from streams.core.events import DAY_MS, HOUR_MS, Event
from streams.core.hashing import stable_hash
from streams.core.lifecycle import note_rhythm
from streams.core.policy import Compiled
from streams.core.remembering import insert_order, interest, note_purchase_day
from streams.core.schedule import next_slot
from streams.core.state import AMOUNT, DAY, FAR, NO_TIME, ORDERS, Order, State
from streams.core.windows import add, tile

_BOUGHT: Final = 5_000
"""What a bought line adds to the interest in its category; a view adds 1,000."""


def fold_purchase(state: State, event: Event, policy: Compiled, user_hash: int) -> tuple[bool, bool]:
    """Fold the lines of a purchase or refund.

    Returns
    -------
    tuple
        Whether anything was bought, and whether it opened an order.
    """
    ts, limit = event.ts, policy.line_value
    bought = False
    gross = returned = 0
    for line in event.lines:
        value = 0 if line.price is None else line.price * line.quantity
        if value > limit or value < -limit:
            value = 0
        if line.quantity > 0:
            bought = True
            state.lines += 1
            gross += value
            if line.category:
                interest(state, line.category, _BOUGHT, ts)
        else:
            returned -= value
    opened = _order(state, event, gross, policy, user_hash) if bought else False
    net = gross - returned
    if net:
        add(state, ts, AMOUNT, net)
        state.amount += net
    if returned or (event.lines and not bought):
        state.refunds += 1
        state.refunded += returned
        if event.refund_of is not None:
            _take_back(state, stable_hash(f"o:{event.refund_of}"), returned)
    return bought, opened


def _order(state: State, event: Event, gross: int, policy: Compiled, user_hash: int) -> bool:
    ts = event.ts
    for observation in chain(state.pending, state.expected):
        if observation.as_of < ts <= observation.due:
            observation.returned = True
            if observation.spend >= 0:
                observation.spend += gross
    state.carts_open = 0
    state.score_until = max(state.score_until, ts + policy.scores_stop_ms)
    key = stable_hash(event.order_key)
    for order in reversed(state.recent_orders):
        if order.key == key:
            order.amount += gross
            if ts > order.ts:
                state.recent_orders.remove(order)
                order.ts = ts
                insert_order(state, order)
                state.last_order = max(state.last_order, ts)
            return False
    insert_order(state, Order(key, ts, gross, ts))
    state.orders += 1
    add(state, ts, ORDERS, 1)
    if state.first_order < 0 or ts < state.first_order:
        state.first_order = ts
    state.last_order = max(state.last_order, ts)
    note_purchase_day(state, ts // DAY_MS)
    if state.score_at == FAR:
        # A slot at this very instant counts: the score is taken after the events of its instant.
        state.score_at = next_slot(state.through - 1, user_hash)
    return True


def _take_back(state: State, key: int, returned: int) -> None:
    """A full refund that names its order undoes the order; a partial one only lowers its money."""
    order = next((one for one in state.recent_orders if one.key == key), None)
    if order is None:
        return
    whole = order.amount
    order.amount -= returned
    if whole <= 0 or order.amount > 0:
        return
    state.recent_orders.remove(order)
    state.orders -= 1
    day = order.opened // DAY_MS
    if day > state.through // DAY_MS - 365:
        tile(state.days, day)[ORDERS] -= 1
        state.orders_365d -= 1
    hour = order.opened // HOUR_MS
    for row in state.hours:
        if row[DAY] == hour and row[ORDERS]:
            row[ORDERS] -= 1
    if day in state.purchase_days and all(other.opened // DAY_MS != day for other in state.recent_orders):
        state.purchase_days.remove(day)
        state.purchase_days_total -= 1
        note_rhythm(state)
    if state.recent_orders:
        state.last_order = state.recent_orders[-1].ts
        if len(state.recent_orders) == state.orders:
            state.first_order = min(other.opened for other in state.recent_orders)
    if not state.orders:
        state.last_order = NO_TIME
        state.first_order = NO_TIME
        state.score_at = FAR
        state.engaged = True
