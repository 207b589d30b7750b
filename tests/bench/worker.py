"""``ebbtide worker`` as its users start it, on one core, catching up with a log that lies in Kafka.

How: :mod:`tests.bench.live_run`. ``engine_us`` and its like are what the worker says of its own stages in its metrics:
seconds of wall time, in which other partitions may have had their turn. CPU is the process's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

from tests.bench.benchmark import Asked, Skipped
from tests.bench.live_processes import confined, running_broker
from tests.bench.live_run import Cores, apply_log, as_run, fresh_settings
from tests.bench.measuring import Result, Run, cores, interleaved
from tests.bench.published_logs import FromFile, Generated, Log
from tests.bench.reference_logs import W1, W3
from tests.support.brokers import kafka_is_missing
from tests.support.shared_logs import FOLDER

ABOUT: Final = "a live worker on Apache Kafka and on the embedded broker: events/s, CPU, memory, stages"
W2: Final = FOLDER / "complete_journey_dev.parquet"


def measure(asked: Asked) -> Iterator[Result]:
    """w1 on both brokers and under both clocks; w3 and w2 on Apache Kafka."""
    if missing := kafka_is_missing():
        raise Skipped(missing)
    events, repeats = asked.events_of(150_000, short=40_000), asked.repeats_of(3)
    tested, beside = cores()
    where = Cores((tested,), beside)
    with ExitStack() as stack:
        asked.heard("worker: starting Apache Kafka")
        kafka = stack.enter_context(running_broker("kafka", asked.scratch, beside))
        stack.enter_context(confined({beside}))

        def on_kafka(log: Log, clock: str = "wall") -> Callable[[], Run]:
            return lambda: as_run(
                apply_log(log, fresh_settings(kafka, asked.scratch), where, asked.scratch, clock=clock)
            )

        def embedded(log: Log) -> Callable[[], Run]:
            def run() -> Run:
                # It keeps topics in memory, so each run has one of its own.
                with running_broker("embedded", asked.scratch, beside) as broker:
                    return as_run(apply_log(log, fresh_settings(broker, asked.scratch), where, asked.scratch))

            return run

        w1 = Generated(W1.scaled(events))
        candidates = {"Apache Kafka": on_kafka(w1)}
        if not asked.short:
            candidates["embedded broker"] = embedded(w1)
        yield from interleaved("worker", w1.id, candidates, repeats, asked.heard)
        if asked.short:
            return
        by_log = {"Apache Kafka, --clock log": on_kafka(w1, "log")}
        yield from interleaved("worker", w1.id, by_log, 1, asked.heard)
        w3 = Generated(W3.scaled(events))
        yield from interleaved("worker", w3.id, {"Apache Kafka": on_kafka(w3)}, 1, asked.heard)
        if not W2.exists():
            asked.heard("worker: w2 is left out, as the real logs are not here")
            return
        w2 = FromFile("w2" if asked.full else f"w2-{events}", W2, None if asked.full else events)
        yield from interleaved("worker", w2.id, {"Apache Kafka": on_kafka(w2)}, 1, asked.heard)
