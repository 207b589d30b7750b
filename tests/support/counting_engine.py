"""The tiniest engine that keeps the promises of the real one: it counts a user's events, once each.

What it says is easy to hold against a recount of what was published: profile = how many events, one output per event
whose id is the event's. Used where the live shell is tested, not the arithmetic.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from streams.core.events import Event
from streams.core.ports import ChurnScorer, Output, Step
from streams.live.seams import PendingProfiles

NO_TIME = -1


class CountingEngine:
    """See the module."""

    def __init__(self, profiles: PendingProfiles, grace_ms: int = 600_000) -> None:
        self.watermark = NO_TIME
        self.newest = NO_TIME
        self.clock = NO_TIME
        self.epochs = [0, 0, 0]
        self.applied_until = -1
        self.stages: Counter[str] = Counter()
        self._profiles = profiles
        self._grace_ms = grace_ms
        self._written: dict[str, dict[str, Any]] = {}

    def process(self, events: Iterable[Event], model: ChurnScorer, *, head_bound: int | None = None) -> Step:
        step = Step()
        for event in events:
            self.newest = max(self.newest, event.ts)
            bound = self.newest if head_bound is None else min(self.newest, head_bound)
            self.watermark = max(self.watermark, bound - self._grace_ms)
            raw = self._profiles.get(event.user_id)
            fresh: dict[str, Any] = {"count": 0, "applied": [[0, -1]] * 3}
            profile = fresh if raw is None else json.loads(raw)
            epoch, offset = profile["applied"][event.kind]
            if epoch == self.epochs[event.kind] and event.offset <= offset:
                step.facts.skipped += 1
                continue
            profile["applied"][event.kind] = [self.epochs[event.kind], event.offset]
            profile["count"] += 1
            self._written[event.user_id] = profile
            self._profiles.pending[event.user_id.encode()] = json.dumps(profile).encode()
            step.changed[event.user_id] = None
            step.portraits[event.user_id] = None
            step.facts.accepted += 1
            body = {"user_id": event.user_id, "count": profile["count"]}
            step.outputs.append(Output("segment-changes", event.id, event.user_id, event.ts, body))
        return step

    def advance(self, clock_ms: int, model: ChurnScorer, *, watermark: int | None = None) -> Step:
        self.clock = max(self.clock, clock_ms)
        if watermark is not None:
            self.watermark = max(self.watermark, watermark)
        return Step()

    def encoded(self, user_id: str, writer: int = 0) -> bytes | None:
        return self._profiles.get(user_id)

    def portrait(self, user_id: str) -> Output | None:
        raw = self._profiles.get(user_id)
        if raw is None:
            return None
        count = json.loads(raw)["count"]
        return Output("user-profiles", f"{user_id}-{count}", user_id, max(self.newest, 0), {"count": count})

    def untell(self, discarded: Iterable[tuple[str, str, str | None]]) -> Step:
        return Step()

    def restore_all(self, profiles: Iterable[tuple[bytes, bytes]]) -> None:
        self.stages["counted"] += sum(1 for _ in profiles)
