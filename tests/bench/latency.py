"""From a producer's send to a consumer's receipt, on Apache Kafka, at a tenth, a half and nine tenths of capacity.

A worker first catches up with a history of users as they are in w1, which ends now: the rate at which it does is its
*capacity*. Then events of the same users happen live, at an even rate that waits for nobody, and another service's
consumer notes when it has each segment change, churn risk and propensity. Each output counts from the instant at which
the event that made it should have been sent: :mod:`tests.bench.open_loop` says why and how. The 5 ms that the producer
(librdkafka) lingers are part of it. Producer, consumer, trainer and Kafka share the core that the worker is not on:
where that core is full, latencies are too high, never too low. ``sent_late_p99_ms`` tells of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from streams.settings import Settings
from streams.topics import CHURN_RISK, PURCHASE_PROPENSITY, SEGMENT_CHANGES, topic_name
from tests.bench import live_load
from tests.bench.benchmark import Asked, Skipped
from tests.bench.live_processes import confined, running_broker
from tests.bench.live_run import Cores, Installation, as_run, catch_up, check, fresh_settings, installation
from tests.bench.measuring import BenchmarkFailed, Result, Run, cores
from tests.bench.open_loop import latencies_ms, percentile, unanswered
from tests.bench.output_watch import OutputWatch
from tests.bench.published_logs import Published, Recent, publish_log
from tests.bench.reference_logs import W1, ReferenceLog
from tests.support.brokers import kafka_is_missing

ABOUT: Final = "latency from send to output consumed, at 10, 50 and 90 % of capacity"
SHARES: Final = (0.1, 0.5, 0.9)
SECONDS: Final = 20.0
WARM_S: Final = 5.0
"""Events due in the first seconds of a load are sent and not counted: a new producer is no part of the worker."""
MOST_EVENTS: Final = 600_000
"""Of one load: it is made beforehand and held in memory."""
PLAN_S_PER_EVENT: Final = 50e-6
ANSWERED_WITHIN_S: Final = 120.0
WATCHED: Final = (SEGMENT_CHANGES, CHURN_RISK, PURCHASE_PROPENSITY)


def measure(asked: Asked) -> Iterator[Result]:
    """One worker, three loads one after the other."""
    if missing := kafka_is_missing():
        raise Skipped(missing)
    events, seconds = asked.events_of(200_000, short=40_000), WARM_S + (SECONDS / 2 if asked.short else SECONDS)
    tested, beside = cores()
    with running_broker("kafka", asked.scratch, beside) as kafka, confined({beside}):
        # Users of weeks ago all come back within seconds: what looks for broken feeds would hold that.
        settings = replace(fresh_settings(kafka, asked.scratch), hold_share=1.0)
        history = W1.scaled(events)
        asked.heard(f"latency: a history of {events:,} events")
        published = publish_log(Recent(history, int(time.time() * 1_000)), settings)
        with installation(settings, Cores((tested,), beside), asked.scratch) as live:
            capacity = as_run(catch_up(live, published)).per_second
            for number, share in enumerate(SHARES):
                rate = share * capacity
                asked.heard(f"latency: {share:.0%} of {capacity:,.0f} events/s, for {seconds:g} s")
                log = replace(
                    W1.scaled(min(MOST_EVENTS, max(1, round(rate * seconds))), history.users),
                    id=f"live-{number}",
                    seed=W1.seed + 1 + number,
                )
                run, published = _under_load(live, settings, log, rate, published)
                yield Result("latency", f"{share:.0%} of capacity", history.id, (run,), compared="")


def _under_load(
    live: Installation, settings: Settings, log: ReferenceLog, rate: float, before: Published
) -> tuple[Run, Published]:
    from tests.bench.load_sender import send  # what it sends with is there where benchmarks are made

    made = live_load.plan(log, rate, settings, wait_s=5.0 + PLAN_S_PER_EVENT * log.events)
    with OutputWatch(settings.brokers, [topic_name(name, settings) for name in WATCHED], settings.partitions) as watch:
        if (left_s := made.begin_s - time.monotonic()) < 0:
            raise BenchmarkFailed(f"making the load and starting the consumer took {-left_s:.1f} s too long")
        time.sleep(left_s)
        (first,) = live.samples()
        late_ms = send(made, settings)
        published = _more(before, made)
        last = live.until_applied(published.records, ANSWERED_WITHIN_S)[-1]
        time.sleep(1.0)
        seen = watch.seen()
    check(published, last)
    if missing := unanswered(made.strangers, seen):
        raise BenchmarkFailed(f"{len(missing)} of {len(made.strangers)} new users have no output")
    more = {
        "offered_per_s": rate,
        **_told(latencies_ms(made.counted(WARM_S), seen)),
        "sent_late_p99_ms": late_ms,
        "behind_s": max(0.0, last[0].at_s - made.begin_s - made.schedule.seconds),
    }
    peak_mb = live.workers[0].peak_mb()
    run = Run(log.events, last[0].at_s - first.at_s, last[0].cpu_s - first.cpu_s, peak_mb, more)
    return run, published


def _more(before: Published, made: live_load.Plan) -> Published:
    count = made.schedule.count
    return replace(
        before,
        records=before.records + count,
        distinct=before.distinct + count,
        users=before.users | {record.key for record in made.records},
    )


def _told(ms: Sequence[float]) -> dict[str, float]:
    return {
        "p50_ms": percentile(ms, 0.5),
        "p99_ms": percentile(ms, 0.99),
        "p99_9_ms": percentile(ms, 0.999),
        "max_ms": max(ms),
        "outputs": float(len(ms)),
    }
