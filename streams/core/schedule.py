"""When customers are scored: once a week, at whole hours spread by user hash; one score in four is learned from."""

from __future__ import annotations

from typing import Final

from streams.core.events import HOUR_MS
from streams.core.hashing import mixed

WEEK_HOURS: Final = 168
SAMPLE_ONE_IN: Final = 4


def sampled(user_hash: int, at: int) -> bool:
    """Whether the scheduled score of a user at an instant keeps its features and becomes a training example."""
    return mixed(user_hash, at // HOUR_MS) % SAMPLE_ONE_IN == 0


def next_slot(after: int, user_hash: int) -> int:
    """The user's next weekly score after an instant: a whole hour of the week, by hash."""
    hour = after // HOUR_MS + 1
    return (hour + (user_hash - hour) % WEEK_HOURS) * HOUR_MS
