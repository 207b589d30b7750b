"""One clean start of the live shell: a log lies in the topics, worker and trainer start, all is applied and checked.

*Honest*: all that a deployment has is on (all outputs, changelog, local store, examples, marks, trainer, metrics). The
clock on the wall is what a live worker has, so it is what events/s are told for; the log is to it as an outage that it
catches up with, and it scores with the newest model there is. Under ``--clock log`` it stops at every midnight of the
log until the trainer has made that day's model: that measures a replay.

*Measured* is from the moment all workers are ready, their partitions taken, to the moment the last record is applied
and all of its effects are acknowledged. CPU is that of the workers' processes, fetching threads included.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kafka import KafkaConsumer, TopicPartition

from streams.core.events import INPUT_TOPICS
from streams.metrics.catalogue import EXAMPLES_SENT, HELD_OUTPUTS, OUTPUTS, TABLE_USERS
from streams.settings import Settings
from streams.topics import topic_name
from tests.bench.live_processes import Sample, Watched
from tests.bench.measuring import Run
from tests.bench.published_logs import Log, Published, publish_log

LOOK_EVERY_S: Final = (0.1, 1.0)
"""At least and at most: a look costs the worker 2 ms, and the end should not be missed by much."""
APPLIED_WITHIN_S: Final = 3_600.0
COMMITTED_WITHIN_S: Final = 60.0
STAGES: Final = ("align", "engine", "outputs", "changelog", "store")
_numbers = itertools.count()


def fresh_settings(brokers: str, folder: Path, *, partitions: int = 8) -> Settings:
    """Topics, a group and a state that nobody has used; everything else as shipped."""
    name = f"bench{os.getpid()}x{next(_numbers)}"
    return Settings(
        brokers=brokers,
        topic_prefix=f"{name}.",
        group_id=name,
        partitions=partitions,
        state_dir=folder / name,
        http_port=0,
    )


@dataclass(frozen=True, slots=True)
class Cores:
    """Where a live benchmark runs what."""

    workers: tuple[int, ...]
    """One for each worker."""
    beside: int
    """Broker, trainer, and the benchmark itself."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was seen of a run."""

    published: Published
    samples: tuple[tuple[Sample, ...], ...]
    """Per moment, of every worker; the first when all were ready, the last when all was applied."""
    start_s: float
    """From starting the processes to all of them ready."""
    peak_mb: float
    """Of all workers together."""
    trainer_cpu_s: float

    @property
    def seconds(self) -> float:
        """From ready to applied."""
        return max(sample.at_s for sample in self.samples[-1]) - min(sample.at_s for sample in self.samples[0])

    @property
    def cpu_s(self) -> float:
        """CPU of all workers meanwhile."""
        first, last = self.samples[0], self.samples[-1]
        return sum(end.cpu_s - begin.cpu_s for begin, end in zip(first, last, strict=True))

    @property
    def steady_per_s(self) -> float:
        """Events a second between a tenth and nine tenths of the log."""
        return steady_rate(
            [(max(one.at_s for one in row), sum(one.read for one in row)) for row in self.samples],
            self.published.records,
        )


def steady_rate(progress: Sequence[tuple[float, int]], total: int) -> float:
    """Events a second of the middle eight tenths, from (seconds, events so far); of all where there are too few looks.

    >>> steady_rate([(0.0, 0), (5.0, 10), (6.0, 50), (7.0, 90), (20.0, 100)], 100)
    40.0
    """
    middle = [(at_s, count) for at_s, count in progress if total <= 10 * count <= 9 * total]
    if len(middle) < 2 or middle[-1][1] == middle[0][1]:
        middle = [progress[0], progress[-1]]
    (began_s, before), (ended_s, after) = middle[0], middle[-1]
    return (after - before) / (ended_s - began_s)


@dataclass(frozen=True, slots=True)
class Installation:
    """What is running."""

    settings: Settings
    workers: tuple[Watched, ...]
    trainer: Watched | None

    def samples(self) -> tuple[Sample, ...]:
        """How every worker stands now."""
        return tuple(worker.sample() for worker in self.workers)

    def until_applied(self, records: int, within_s: float = APPLIED_WITHIN_S) -> list[tuple[Sample, ...]]:
        """Wait until so many records are applied in all; what was seen meanwhile."""
        samples = [self.samples()]
        until = time.monotonic() + within_s
        while sum(sample.read for sample in samples[-1]) < records:
            if time.monotonic() > until:
                words = "\n".join(worker.last_words() for worker in self.workers)
                raise AssertionError(f"{records} records are not applied after {within_s:g} s:\n{words}")
            time.sleep(pause_s([(row[0].at_s, sum(one.read for one in row)) for row in samples], records))
            samples.append(self.samples())
        return samples


def pause_s(progress: Sequence[tuple[float, int]], total: int) -> float:
    """How long to wait for the next look, from (seconds, events so far): half of what is left at the pace so far.

    >>> pause_s([(0.0, 0), (10.0, 90)], 100), pause_s([(0.0, 0), (10.0, 10)], 100), pause_s([(0.0, 0)], 100)
    (0.5555555555555556, 1.0, 0.1)
    """
    least_s, most_s = LOOK_EVERY_S
    (began_s, before), (now_s, done) = progress[0], progress[-1]
    if done == before:
        return least_s if now_s - began_s < most_s else most_s / 2
    return min(most_s, max(least_s, (now_s - began_s) * (total - done) / (done - before) / 2))


@contextmanager
def installation(
    settings: Settings, cores: Cores, folder: Path, *, clock: str = "wall", trainer: bool = True
) -> Iterator[Installation]:
    """A trainer and workers, started and ready."""
    with ExitStack() as stack:

        def started(arguments: Sequence[str], core: int, name: str) -> Watched:
            log = folder / f"{settings.group_id}-{name}.log"
            return stack.enter_context(Watched(arguments, settings, {core}, log))

        teacher = started(["trainer"], cores.beside, "trainer") if trainer else None
        if teacher is not None:
            teacher.wait_ready()
        workers = [started(["worker", "--clock", clock], core, f"worker{n}") for n, core in enumerate(cores.workers)]
        for worker in workers:
            worker.wait_ready()
        yield Installation(settings, tuple(workers), teacher)


def apply_log(
    log: Log, settings: Settings, cores: Cores, folder: Path, *, clock: str = "wall", trainer: bool = True
) -> Applied:
    """Publish, start, wait until all is applied, check, stop.

    Raises
    ------
    AssertionError
        A process ended, or what was applied is not what was published.
    """
    published = publish_log(log, settings)
    began = time.monotonic()
    with installation(settings, cores, folder, clock=clock, trainer=trainer) as live:
        start_s = time.monotonic() - began
        return catch_up(live, published, start_s)


def catch_up(live: Installation, published: Published, start_s: float = 0.0) -> Applied:
    """Wait until workers that are ready have applied what lies there, and check it."""
    taught_s = 0.0 if live.trainer is None else live.trainer.cpu_s()
    samples = live.until_applied(published.records)
    peak_mb = sum(worker.peak_mb() for worker in live.workers)
    taught_s = 0.0 if live.trainer is None else live.trainer.cpu_s() - taught_s
    live.workers[0].wait_for(
        lambda: committed(live.settings) == published.records, "has not committed all", COMMITTED_WITHIN_S
    )
    applied = Applied(published, tuple(samples), start_s, peak_mb, taught_s)
    check(published, samples[-1])
    return applied


def committed(settings: Settings) -> int:
    """Records that the group has committed as applied, of topics that begin at offset 0."""
    consumer = KafkaConsumer(bootstrap_servers=settings.brokers, group_id=settings.group_id, enable_auto_commit=False)
    try:
        return sum(
            consumer.committed(TopicPartition(topic_name(name, settings), partition)) or 0
            for name in INPUT_TOPICS
            for partition in range(settings.partitions)
        )
    finally:
        consumer.close()


def check(published: Published, last: Sequence[Sample]) -> None:
    """Hold what the workers say of the records against what was published: a broken run must not be told as fast."""
    outcomes = total_of(*(sample.outcomes() for sample in last))
    users = sum(sample.figures.total(TABLE_USERS) for sample in last)
    wanted = {"accepted": published.distinct, "duplicate": published.records - published.distinct}
    found = {name: outcomes.get(name, 0) for name in wanted}
    outputs = sum(sample.figures.total(OUTPUTS) for sample in last)
    wrong = [
        text
        for text, bad in (
            (f"{sum(sample.read for sample in last)} records read", sum(s.read for s in last) != published.records),
            (f"outcomes {outcomes}, not {wanted}", found != wanted or sum(outcomes.values()) != published.records),
            (f"{users:.0f} users of {len(published.users)}", users != len(published.users)),
            ("no outputs", not outputs),
            ("outputs were held", any(sample.figures.total(HELD_OUTPUTS) for sample in last)),
        )
        if bad
    ]
    if wrong:
        raise AssertionError(f"the run is broken: {'; '.join(wrong)}")


def total_of(*counts: dict[str, int]) -> dict[str, int]:
    """Sums by name."""
    return {name: sum(one.get(name, 0) for one in counts) for name in {name for one in counts for name in one}}


def as_run(applied: Applied) -> Run:
    """The figures of a run, all of its workers together."""
    first, last = applied.samples[0], applied.samples[-1]
    events = applied.published.records - sum(sample.read for sample in first)
    more = {
        "steady_per_s": applied.steady_per_s,
        "trainer_us": applied.trainer_cpu_s / events * 1e6,
        "start_s": applied.start_s,
        "outputs_per_event": sum(sample.figures.total(OUTPUTS) for sample in last) / applied.published.records,
        "examples_per_event": sum(one.figures.total(EXAMPLES_SENT) for one in last) / applied.published.records,
    }
    for stage in STAGES:
        spent_s = sum(
            end.stage_s.get(stage, 0.0) - begin.stage_s.get(stage, 0.0) for begin, end in zip(first, last, strict=True)
        )
        more[f"{stage}_us"] = spent_s / events * 1e6
    return Run(events, applied.seconds, applied.cpu_s, applied.peak_mb, more)
