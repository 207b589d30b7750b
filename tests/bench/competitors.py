"""The same job on Ebbtide and, written plainly as their users would, on stock Faust, Quix Streams and Bytewax.

*The same*: one log on one Apache Kafka, eight partitions; decoding, cleaning, engine and messages are Ebbtide's own
functions, called by all; the models to score with are those of a backfill of the log; all outputs are sent. What each
rival said is held against that backfill, id by id, and what it keeps in its changelog user by user.

*Not the same*, and each time to the rival's advantage: rivals read the log as one topic in order of event time, as none
of them but Quix aligns topics; what Ebbtide does against redelivery, gaps and zombies nobody does for them. Quix and
Bytewax know a state by its key alone: they notice silence only at a user's next event, and so compute and send less.
Bytewax has no changelog: its state is gone with the process (recovery, off here, would bring back the last snapshot).
Stock Faust gets the first part of the log only (:func:`tests.bench.rivals.course.faust_share`), in which there is less
to score yet.

A rival's CPU is counted from before its first event until all is flushed and committed, and the process about to leave;
Ebbtide's from when it is ready until the effects of its last record are acknowledged (:mod:`tests.bench.live_run`).
``steady_cpu_us`` is that of the second half of the events. ``outputs_per_event`` counts everything sent: portraits and
examples too, and Ebbtide's marks. Ebbtide scores with what its trainer, a process beside it, has learned so far, so its
own outputs are counted, not compared id by id: that replay and backfill agree to the byte is what other tests show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from streams.codec import decode
from streams.topics import USER_PROFILES
from tests.bench.benchmark import Asked, Skipped
from tests.bench.live_processes import confined, running_broker
from tests.bench.live_run import Cores, apply_log, as_run, fresh_settings
from tests.bench.measuring import BenchmarkFailed, Result, Run, cores, interleaved
from tests.bench.published_logs import Generated
from tests.bench.reference_logs import W1
from tests.bench.rivals import events_topic
from tests.bench.rivals.course import FAUST, NAMES, PARTITIONS, Lap, Track, commands, faust_share, laid, lap
from tests.bench.rivals.expected import Expected, difference, difference_of_state, expect
from tests.bench.rivals.portrait_job import OUTPUTS
from tests.support.brokers import kafka_is_missing

ABOUT: Final = "the whole job on Ebbtide, stock Faust, Quix Streams and Bytewax: same log, arithmetic, outputs"
CHANGELOGS: Final[Mapping[str, Callable[[Lap], str]]] = {
    FAUST: lambda lap: f"{lap.assignment.group}-profiles-changelog",
    "quix": lambda lap: f"changelog__{lap.assignment.group}--{lap.assignment.source}--default",
}
RIVALS: Final = (FAUST, "quix", "bytewax")


def measure(asked: Asked) -> Iterator[Result]:
    """Ebbtide first, then every rival that can be installed here."""
    if missing := kafka_is_missing():
        raise Skipped(missing)
    events, repeats = asked.events_of(200_000, short=40_000), asked.repeats_of(3)
    log = W1.scaled(events)
    file = asked.file_of(log)
    tested, beside = cores()
    programs = commands(RIVALS, asked.heard)
    with ExitStack() as stack:
        asked.heard("competitors: starting Apache Kafka")
        brokers = stack.enter_context(running_broker("kafka", asked.scratch, beside))
        stack.enter_context(confined({beside}))

        def ebbtide() -> Run:
            settings = fresh_settings(brokers, asked.scratch, partitions=PARTITIONS)
            return as_run(apply_log(Generated(log), settings, Cores((tested,), beside), asked.scratch))

        candidates: dict[str, Callable[[], Run]] = {"Ebbtide": ebbtide}
        tracks: dict[int, tuple[Track, Expected, Path]] = {}
        for rival, command in programs.items():
            given = faust_share(events) if rival == FAUST else events
            if given not in tracks:
                tracks[given] = prepared(brokers, file, given, asked)
            candidates[NAMES[rival]] = runner(rival, command, *tracks[given], core=tested, scratch=asked.scratch)
        yield from interleaved("competitors", log.id, candidates, repeats, asked.heard)


def prepared(brokers: str, file: Path, events: int, asked: Asked) -> tuple[Track, Expected, Path]:
    """Put so much of a log where rivals read it, and backfill it."""
    asked.heard(f"competitors: publishing and backfilling {events:,} events for the rivals")
    track = laid(brokers, file, events)
    expected = expect(track.lines(), asked.scratch)
    cuts = asked.scratch / f"cuts-{events}.jsonl"
    expected.write_cuts(cuts)
    return track, expected, cuts


def runner(
    rival: str, command: Sequence[str], track: Track, expected: Expected, cuts: Path, *, core: int, scratch: Path
) -> Callable[[], Run]:
    """What makes one checked run of a rival."""

    def run() -> Run:
        done = lap(rival, command, "portrait", track, outputs=OUTPUTS, core=core, scratch=scratch, cuts=cuts)
        written = list(done.written(OUTPUTS))
        # When a portrait is sent depends on the clock on the wall, so its id is no function of the log.
        portraits = done.assignment.prefix + USER_PROFILES
        check(rival, done, [_id(record) for record in written if record.topic != portraits], expected)
        more = done.run.more | {"outputs_per_event": len(written) / track.events}
        return replace(done.run, more=more)

    return run


def check(rival: str, done: Lap, ids: Sequence[str], expected: Expected) -> None:
    """Hold what a rival said and stored against the backfill: a broken run must not be told as fast."""
    wrong = difference(expected, ids, PARTITIONS if rival == FAUST else None)
    if wrong is None and rival in CHANGELOGS:
        changelog = events_topic.read(done.assignment.brokers, [CHANGELOGS[rival](done)])
        last = {record.key.split(b"|")[0].decode(): record.value for record in changelog}
        wrong = difference_of_state(expected, {user_id: value for user_id, value in last.items() if value is not None})
    if wrong is not None:
        raise BenchmarkFailed(f"{NAMES[rival]}: {wrong}")


def _id(record: object) -> str:
    headers = dict(record.headers)  # type: ignore[attr-defined]
    if "ce_id" in headers:
        return str(headers["ce_id"].decode())
    return str(decode(record.value)["id"])  # type: ignore[attr-defined]
