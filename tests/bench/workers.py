"""One worker and two on the same log, each on a core of its own.

*Rate*: events a second while all workers are busy, from the first look at which each has applied something to the last
at which each has something left; where there are too few looks between, over the whole run. ``applied_per_s`` is the
whole log over the time until its last record: with as many partitions as here, the busiest worker decides it
(``busiest_share`` of the log, 0.5 were even), since users of a Zipf law do not fall evenly on partitions.

On a machine of two cores the second worker shares its core with Kafka, the trainer and the benchmark: then the ratio
says what this machine can do (``cores``), and not how workers scale.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tests.bench.benchmark import Asked, Skipped
from tests.bench.live_processes import confined, running_broker
from tests.bench.live_run import Applied, Cores, apply_log, as_run, fresh_settings
from tests.bench.measuring import Result, Run, cores, interleaved
from tests.bench.published_logs import Generated
from tests.bench.reference_logs import W1
from tests.support.brokers import kafka_is_missing

ABOUT: Final = "one worker and two on the same log, and what the second adds"


def measure(asked: Asked) -> Iterator[Result]:
    """The same log, first with one worker, then with two."""
    if missing := kafka_is_missing():
        raise Skipped(missing)
    tested, beside = cores()
    if tested == beside:
        raise Skipped("two workers need two cores")
    allowed = os.sched_getaffinity(0)
    second = second_core(allowed, tested, beside)
    log = Generated(W1.scaled(asked.events_of(300_000, short=80_000)))
    with running_broker("kafka", asked.scratch, beside) as kafka, confined({beside}):

        def run(where: Cores) -> Run:
            return told(apply_log(log, fresh_settings(kafka, asked.scratch), where, asked.scratch), len(allowed))

        candidates = {
            "1 worker": lambda: run(Cores((tested,), beside)),
            "2 workers": lambda: run(Cores((tested, second), beside)),
        }
        yield from interleaved("workers", log.id, candidates, asked.repeats_of(1), asked.heard, compared="busy_per_s")


def second_core(allowed: Iterable[int], tested: int, beside: int) -> int:
    """A core of its own for the second worker, where there is one; else the one beside.

    >>> second_core({0, 1}, 0, 1), second_core({0, 1, 2, 3}, 0, 3)
    (1, 1)
    >>> second_core({0, 2, 5}, 0, 5)
    2
    """
    return min(set(allowed) - {tested, beside}, default=beside)


def told(applied: Applied, cores_here: int) -> Run:
    """The figures of a run, with what only several workers have."""
    run = as_run(applied)
    read = [sample.read for sample in applied.samples[-1]]
    more = {
        "busy_per_s": busy_rate([(row[0].at_s, [sample.read for sample in row]) for row in applied.samples]),
        "applied_per_s": run.per_second,
        "busiest_share": max(read) / sum(read),
        "start_s": run.more["start_s"],
        "cores": float(cores_here),
    }
    return Run(run.events, run.seconds, run.cpu_s, run.peak_mb, more)


def busy_rate(progress: Sequence[tuple[float, Sequence[int]]]) -> float:
    """Events a second of all workers together while all are busy, from (seconds, events so far of each).

    >>> busy_rate([(0.0, [0, 0]), (1.0, [10, 5]), (2.0, [20, 25]), (3.0, [30, 45]), (9.0, [90, 45])])
    30.0
    """
    first, last = progress[0][1], progress[-1][1]
    busy = [
        (at_s, sum(read))
        for at_s, read in progress
        if all(begin < now < end for begin, now, end in zip(first, read, last, strict=True))
    ]
    if len(busy) < 2:
        busy = [(progress[0][0], sum(first)), (progress[-1][0], sum(last))]
    return (busy[-1][1] - busy[0][1]) / (busy[-1][0] - busy[0][0])
