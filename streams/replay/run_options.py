"""What an offline run is asked to do, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass

from streams.core.engine import GRACE_MS
from streams.core.policy import Policy
from streams.core.schedule import PROPENSITY_DAYS
from streams.core.state import NO_TIME


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What an offline run is asked to do. Instants in ms since the epoch."""

    horizon_days: int
    policy: Policy
    dedup_rows: bool = False
    until: int | None = None
    score_at: tuple[int, ...] = ()
    look_back_days: int = 540
    grace_ms: int = GRACE_MS
    hold_least_users: int = 50
    propensity_days: int = PROPENSITY_DAYS
    stored_profiles: bool = False
    """Whether whoever takes the end of the run wants profiles as they would be stored."""


@dataclass(slots=True)
class Progress:
    """How far a run is; given to the caller now and then."""

    rows: int = 0
    """Read, applied and told."""
    total: int = 0
    event_time: int = NO_TIME
    users: int = 0
