"""When users are scored: once a week, at whole hours spread by user hash; one score in four is learned from.

Risk of churn is scored every week of a customer's. Propensity goes along, less often for who is silent for long, and
takes in visitors for a week after they were seen; where it looks ahead less than a week, who was seen within days is
scored every day and each of these scores is learned from.
"""

from __future__ import annotations

from typing import Final

from streams.core.events import DAY_MS, HOUR_MS
from streams.core.hashing import mixed
from streams.core.state import FAR, State

WEEK_HOURS: Final = 168
WEEK_MS: Final = WEEK_HOURS * HOUR_MS
SAMPLE_ONE_IN: Final = 4
PROPENSITY_DAYS: Final = 7
"""How far a propensity looks ahead, unless a shop says otherwise."""
DAILY_SILENT_DAYS: Final = 3
"""Every day while seen within so many days before, where the horizon is below a week."""
VISITOR_SILENT_DAYS: Final = 7
"""Who never bought is scored until so many days after the last sign of life: once or twice, as every score costs."""
WEEKLY_SILENT_DAYS: Final = 30
"""Customers that are silent for longer are scored every fourth week."""
_PHASE: Final = 0x5BACED
"""Salt of a user's place in the cycle of :func:`spaced`; no hour since 1970 comes near it."""


def sampled(user_hash: int, at: int) -> bool:
    """Whether the scheduled score of a user at an instant keeps its features and becomes a training example."""
    return mixed(user_hash, at // HOUR_MS) % SAMPLE_ONE_IN == 0


def spaced(user_hash: int, at: int, horizon_ms: int) -> bool:
    """Whether a weekly score is one of those, no two of a user within one horizon, that models are compared on.

    Labels of one user that look into the same days repeat each other, and a test that took them for independent would
    be too sure. A pure function of hash and time, with nothing remembered: a user's weekly slots are counted in
    cycles, each an open part followed by a closed one long enough to keep any two open parts a horizon apart; the
    first sampled slot of the open part is it. Of users scored every week that takes one in 12, 17 and 22 slots at
    horizons of 30, 60 and 90 days; "sampled, and no slot within the horizon before was" takes one in 13, 40 and 126.

    Parameters
    ----------
    user_hash
        The user's stable hash.
    at
        The instant of a weekly slot of this user (ms): see :func:`next_slot`.
    horizon_ms
        How far the label looks ahead, at least 1 ms.

    Examples
    --------
    >>> slots = [next_slot(0, 7) + week * WEEK_MS for week in range(1_000)]
    >>> taken = [at for at in slots if spaced(7, at, 30 * 24 * HOUR_MS)]
    >>> len(taken), min(later - at for at, later in zip(taken, taken[1:])) // WEEK_MS
    (79, 5)
    """
    if not sampled(user_hash, at):
        return False
    apart = -(-horizon_ms // WEEK_MS)
    open_slots = 1 + apart // 2
    cycle = apart + open_slots - 1
    place = (at // WEEK_MS + mixed(user_hash, _PHASE)) % cycle
    return place < open_slots and not any(sampled(user_hash, at - back * WEEK_MS) for back in range(1, place + 1))


def next_slot(after: int, user_hash: int) -> int:
    """The user's next weekly score after an instant: a whole hour of the week, by hash."""
    hour = after // HOUR_MS + 1
    return (hour + (user_hash - hour) % WEEK_HOURS) * HOUR_MS


def daily(horizon_days: int) -> bool:
    """Whether a propensity horizon asks for a score a day."""
    return horizon_days < 7


def next_propensity(state: State, after: int, user_hash: int, *, daily: bool) -> int:
    """The next scheduled propensity score after an instant, as long as nothing new is heard: a slot, or FAR.

    A pure function of hash, time and last sign of life, with nothing remembered. What is weekly falls on the weekly
    slots of :func:`next_slot`, so a customer costs no deadline of its own.
    """
    if state.active_at < 0:
        return FAR
    seen = state.active_at // DAY_MS
    if daily:
        hour = after // HOUR_MS + 1
        at = (hour + (user_hash - hour) % 24) * HOUR_MS
        if at // DAY_MS - seen <= DAILY_SILENT_DAYS:
            return at
    at = next_slot(after, user_hash)
    silent = at // DAY_MS - seen
    if not state.orders:
        return at if silent <= VISITOR_SILENT_DAYS else FAR
    if silent > WEEKLY_SILENT_DAYS:
        at += (user_hash - at // WEEK_MS) % 4 * WEEK_MS
    return at if at <= state.score_until else FAR


def propensity_spaced(user_hash: int, at: int, horizon_ms: int) -> bool:
    """As :func:`spaced`, of scheduled propensity scores."""
    if horizon_ms >= WEEK_MS:
        return spaced(user_hash, at, horizon_ms)
    return (at // DAY_MS + mixed(user_hash, _PHASE)) % -(-horizon_ms // DAY_MS) == 0


def propensity_sampled(user_hash: int, at: int, *, daily: bool) -> bool:
    """Whether the scheduled propensity score of a user at an instant waits for its label and is learned from."""
    return daily or sampled(user_hash, at)
