"""The closing table: faults, seconds to recover, the long outage, exits with their reasons. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.processes import Exit
from tests.chaos.recovery import Felt
from tests.chaos.watching import Sight

MOST_WORDS = 160
READY_GRACE_S = 40.0
"""A worker may take this long to notice that the broker is away."""
FLAT_MB = 60.0
"""Memory that grows by no more than this over an outage is flat."""


@dataclass(frozen=True, slots=True)
class Outage:
    """How the workers bore the broker's long absence."""

    seconds: float
    ready_meanwhile: int
    """Looks at which a worker still said it was ready, after the grace."""
    looks: int
    growth_mb: float
    """Most that any process of before grew."""
    peak_mb: float
    same_processes: bool
    """Whether the very processes of before went on."""

    @property
    def told(self) -> str:
        """One line."""
        went_on = "the same processes went on" if self.same_processes else "processes were started again"
        return (
            f"broker away for {self.seconds:.0f} s: ready at {self.ready_meanwhile} of {self.looks} looks, memory "
            f"+{self.growth_mb:.0f} MB (highest {self.peak_mb:.0f} MB), {went_on}"
        )

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        found = []
        if self.ready_meanwhile:
            found.append(f"/readyz said ready {self.ready_meanwhile} times while the broker was away")
        if self.growth_mb > FLAT_MB:
            found.append(f"memory grew by {self.growth_mb:.0f} MB while the broker was away")
        return found


def outage(from_s: float, to_s: float, sights: Sequence[Sight], workers: Sequence[str]) -> Outage:
    """What was seen of the workers while the broker was away.

    Growth is that of a process that was there before; one that has just started grows as it should.
    """
    before = {sight.pid for sight in sights if sight.name in workers and from_s - 5.0 < sight.at_s < from_s}
    within = [sight for sight in sights if sight.name in workers and from_s + READY_GRACE_S <= sight.at_s < to_s]
    by_process: dict[int, list[float]] = {}
    for sight in within:
        by_process.setdefault(sight.pid, []).append(sight.rss_mb)
    return Outage(
        to_s - from_s,
        sum(sight.ready for sight in within),
        len(within),
        max((max(sizes) - sizes[0] for pid, sizes in by_process.items() if pid in before), default=0.0),
        max((sight.rss_mb for sight in within), default=0.0),
        before == set(by_process),
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a plain table; the first column to the left, the others to the right.

    >>> table(("fault", "n"), [("killed", "12")])
    ['fault    n', 'killed  12']
    """
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (heads, *rows)
    ]


def felt_table(felt: Mapping[str, Felt]) -> list[str]:
    """Faults by kind, with the seconds to recover; overtaken ones were still felt when the next fault came."""
    rows = [
        (name, str(one.faults), _seconds(one.median_s), _seconds(one.worst_s), str(one.overtaken or "-"))
        for name, one in felt.items()
    ]
    return table(("fault", "times", "recovered: median", "worst", "overtaken"), rows)


def exits_table(exits: Sequence[Exit]) -> list[str]:
    """Exits by what had been done to the process, code and reason."""
    counted = Counter((one.asked or "nothing", one.code, generalised(one.reason)) for one in exits)
    rows = [(f"{count:3d} x {asked}: code {code}", reason) for (asked, code, reason), count in counted.most_common()]
    return [f"  {head:32s} {reason}".rstrip() for head, reason in rows]


def generalised(reason: str) -> str:
    """A reason without what differs from one time to the next: the time, numbers, paths.

    >>> generalised("2026-01-02 03:04:05,678 CRITICAL streams.live.exits: Offset 12 is gone in /tmp/x/y.")
    'Offset N is gone in PATH'
    """
    reason = re.sub(r"^\S+ \S+ (CRITICAL|ERROR) +\S+: ", "", reason)
    reason = re.sub(r"(?<![\w.])/[\w./@+-]+", "PATH", reason)
    reason = re.sub(r"\d+(\.\d+)*(:\d+)?", "N", reason)
    return reason if len(reason) <= MOST_WORDS else f"{reason[: MOST_WORDS - 1]}…"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
