"""A job so small that what remains is the framework: a count and a sum per user, told with every tenth event.

Ebbtide's live shell runs it with an engine that only adds up (:mod:`tests.bench.rivals.ebbtide_totals`), and does all
else that it does live: three inputs decoded, cleaned and aligned, outputs with CloudEvents headers and their acks,
changelog with fence, local store, applied offsets, metrics. Rivals decode one JSON topic, keep a state in RocksDB with
a changelog (Bytewax: in memory, without), and send the tenth event's message; settings are as they are shipped, the
store's write cache of Kafka Streams is on. Every user's last message is held against a plain recount.

How often a user's state goes into the changelog is each framework's own: stock Faust writes it with every event,
Ebbtide once a slice, Quix once a checkpoint (5 s), Kafka Streams when its cache overflows or commits (30 s).

CPU is counted from before the first event until all is flushed and committed, and the process about to leave.
``steady_cpu_us`` is that of the second half of the events: what is left once Java has compiled what is hot, but also
without what is flushed at the end. Stock Faust gets the first part of the log only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from streams.codec import decode
from streams.topics import SEGMENT_CHANGES, topic_name
from tests.bench.benchmark import Asked, Skipped
from tests.bench.live_processes import confined, running_broker
from tests.bench.live_run import fresh_settings
from tests.bench.measuring import BenchmarkFailed, Result, Run, cores, interleaved
from tests.bench.published_logs import Generated, publish_log
from tests.bench.reference_logs import W1, ReferenceLog
from tests.bench.rivals import events_topic, totals_job
from tests.bench.rivals.assignment import Assignment
from tests.bench.rivals.course import (
    EACH_WITHIN_S,
    EVENT_WITHIN_S,
    FAUST,
    KAFKA_STREAMS,
    NAMES,
    PARTITIONS,
    Track,
    commands,
    faust_share,
    laid,
    lap,
)
from tests.bench.rivals.race import race
from tests.support.brokers import kafka_is_missing

ABOUT: Final = "a count and a sum per user on Ebbtide's shell, Faust, Quix Streams, Bytewax and Kafka Streams"
RIVALS: Final = (FAUST, "quix", "bytewax", KAFKA_STREAMS)
Last = Mapping[str, tuple[int, int]]
"""By user, count and cents as last told."""


def measure(asked: Asked) -> Iterator[Result]:
    """Ebbtide's shell first, then every rival that can be installed here."""
    if missing := kafka_is_missing():
        raise Skipped(missing)
    events, repeats = asked.events_of(600_000, short=40_000), asked.repeats_of(3)
    log = W1.scaled(events)
    file = asked.file_of(log)
    tested, beside = cores()
    programs = commands(RIVALS, asked.heard)
    with ExitStack() as stack:
        asked.heard("shell: starting Apache Kafka")
        brokers = stack.enter_context(running_broker("kafka", asked.scratch, beside))
        stack.enter_context(confined({beside}))
        whole = recounted(Track(brokers, "", file, events).lines())
        candidates = {"Ebbtide's shell": ebbtide(brokers, log, whole, core=tested, scratch=asked.scratch)}
        tracks: dict[int, tuple[Track, Last]] = {}
        for rival, command in programs.items():
            given = faust_share(events) if rival == FAUST else events
            if given not in tracks:
                asked.heard(f"shell: publishing {given:,} events for the rivals")
                track = laid(brokers, file, given)
                tracks[given] = track, recounted(track.lines())
            candidates[NAMES[rival]] = runner(rival, command, *tracks[given], core=tested, scratch=asked.scratch)
        yield from interleaved("shell", log.id, candidates, repeats, asked.heard)


def ebbtide(brokers: str, log: ReferenceLog, wanted: Last, *, core: int, scratch: Path) -> Callable[[], Run]:
    """What makes one checked run of Ebbtide's shell; each has inputs of its own, as the changelog is beside them."""

    def run() -> Run:
        settings = fresh_settings(brokers, scratch, partitions=PARTITIONS)
        publish_log(Generated(log), settings)
        assignment = Assignment(
            job="totals",
            brokers=brokers,
            source="",
            prefix=settings.topic_prefix,
            group=settings.group_id,
            partitions=PARTITIONS,
            total=log.events,
            state=str(settings.state_dir),
            cuts="",
            marks=str(scratch / f"{settings.group_id}.marks"),
        )
        command = [sys.executable, "-m", "tests.bench.rivals.ebbtide_totals"]
        within_s = EACH_WITHIN_S + log.events * EVENT_WITHIN_S
        done = race(command, assignment, core, scratch / f"{settings.group_id}.log", within_s=within_s)
        said = events_topic.read(brokers, [topic_name(SEGMENT_CHANGES, settings)])
        check("Ebbtide's shell", last_told(record.value for record in said), wanted, in_order=False)
        return done

    return run


def runner(
    rival: str, command: Sequence[str], track: Track, wanted: Last, *, core: int, scratch: Path
) -> Callable[[], Run]:
    """What makes one checked run of a rival."""

    def run() -> Run:
        done = lap(rival, command, "totals", track, outputs=[totals_job.TOPIC], core=core, scratch=scratch)
        check(NAMES[rival], last_told(record.value for record in done.written([totals_job.TOPIC])), wanted)
        return done.run

    return run


def recounted(lines: Iterable[bytes]) -> dict[str, tuple[int, int]]:
    """By user, what must have been told last.

    >>> recounted([b'{"user_id": "ann"}'] * 19)
    {'ann': (10, 0)}
    """
    totals: dict[str, tuple[int, int]] = {}
    last: dict[str, tuple[int, int]] = {}
    for line in lines:
        event = decode(line)
        user_id = event["user_id"]
        count, cents = totals.get(user_id, (0, 0))
        totals[user_id] = count + 1, cents + totals_job.cents_of(event)
        if totals_job.told(user_id, *totals[user_id]) is not None:
            last[user_id] = totals[user_id]
    return last


def last_told(messages: Iterable[bytes]) -> dict[str, tuple[int, int]]:
    """By user, the message with the highest count."""
    last: dict[str, tuple[int, int]] = {}
    for message in messages:
        body = decode(message)
        told = body["count"], body["cents"]
        last[body["user_id"]] = max(told, last.get(body["user_id"], told))
    return last


def check(name: str, found: Last, wanted: Last, *, in_order: bool = True) -> None:
    """Hold what was told against the recount; where topics are merged, equal counts may come with other events in."""
    figures = 2 if in_order else 1
    wrong = [user_id for user_id in wanted if found.get(user_id, ())[:figures] != wanted[user_id][:figures]]
    if wrong or len(found) != len(wanted):
        raise BenchmarkFailed(f"{name} told {len(found)} users of {len(wanted)}, {len(wrong)} of them wrongly")
