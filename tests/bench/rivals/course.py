"""The course on which rivals run: one Kafka, one log, as many partitions; each into topics and a state of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tests.bench.benchmark import Skipped
from tests.bench.measuring import Run
from tests.bench.rivals import events_topic
from tests.bench.rivals.assignment import Assignment, Job
from tests.bench.rivals.kafka_streams_build import kafka_streams_command
from tests.bench.rivals.race import race
from tests.bench.rivals.venvs import python_of

PARTITIONS: Final = 8
"""As Ebbtide's default."""
EACH_WITHIN_S: Final = 120.0
EVENT_WITHIN_S: Final = 0.01
FAUST: Final = "faust"
KAFKA_STREAMS: Final = "kafka_streams"
NAMES: Final = {
    FAUST: "Faust, stock",
    "quix": "Quix Streams",
    "bytewax": "Bytewax, no changelog",
    KAFKA_STREAMS: "Kafka Streams, Java",
}
"""Rivals as results call them."""
_numbers = itertools.count()


def faust_share(events: int) -> int:
    """How many of the events stock Faust is given: enough to tell what one costs it.

    >>> faust_share(5_000), faust_share(50_000), faust_share(2_000_000)
    (5000, 10000, 60000)
    """
    return min(events, max(10_000, min(events // 5, 60_000)))


def commands(rivals: Sequence[str], heard: Callable[[str], None]) -> dict[str, list[str]]:
    """What runs each rival that can be installed here; an assignment's path follows."""
    found: dict[str, list[str]] = {}
    for rival in rivals:
        try:
            if rival == KAFKA_STREAMS:
                found[rival] = kafka_streams_command(heard)
            else:
                found[rival] = [str(python_of(rival, heard)), "-m", f"tests.bench.rivals.{rival}_app"]
        except Skipped as why:
            heard(f"{NAMES[rival]} is left out: {why}")
    return found


@dataclass(frozen=True, slots=True)
class Track:
    """The first events of a log, in a topic that any number of rivals may read."""

    brokers: str
    topic: str
    log: Path
    """The whole log, as JSON lines."""
    events: int

    def lines(self) -> Iterator[bytes]:
        """The events."""
        with self.log.open("rb") as lines:
            yield from islice(lines, self.events)


def laid(brokers: str, log: Path, events: int) -> Track:
    """Put the first events of a log into a new topic."""
    track = Track(brokers, f"events-{os.getpid()}-{next(_numbers)}", log, events)
    events_topic.fill(brokers, track.topic, PARTITIONS, track.lines())
    return track


@dataclass(frozen=True, slots=True)
class Lap:
    """One run: what was assigned, what it took."""

    assignment: Assignment
    run: Run

    def written(self, topics: Sequence[str]) -> Iterator[Any]:
        """The records it wrote to some of its topics."""
        prefix = self.assignment.prefix
        return events_topic.read(self.assignment.brokers, [prefix + topic for topic in topics])


def lap(
    rival: str,
    command: Sequence[str],
    job: Job,
    track: Track,
    *,
    outputs: Sequence[str],
    core: int,
    scratch: Path,
    cuts: Path | None = None,
) -> Lap:
    """One run of one rival over a track, into new topics, from an empty state."""
    name = f"{rival}-{os.getpid()}-{next(_numbers)}"
    assignment = Assignment(
        job=job,
        brokers=track.brokers,
        source=track.topic,
        prefix=f"{name}.",
        group=name,
        partitions=PARTITIONS,
        total=track.events,
        state=str(scratch / f"{name}-state"),
        cuts=str(cuts or ""),
        marks=str(scratch / f"{name}.marks"),
    )
    events_topic.create(track.brokers, [assignment.prefix + topic for topic in outputs], PARTITIONS)
    within_s = EACH_WITHIN_S + track.events * EVENT_WITHIN_S
    return Lap(assignment, race(command, assignment, core, scratch / f"{name}.log", within_s=within_s))
