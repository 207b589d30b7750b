"""Latency under a load that does not wait for answers, and what was seen of it: pure.

*Coordinated omission* (Gil Tene, "How NOT to Measure Latency"; the reason for wrk2 and for HdrHistogram's corrected
recording): a loader that waits for a slow system before it sends the next record leaves out just those records that
would have had to wait. So the times of sending are fixed beforehand (an open loop), and each latency counts from the
instant at which its record *should* have been sent, whatever kept it: loader, client's buffer, broker or worker.
Percentiles are exact, of all samples; there is no histogram between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Schedule:
    """When records are to be sent: so many, evenly spaced, the first at once.

    Parameters
    ----------
    rate
        Records a second.
    count
        How many in all.

    Examples
    --------
    >>> plan = Schedule(rate=4.0, count=3)
    >>> [plan.due_s(number) for number in range(3)], plan.due_by(0.3), plan.due_by(9.0)
    ([0.0, 0.25, 0.5], 2, 3)
    """

    rate: float
    count: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.count / self.rate

    def due_s(self, number: int) -> float:
        """When a record is to be sent, in seconds from the begin."""
        return number / self.rate

    def due_by(self, passed_s: float) -> int:
        """How many should have been sent so many seconds after the begin."""
        return 0 if passed_s < 0 else min(self.count, int(passed_s * self.rate) + 1)


class Sighting(NamedTuple):
    """An output as a consumer got it."""

    output_id: str
    cause: str
    """What names the event that made it."""
    at_s: float
    """When the consumer had it."""


def latencies_ms(intended_s: Mapping[str, float], seen: Iterable[Sighting]) -> list[float]:
    """Of each output that an event of ours made, how long after the instant at which that event should have been sent.

    Outputs may be repeated, with the same id: the first copy counts. What other events or silence made is passed over.

    Examples
    --------
    >>> seen = [Sighting("o1", "e1", 10.2), Sighting("o1", "e1", 10.9), Sighting("o2", "an older event", 10.3)]
    >>> [round(ms) for ms in latencies_ms({"e1": 10.0}, seen)]
    [200]
    """
    first: dict[str, float] = {}
    for output_id, cause, at_s in seen:
        began_s = intended_s.get(cause)
        if began_s is not None:
            first[output_id] = min(at_s - began_s, first.get(output_id, at_s - began_s))
    return [seconds * 1_000.0 for seconds in first.values()]


def unanswered(expected: Iterable[str], seen: Iterable[Sighting]) -> set[str]:
    """Events that must have an output and have none."""
    return set(expected) - {sighting.cause for sighting in seen}


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of all values does not exceed (nearest rank).

    Examples
    --------
    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([4.0, 1.0, 3.0, 2.0], 0.99)
    (2.0, 4.0)
    """
    if not values:
        raise ValueError("of no values there is no percentile")
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]
