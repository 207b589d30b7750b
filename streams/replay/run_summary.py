"""``summary.json``: what an offline run read, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from models.snapshots import model_hash
from streams.core.breaker import HighestShare, Trip
from streams.core.instants import format_instant
from streams.core.state import NO_TIME
from streams.core.tally import Counts, Tally, add
from streams.replay.content_hash import ContentHash
from streams.replay.pacing import Turn
from streams.replay.reading import Reading
from streams.replay.run_options import RunOptions
from streams.replay.sources import Source
from streams.replay.turn_results import COUNTED, ClosingPage, TurnResult


class RunAccount:
    """Adds up what the turns of a run came to."""

    def __init__(self, options: RunOptions) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self.written: Counter[str] = Counter()
        """Messages by topic."""
        self.tally: Counts = Tally().body()
        self.users = 0
        self.watermark = NO_TIME
        self.pending = 0
        self.outputs = ContentHash()
        self.profiles = ContentHash()
        self._options = options
        self._highest = HighestShare(options.hold_least_users)

    def turn(self, turn: Turn, result: TurnResult) -> None:
        """Count in a turn, in their order."""
        self.counts.update(result.counts)
        self.written.update(told.topic for told in result.told)
        add(self.tally, result.tally)
        self.outputs.add_sum(result.told_hash)
        self._highest.saw(seen for _, seen in result.seen)
        self.users = result.users
        self.watermark = turn.watermark

    def closing(self, page: ClosingPage) -> None:
        """Count in the portraits of some users."""
        for closed in page.users:
            if closed.portrait is not None:
                self.written[closed.portrait.topic] += 1
                self.pending += closed.pending
        self.profiles.add_sum(page.profiles_hash)

    def summary(
        self, source: Source, reading: Reading, stages: Mapping[str, int], final: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The body of ``summary.json``; ``final`` is the last cut."""
        counts, until = self.counts, self._options.until
        watermark = self.watermark if until is None or self.watermark == NO_TIME else until
        return {
            "sources": source.describe(),
            "horizon_days": self._options.horizon_days,
            "policy_version": self._options.policy.version,
            "records": {
                "read": reading.read,
                "accepted": counts["accepted"],
                "duplicates": reading.duplicates + counts["duplicates"],
                "rejected": reading.rejected,
                "late": counts["late"],
            },
            "rejected_by_reason": dict(sorted(reading.reasons.items())),
            "outliers": counts["outliers"],
            "outputs": dict(sorted(self.written.items())),
            "users": self.users,
            "users_by_stage": {stage: users for stage, users in sorted(stages.items()) if users},
            "observations": {
                "opened": counts["opened"],
                "churned": counts["churned"],
                "returned": counts["returned"],
                "erased": counts["erased"],
                "pending": self.pending,
            },
            "highest_share_of_changes": _figures(self._highest.highest),
            "watermark": _instant(watermark),
            "event_time": {"from": _instant(reading.first), "to": _instant(reading.last)},
            "hashes": {
                "profiles": self.profiles.hex(),
                "outputs": self.outputs.hex(),
                "model": None if final is None else model_hash(final),
            },
        }


def _figures(highest: Trip | None) -> dict[str, Any] | None:
    """The minute that came nearest to having its outputs held, had all of it been one partition."""
    if highest is None:
        return None
    return {
        "minute": format_instant(highest.minute_ms),
        "users": highest.users,
        "changed": highest.changed,
        "share": round(highest.share, 6),
    }


def _instant(ms: int) -> str | None:
    return None if ms == NO_TIME else format_instant(ms)
