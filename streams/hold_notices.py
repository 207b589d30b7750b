"""The records of the topic ``output-holds``: owners say what they hold, operators what is to become of it.

One partition, compacted. ``hold-<n>`` is what partition n's owner said last, ``decision-<n>`` what was decided last; a
decision names its hold, so one that comes twice or too late decides nothing else.
"""

from __future__ import annotations

from typing import Any, Final

from streams.core.instants import format_instant
from streams.core.output_hold import Hold

RELEASE: Final = "release"
DISCARD: Final = "discard"


def hold_notice(partition: int, hold: Hold | None, settled: tuple[Hold, str] | None) -> tuple[bytes, dict[str, Any]]:
    """Key and body of what an owner says: what it holds, or that nothing is held and how the last hold ended."""
    body: dict[str, Any] = {"type": "hold", "partition": partition, "hold": None if hold is None else hold.id}
    if hold is not None:
        body |= {
            "tripped_at": format_instant(hold.tripped_ms),
            "minute": format_instant(hold.minute_ms),
            "users": hold.users,
            "changed": hold.changed,
            "limit": hold.share,
            "outputs": hold.count,
            "transitions": [list(transition) for transition in hold.transitions],
        }
    elif settled is not None:
        body["settled"] = {"hold": settled[0].id, "decision": settled[1], "outputs": settled[0].count}
    return b"hold-%d" % partition, body


def decision_notice(partition: int, hold: int, decision: str, now_ms: int) -> tuple[bytes, dict[str, Any]]:
    """Key and body of a decision."""
    body = {
        "type": "decision",
        "partition": partition,
        "hold": hold,
        "decision": decision,
        "decided_at": format_instant(now_ms),
    }
    return b"decision-%d" % partition, body
