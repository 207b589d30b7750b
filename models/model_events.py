"""What happens to models, as ``model-events`` tells it: takeovers, drift alarms, rollbacks.

An event's id follows from what happened, so a trainer that repeats its work repeats its ids.
"""

from __future__ import annotations

import hashlib
from typing import Any

from models.examples import Rollback
from models.instants import instant_text


def event_id(*parts: object) -> str:
    """A name for what happened: 32 hex digits, the same for the same parts.

    >>> event_id("drift", "churn", 0) == event_id("drift", "churn", 0)
    True
    """
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]


def rolled_back(asked: Rollback, day_ms: int, before: str, version: str) -> dict[str, Any]:
    """The event of a rollback.

    Parameters
    ----------
    asked
        What was asked for.
    day_ms
        The day that was cut anew with it.
    before, version
        The cut that served until then, and the one that serves now.
    """
    return {
        "type": "rollback",
        "id": event_id("rollback", asked.id),
        "head": ",".join(sorted(asked.heads)),
        "at": instant_text(day_ms),
        "from": before,
        "to": version,
        "as_of_version": asked.version,
        "by": asked.by,
    }
