"""The feature vector: every column of the catalogue, from a state alone, as of one instant.

Live worker, replay and backfill compute it here, so they cannot differ, and nothing can be read past ``as_of``. The
tiles are walked once, newest first; what a window holds is the running sums where the walk leaves it.
"""

from __future__ import annotations

from math import log, log1p
from typing import Final

from streams.core.bends import bends
from streams.core.events import DAY_MS, MICRO, Kind
from streams.core.lifecycle import gaps
from streams.core.policy import Compiled
from streams.core.rhythm import gap_days, rhythm_of, unknown_rhythm
from streams.core.state import State

WINDOWS: Final = (3, 7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)
"""Days, ascending; :func:`_windows` gives the sums of each in this order."""
_LAST: Final = len(WINDOWS)


Sums = tuple[int, int, int, int, int, int, int, int]
"""Orders, days with one, net millionths, clicks, searches, carts, days with a click or a search, days with anything."""


def _windows(state: State, today: int) -> list[Sums]:
    """The sums of every window of :data:`WINDOWS`."""
    orders = days = amount = clicks = searches = carts = visits = active = 0
    sums: list[Sums] = []
    left = 0
    edge = today - WINDOWS[0]
    for day, clicked, searched, put, ordered, net in reversed(state.days):
        if day <= edge:
            while left < _LAST and day <= today - WINDOWS[left]:
                sums.append((orders, days, amount, clicks, searches, carts, visits, active))
                left += 1
            if left == _LAST:
                break
            edge = today - WINDOWS[left]
        if ordered > 0:
            orders += ordered
            days += 1
        amount += net
        if clicked or searched:
            clicks += clicked
            searches += searched
            carts += put
            visits += 1
            active += 1
        elif ordered > 0 or net:
            active += 1
    sums.extend([(orders, days, amount, clicks, searches, carts, visits, active)] * (_LAST - left))
    return sums


def _money(amount: int) -> float:
    return log1p(amount / MICRO) if amount > 0 else 0.0


def vector(state: State, as_of: int, policy: Compiled) -> list[float]:
    """All features of a customer as of an instant at or after everything folded.

    Parameters
    ----------
    state
        A state with at least one order.
    as_of
        The instant, ms since the epoch.

    Returns
    -------
    list of float
        In the order of :data:`streams.core.features.CATALOGUE`.
    """
    w3, w7, w14, w21, w30, w45, w60, w90, w120, w180, w270, year = _windows(state, as_of // DAY_MS)
    o7, o30, o90, o365 = w7[0], w30[0], w90[0], year[0]
    d90, m90, m365, c7, c30 = w90[1], w90[2], year[2], w7[3], w30[3]
    recency = (as_of - state.last_order) / DAY_MS
    tenure = (as_of - state.first_order) / DAY_MS
    seen = (as_of - state.active_at) / DAY_MS
    recent = state.recent_orders
    second = (as_of - recent[-2].ts) / DAY_MS if len(recent) > 1 else tenure
    gap = gap_days(state, policy)
    own = tuple(gaps(state))
    known = len(own)
    rhythm = rhythm_of(own) if known else unknown_rhythm(gap)
    longer = longer_30 = longer_90 = 0
    for one in own:
        if one > recency:
            longer += 1
            if one > recency + 30.0:
                longer_30 += 1
                if one > recency + 90.0:
                    longer_90 += 1
    orders_ever, days_ever = state.orders, state.purchase_days_total
    refunded, spent = state.refunded, state.amount
    looked = state.active_at - state.last_order
    log_recency, log_tenure, log_gap, log_days = log1p(recency), log1p(tenure), log1p(gap), log1p(days_ever)
    log_d90 = log1p(d90) if d90 else 0.0
    rate_90 = log((d90 + 0.3) / ((tenure if tenure < 90.0 else 90.0) + 11.0))
    # What is mostly 0 is not asked for its logarithm then.
    observed = [
        log_recency,
        log1p(seen) if seen > 0 else 0.0,
        log1p(second),
        recency / tenure if tenure > 0 else 0.0,
        log_recency * rate_90,
        log_tenure,
        log1p(orders_ever),
        log_days,
        1.0 if days_ever <= 1 else 0.0,
        log1p(orders_ever * 30.0 / (tenure + 30.0)),
        log_gap,
        rhythm.log_mean,
        rhythm.log_longest,
        rhythm.log_last,
        rhythm.spread,
        1.0 if len(state.purchase_days) < 3 else 0.0,
        rhythm.log_mean_of_3,
        rhythm.log_mean_of_6,
        rhythm.log_recent,
        rhythm.log_typical,
        rhythm.log_spread,
        log1p(known) if known else 0.0,
        log((longer + 0.5) / (known - longer + 0.5)),
        log((longer_30 + 0.5) / (longer - longer_30 + 0.5)),
        log((longer_90 + 0.5) / (longer - longer_90 + 0.5)),
        log1p(o7) if o7 else 0.0,
        log1p(o30) if o30 else 0.0,
        log1p(o90) if o90 else 0.0,
        log1p(o365) if o365 else 0.0,
        log1p(w3[7]) if w3[7] else 0.0,
        log1p(w14[7]) if w14[7] else 0.0,
        log1p(w21[7]) if w21[7] else 0.0,
        log1p(w30[1]) if w30[1] else 0.0,
        log1p(w45[7]) if w45[7] else 0.0,
        log1p(w60[7]) if w60[7] else 0.0,
        log_d90,
        log1p(w120[7]) if w120[7] else 0.0,
        log1p(w180[7]) if w180[7] else 0.0,
        log1p(w270[7]) if w270[7] else 0.0,
        log((o30 + 0.5) / (o90 / 3.0 + 0.5)),
        log((o90 + 0.5) / (o365 / 4.0 + 0.5)),
        _money(w30[2]),
        _money(m90),
        _money(m365),
        _money(spent // orders_ever),
        _money(recent[-1].amount) if recent else 0.0,
        log(((m90 if m90 > 0 else 0) / MICRO + 1.0) / ((m365 if m365 > 0 else 0) / MICRO / 4.0 + 1.0)),
        log1p(state.lines / orders_ever),
        refunded / ((spent if spent > 0 else 0) + refunded) if refunded > 0 else 0.0,
        log1p(len(state.interests)),
        log1p(c7) if c7 else 0.0,
        log1p(c30) if c30 else 0.0,
        log1p(w30[4]) if w30[4] else 0.0,
        log1p(w30[5]) if w30[5] else 0.0,
        log1p(state.carts_open) if state.carts_open else 0.0,
        log1p(w7[6]) if w7[6] else 0.0,
        log1p(w30[6]) if w30[6] else 0.0,
        log1p(looked / DAY_MS) if looked > 0 else 0.0,
        1.0 if state.first[Kind.CLICK] >= 0 or state.first[Kind.SEARCH] >= 0 else 0.0,
        log((c7 + 0.5) / (c30 / 4.0 + 0.5)),
        log1p(state.active_days),
    ]
    observed += bends(observed)
    return observed
