"""Why something is told, as messages and their ids say it."""

from __future__ import annotations

from typing import Any, NamedTuple

from streams.core.events import INPUT_TOPICS, Event
from streams.core.instants import format_instant


class Cause(NamedTuple):
    """Why something is told: an event, or silence up to a deadline, or a new policy."""

    kind: str
    id: str
    event: Event | None
    at: int

    def body(self) -> dict[str, Any]:
        """The ``cause`` of a message."""
        if self.event is not None and self.kind == "event":
            event = self.event
            return {
                "kind": "event",
                "event_id": event.id,
                "topic": INPUT_TOPICS[event.kind],
                "partition": event.partition,
                "offset": event.offset,
            }
        return {"kind": self.kind, "deadline": format_instant(self.at)}


def by_event(event: Event) -> Cause:
    """A cause that came in."""
    return Cause("event", event.id, event, event.ts)


def by_silence(at: int) -> Cause:
    """A cause that is the absence of events."""
    return Cause("silence", f"deadline:{at}", None, at)


def by_policy(at: int, fingerprint: int) -> Cause:
    """A cause that is a changed policy."""
    return Cause("policy", f"policy:{fingerprint:08x}", None, at)
