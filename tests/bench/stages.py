"""The job of a worker on one partition, stage by stage, with the trainer beside it and without Kafka, network and disk.

Nothing is left out that a worker does to a record between fetching and sending: it is decoded, cleaned and applied;
changed profiles are encoded once a slice, as the changelog takes them; decisions, examples and portraits become JSON.
Records come in order of arrival with their offsets, profiles beyond the cache are decoded from what was stored, and
the run stops at every cut boundary for the trainer, as ``--clock log`` does, so weekly scores are served by real cuts.

Python's collector is set as in a worker. The clock is read between stages, a few times a slice: what that costs is lost
in what it measures.

    python -m tests.bench.stages LOG.jsonl
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.codec import encode, parse
from streams.core.alignment import boundaries, cut_day
from streams.core.cleaning import clean, cleaning_policy
from streams.core.engine import GRACE_MS, PartitionEngine
from streams.core.events import DAY_MS, HOUR_MS, INPUT_TOPICS, Event, Kind, Position
from streams.core.messages import example_body, mark_body
from streams.core.ports import Step
from streams.core.state import NO_TIME
from streams.core.tally import Counts, Tally, add
from streams.core.usual_records import UsualRecords
from streams.garbage import collect_seldom
from streams.model_records import SCHEMAS, TOPIC_OF, new_cuts, new_trainer
from streams.policies.reader import read_policy
from streams.raw_records import unnamed
from streams.topics import MODEL_CUTS

SLICE: Final = 4_096
CACHE_PROFILES: Final = 200_000
"""The default of a worker's ``cache_profiles``."""
HORIZON_DAYS: Final = 30
PUBLISHED_MS: Final = 1_900_000_000_000
WRITER: Final = 1
OF_A_WORKER: Final = ("decode", "clean", "engine", "profiles", "outputs", "portraits")
"""Stages in their order; ``trainer`` is a process of its own."""
_KINDS: Final = {b'{"event_type":"click",': 0, b'{"event_type":"search",': 1, b'{"event_type":"purchase",': 2}

Arrived = tuple[int, bytes]
"""Which input a record came in by, and its value."""


class StageClock:
    """Adds up what each stage takes: the time since the clock was last read goes to the stage that ends.

    Parameters
    ----------
    now
        A clock in seconds; that of the process' CPU unless told otherwise.

    Examples
    --------
    >>> instants = iter([0.0, 1.0, 5.0, 7.0])
    >>> clock = StageClock(lambda: next(instants))
    >>> clock.ended("decode"); clock.begin(); clock.ended("clean"); dict(clock.seconds)
    {'decode': 1.0, 'clean': 2.0}
    """

    def __init__(self, now: Callable[[], float] = time.process_time) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._now = now
        self._last = now()

    def begin(self) -> None:
        """What came before belongs to no stage."""
        self._last = self._now()

    def ended(self, stage: str) -> None:
        """What came before belongs to this stage."""
        now = self._now()
        self.seconds[stage] += now - self._last
        self._last = now


@dataclass(slots=True)
class Made:
    """How much came out, in records and bytes; profiles as often as they were encoded."""

    counts: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, lines: Sequence[bytes]) -> None:
        """Count what was encoded."""
        self.counts[what] += len(lines)
        self.sizes[what] += sum(map(len, lines))


class Stages:
    """One run; see the module.

    Parameters
    ----------
    clock
        Told when each stage ends.
    cache_profiles
        Decoded profiles to keep; None for all.
    """

    def __init__(self, clock: StageClock, cache_profiles: int | None = CACHE_PROFILES) -> None:
        policy = read_policy(None)
        self.clock = clock
        self.made = Made()
        self.store: dict[str, bytes] = {}
        """What a worker's local store would hold."""
        self.cuts = new_cuts(HORIZON_DAYS)
        self.engine = PartitionEngine(
            policy, self.store, horizon_days=HORIZON_DAYS, mode="replay", cache_profiles=cache_profiles
        )
        self._cleaning = cleaning_policy(policy)
        usual = UsualRecords(self._cleaning)
        self._usual = [usual.of(kind) for kind in Kind]
        self._names = [unnamed(topic, 0) for topic in INPUT_TOPICS]
        self._trainer = new_trainer(1, HORIZON_DAYS)
        self._offsets = [0] * len(INPUT_TOPICS)
        self._tally: Counts = {}
        self._exchanged = 0
        self._stop_at = NO_TIME
        self._portraits: dict[str, None] = {}

    def run(self, records: Iterable[Arrived]) -> None:
        """Everything from records to portraits."""
        remaining = iter(records)
        while taken := list(islice(remaining, SLICE)):
            self.slice(taken)
        self.finish()

    def slice(self, taken: Sequence[Arrived]) -> None:
        """Take one slice of records through all stages."""
        clock = self.clock
        clock.begin()
        raws = [parse(value) for _, value in taken]
        clock.ended("decode")
        events = [self._cleaned(raw, kind) for (kind, _), raw in zip(taken, raws, strict=True)]
        clock.ended("clean")
        batch: list[Event] = []
        for event in events:
            if event.ts >= self._stop_at:
                self._process(batch)
                batch = []
                self._go_to(event.ts)
            batch.append(event)
        self._process(batch)

    def finish(self) -> None:
        """The log ends: everybody's portrait goes out once, as after a minute of live throttle."""
        clock, engine = self.clock, self.engine
        clock.begin()
        self._take(engine.advance(engine.newest, self.cuts, watermark=max(engine.watermark, 0)))
        outputs = map(engine.portrait, self._portraits)
        self.made.add("portraits", [encode(output.body) for output in outputs if output is not None])
        clock.ended("portraits")

    def _cleaned(self, raw: Any, kind: int) -> Event:
        """As a worker does: the straight way where it leads, else what cleaning says."""
        offset = self._offsets[kind]
        self._offsets[kind] = offset + 1
        name = None if "event_id" in raw else self._names[kind] + str(offset)
        if (event := self._usual[kind](raw, 0, offset, name, PUBLISHED_MS)) is not None:
            return event
        found = clean(
            raw,
            kind,
            position=Position(INPUT_TOPICS[kind], 0, offset),
            record_id=f"{self._names[kind]}{offset}",
            published_ms=PUBLISHED_MS,
            policy=self._cleaning,
        )
        if not isinstance(found, Event):
            raise AssertionError(f"a reference log has no rejects: {found}")
        return found

    def _process(self, batch: list[Event]) -> None:
        if batch:
            self._take(self.engine.process(batch, self.cuts))

    def _go_to(self, ts: int) -> None:
        """Stop at every cut boundary before an instant: labels are released, learned, and cut."""
        for boundary in boundaries(self.engine.watermark, ts, GRACE_MS):
            watermark = boundary - 1 - GRACE_MS
            self._take(self.engine.advance(boundary - 1, self.cuts, watermark=watermark))
            mark = mark_body(0, 1, watermark, drained=False, clock="log", until=None, tally=Tally(counts=self._tally))
            for record in self._trainer.mark(mark, self._next(), 0):
                if TOPIC_OF[record["type"]] == MODEL_CUTS:
                    self.cuts.add(record, own=True)
            self.clock.ended("trainer")
        self._stop_at = cut_day(ts) + HOUR_MS + DAY_MS

    def _take(self, step: Step) -> None:
        clock, engine, store = self.clock, self.engine, self.store
        clock.ended("engine")
        encoded = []
        for user_id in step.changed:
            value = engine.encoded(user_id, WRITER)
            if value is None:
                store.pop(user_id, None)
            else:
                store[user_id] = value
                encoded.append(value)
        self.made.add("profiles", encoded)
        clock.ended("profiles")
        self._portraits.update(step.portraits)
        self.made.add("outputs", [encode(output.body) for output in step.outputs])
        bodies = [example_body(example, 0, SCHEMAS[example.head]) for example in step.examples]
        self.made.add("examples", [encode(body) for body in bodies])
        clock.ended("outputs")
        for counts in step.facts.tallies.values():
            add(self._tally, counts)
        for body in bodies:
            for record in self._trainer.example(body, self._next()):
                raise AssertionError(f"a trainer that owns all partitions cuts at marks only: {record}")
        clock.ended("trainer")

    @property
    def events(self) -> int:
        """Records taken."""
        return sum(self._offsets)

    def _next(self) -> int:
        self._exchanged += 1
        return self._exchanged - 1


def arrivals(path: Path) -> Iterator[Arrived]:
    """The records of a file of JSON lines whose first field is ``event_type``: that is the topic's, not the value's."""
    with path.open("rb") as lines:
        yield from map(arrived, lines)


def arrived(line: bytes) -> Arrived:
    """One such line as a record.

    >>> arrived(b'{"event_type":"search","user_id":"ann"}\\n')
    (1, b'{"user_id":"ann"}')
    """
    named = line.index(b",") + 1
    return _KINDS[line[:named]], b"{" + line[named:-1]


def main() -> None:
    """Run the stages over a file and print what each took, JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--store", type=Path, help="leave the stored profiles there, a MessagePack map")
    asked = parser.parse_args()
    collect_seldom()
    stages = Stages(StageClock())
    stages.run(arrivals(asked.log))
    if asked.store:
        asked.store.write_bytes(msgspec.msgpack.encode(stages.store))
    print(
        json.dumps(
            {
                "events": stages.events,
                "seconds": stages.clock.seconds,
                "users": len(stages.store),
                "stored_bytes": sum(map(len, stages.store.values())),
                "counts": stages.made.counts,
                "bytes": stages.made.sizes,
            }
        )
    )


if __name__ == "__main__":
    main()
