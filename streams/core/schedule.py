"""When customers are scored: once a week, at whole hours spread by user hash; one score in four is learned from."""

from __future__ import annotations

from typing import Final

from streams.core.events import HOUR_MS
from streams.core.hashing import mixed

WEEK_HOURS: Final = 168
WEEK_MS: Final = WEEK_HOURS * HOUR_MS
SAMPLE_ONE_IN: Final = 4
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
