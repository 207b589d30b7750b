"""The load of the latency benchmark: a reference log's events as they would happen now, at an even rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from streams.codec import encode
from streams.core.events import INPUT_TOPICS
from streams.core.instants import format_instant
from streams.replay.records import KINDS
from streams.settings import Settings
from streams.topics import topic_name
from tests.bench.open_loop import Schedule
from tests.bench.reference_logs import ReferenceLog, rows

STRANGER_EVERY: Final = 20
"""One event in so many is the first click of somebody new, which makes an output for certain."""


class Planned(NamedTuple):
    """One record to be sent."""

    topic: str
    """Full name."""
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """All of a load, made before it begins."""

    schedule: Schedule
    begin_s: float
    """Monotonic clock."""
    records: list[Planned]
    intended_s: dict[str, float]
    """By what names an event in outputs: when it is to be sent, on the monotonic clock."""
    strangers: list[str]
    """Ids of events that must have an output."""

    def counted(self, warm_s: float) -> dict[str, float]:
        """What is due behind the first seconds, as ``intended_s`` says it."""
        from_s = self.begin_s + warm_s
        return {cause: due_s for cause, due_s in self.intended_s.items() if due_s >= from_s}


def plan(log: ReferenceLog, rate: float, settings: Settings, *, wait_s: float) -> Plan:
    """Make the load that begins in ``wait_s`` seconds; each event happens at the instant at which it is to be sent."""
    schedule = Schedule(rate, log.events)
    begin_s, begin_ms = time.monotonic() + wait_s, time.time() * 1_000.0 + wait_s * 1_000.0
    made = Plan(schedule, begin_s, [], {}, [])
    for number, row in enumerate(rows(log)):
        due_s = schedule.due_s(number)
        row = as_live(row, number, log.id, int(begin_ms + due_s * 1_000.0))
        name = INPUT_TOPICS[KINDS[row.pop("event_type")]]
        made.records.append(Planned(topic_name(name, settings), row["user_id"].encode(), encode(row)))
        for cause in (row["event_id"], f"{row['user_id']} at {format_instant(row['ts'])}"):
            made.intended_s[cause] = begin_s + due_s
        if number % STRANGER_EVERY == 0:
            made.strangers.append(row["event_id"])
    return made


def as_live(row: dict[str, Any], number: int, log_id: str, at_ms: int) -> dict[str, Any]:
    """An event of the log as it happens now: under ids that no other load has; one in twenty of somebody new."""
    live = row | {"event_id": f"{log_id}-{number}", "ts": at_ms}
    if "order_id" in live:
        live["order_id"] = f"{log_id}-o{number}"
    if number % STRANGER_EVERY == 0:
        wanted = ("event_id", "ts", "category")
        live = {name: live[name] for name in wanted} | {
            "event_type": "click",
            "user_id": f"{log_id}-new-{number}",
            "action": "view",
        }
    return live
