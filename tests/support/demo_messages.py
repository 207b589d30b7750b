"""Messages of the output topics as the demo receives them, with what a test does not care about filled in."""

from __future__ import annotations

import itertools
from typing import Any

from streams import codec
from streams.core.events import DAY_MS, Position
from streams.core.instants import format_instant
from streams.core.ports import Rejection
from streams.dead_letters import dead_letter
from streams.replay.finished_topics import Received
from streams.topics import CHURN_RISK, DEAD_LETTERS, LATE_EVENTS, MODEL_CUTS, SEGMENT_CHANGES, USER_PROFILES

_ids = itertools.count()
_seqs = itertools.count(1)


def received(topic: str, body: Any, *, key: str = "") -> Received:
    """A record of a topic."""
    return Received(topic, 0, 0, 0, key.encode(), None if body is None else codec.encode(body), ())


def _body(user: str, day: float, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"id-{next(_ids)}",
        "user_id": user,
        "as_of": format_instant(round(day * DAY_MS)),
        "seq": next(_seqs),
        "mode": "replay",
        **given,
    }


def change(user: str, current: str, *, day: float = 1, dimension: str = "lifecycle", **given: Any) -> Received:
    """A segment change, by silence."""
    body = {
        "dimension": dimension,
        "previous": None,
        "current": current,
        "cause": {"kind": "silence", "deadline": format_instant(0)},
        "evidence": {},
        **given,
    }
    return received(SEGMENT_CHANGES, _body(user, day, body), key=user)


def risk(user: str, probability: float | None, *, day: float = 1, **given: Any) -> Received:
    """A churn risk; cold without a probability."""
    body = {"probability": probability, "horizon_days": 21, "band": None, "reasons": [], **given}
    return received(CHURN_RISK, _body(user, day, body), key=user)


def portrait(user: str, **totals: int) -> Received:
    """A portrait with these totals."""
    return received(USER_PROFILES, _body(user, 1, {"totals": totals}), key=user)


def late(user: str) -> Received:
    """A late event."""
    return received(LATE_EVENTS, _body(user, 1, {}), key=user)


def letter(reason: str, offset: int) -> Received:
    """A dead letter for a record of ``clicks``."""
    _, headers = dead_letter(b"x", (), Rejection(reason, "why", Position("clicks", 0, offset)))
    return Received(DEAD_LETTERS, 0, offset, 0, b"", b"x", tuple(headers))


def cut(body: dict[str, Any]) -> Received:
    """A record of ``model-cuts``."""
    return received(MODEL_CUTS, body)
