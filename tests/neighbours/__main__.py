"""``make neighbours``: what bad neighbours do to a worker on Apache Kafka; prints memory, delay and a verdict for each.

``python -m tests.neighbours [--users 1000000] [--only NAME …]``
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from deploy.kafka.run import ApacheKafka
from streams.core.events import DAY_MS, MINUTE_MS
from streams.provisioning import ensure_topics
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, LATE_EVENTS
from tests.neighbours.load import Lag, Probing, Sent, event, memory_mb, now_ms, publish, wait_applied
from tests.support.live_runs import LiveWorker, read_topic

CEILING_MB: Final = 1_200
"""Peak memory of a worker with 8 partitions and the default settings, whatever comes, beside users and their cache."""
RATIO_LIMIT: Final = 2.0
YEAR_MS: Final = 365 * DAY_MS
WITHIN_S: Final = 1_800.0


@dataclass
class Row:
    """One line of the table."""

    scenario: str
    what: str
    peak_mb: float
    verdict: str
    good: bool


class Bench:
    """One Kafka; every scenario gets topics, a group and a worker of its own."""

    def __init__(self, folder: Path, kafka: ApacheKafka, users: int, rate: int) -> None:
        self.folder = folder
        self.kafka = kafka
        self.users = users
        self.rate = rate
        self._numbers = count()

    @contextmanager
    def settings(self, name: str) -> Iterator[Settings]:
        """Fresh topics."""
        settings = Settings(
            brokers=self.kafka.brokers,
            topic_prefix=f"{name}.",
            group_id=name,
            state_dir=self.folder / name,
            http_port=0,
        )
        ensure_topics(settings)
        yield settings

    @contextmanager
    def worker(self, settings: Settings) -> Iterator[LiveWorker]:
        """A worker that has its partitions."""
        worker = LiveWorker(settings, self.folder / f"{next(self._numbers)}.log", counting=False)
        try:
            until = time.monotonic() + 120
            while "Reading partitions [" not in worker.log.read_text():
                if time.monotonic() > until or worker.process.poll() is not None:
                    raise AssertionError(worker.log.read_text()[-3_000:])
                time.sleep(0.5)
            yield worker
        except AssertionError as error:
            raise AssertionError(f"{error}; its last words:\n{worker.log.read_text()[-2_000:]}") from error
        finally:
            worker.end()

    # -- scenarios ---------------------------------------------------------------------------------------------------

    def burst(self) -> Row:
        """Ten times the usual rate for a minute, waiting at once: small records on all partitions."""
        count, at = 60 * 10 * self.rate, now_ms()
        dice = random.Random(1)
        with self.settings("burst") as settings:
            publish(
                settings,
                (
                    event(
                        ("clicks", "clicks", "clicks", "searches", "purchases")[n % 5],
                        f"u{dice.randrange(20_000)}",
                        at - 60_000 + n * 60_000 // count,
                        item_id=f"item-{n % 5_000}",
                        action="view",
                        query="green tea",
                        price=12.5,
                        category="tea",
                        session_id=f"s{n % 9_999}",
                    )
                    for n in range(count)
                ),
            )
            return self._drained(settings, "burst", f"{count:,} records at once")

    def large(self) -> Row:
        """Orders of thousands of lines, most of them of a handful of users, and records that are too large."""
        at = now_ms()
        line = {"item_id": "item-" + "x" * 30, "price": 1.5, "quantity": 2, "category": "tea"}

        def records() -> Iterator[Sent]:
            for n in range(1_500):
                yield event("purchases", f"u{n % 7}", at - 60_000 + n, order_id=f"o{n}", lines=[line] * 2_500)
                if n % 5 == 0:
                    yield Sent("clicks", b"big", b" " * 900_000)
                    yield Sent("clicks", b"k" * 200_000, b"{", [("trace", b"t" * 90_000)] * 8)

        with self.settings("large") as settings:
            publish(settings, records())
            row = self._drained(
                settings, "large", "1,500 orders of 2,500 lines, 300 of 900 KB, 300 of 920 KB in headers"
            )
            reasons = Counter(
                dict(one.headers)["__streams.errors.exception"] for one in read_topic(settings, DEAD_LETTERS)
            )
            row.good = row.good and reasons == {b"oversized": 300, b"not_json": 300}
            row.verdict += f", dead letters {dict(reasons)}"
            return row

    def slow_broker(self) -> Row:
        """Kafka answers for a tenth of a second in each half second."""
        with self.settings("slow") as settings, self.worker(settings) as worker:
            before = memory_mb(worker.process.pid)[0]
            at = now_ms()
            count = publish(
                settings,
                (event("clicks", f"u{n % 3_000}", at - 1_000 + n // 100, action="view") for n in range(100_000)),
            )
            until = time.monotonic() + 30
            while time.monotonic() < until:
                self.kafka.freeze()
                time.sleep(0.4)
                self.kafka.thaw()
                time.sleep(0.1)
            seconds = wait_applied(Lag(settings), lambda: worker.process.poll() is None, WITHIN_S)
            peak = memory_mb(worker.process.pid)[1]
            good = peak < CEILING_MB
            return Row(
                "slow broker",
                f"{count:,} records, Kafka stopped 80% of 30 s",
                peak,
                f"+{peak - before:.0f} MB, applied {seconds:.0f} s later",
                good,
            )

    def hot_user(self) -> Row:
        """One user is half of the traffic, a little out of order as traffic of many servers is."""
        dice = random.Random(2)

        def spread(number: int) -> Sent:
            return event(
                "clicks", f"regular{number % 2_000}", now_ms() - dice.randrange(50), action="view", item_id="i"
            )

        def hot(number: int) -> Sent:
            return event("clicks", "hot", now_ms() - dice.randrange(50), action="view", item_id="i")

        with self.settings("hot") as settings, self.worker(settings) as worker:
            probing = Probing(settings, self.rate)
            phases = [("warm", spread)] + [("spread", spread), ("hot", hot), ("hot", hot), ("spread", spread)] * 2
            probing.run(phases, 12.0)
            without, beside = probing.seen["spread"], probing.seen["hot"]
            ratio = beside.at(0.99) / max(1.0, without.at(0.99))
            verdict = (
                f"others' p50 {without.at(0.5):.0f} -> {beside.at(0.5):.0f} ms, "
                f"p99 {without.at(0.99):.0f} -> {beside.at(0.99):.0f} ms, ratio {ratio:.2f}"
            )
            peak = memory_mb(worker.process.pid)[1]
            return Row("hot user", f"{self.rate} records/s, half of one user", peak, verdict, ratio <= RATIO_LIMIT)

    def year_ahead(self) -> Row:
        """A producer whose clock is a year ahead, in its events and in its Kafka timestamps too."""
        with self.settings("ahead") as settings:
            at = now_ms()

            def records() -> Iterator[Sent]:
                for n in range(20_000):
                    yield event("clicks", f"u{n % 500}", at - 30_000 + n, action="view")
                    if n % 10 == 0:
                        wrong = event("clicks", f"u{n % 500}", at + YEAR_MS + n, action="view")
                        yield wrong if n % 20 else wrong._replace(timestamp=at + YEAR_MS + n)

            publish(settings, records())
            row = self._drained(settings, "year ahead", "20,000 records and 2,000 of a clock a year ahead")
            reasons = Counter(
                dict(one.headers)["__streams.errors.exception"] for one in read_topic(settings, DEAD_LETTERS)
            )
            late = len(read_topic(settings, LATE_EVENTS))
            row.good = row.good and reasons == {b"future": 2_000} and late == 0
            row.verdict += f", dead letters {dict(reasons)}, late {late}"
            return row

    def one_event_users(self) -> Row:
        """A million users of one event each."""
        users, at = self.users, now_ms()
        with self.settings("strangers") as settings:
            with self.worker(settings) as worker:
                before = memory_mb(worker.process.pid)[0]
                publish(
                    settings,
                    (
                        event("clicks", f"stranger-{n:08d}", at - 60_000 + n * 60_000 // users, action="view")
                        for n in range(users)
                    ),
                )
                seconds = wait_applied(Lag(settings), lambda: worker.process.poll() is None, WITHIN_S)
                resident, peak = memory_mb(worker.process.pid)
            began = time.monotonic()
            with self.worker(settings) as worker:
                restored_s = time.monotonic() - began
                again = memory_mb(worker.process.pid)[0]
            each = (resident - before) * 1024 * 1024 / users
            verdict = (
                f"{users / seconds:,.0f}/s, {each:.0f} bytes a user, restored in {restored_s:.0f} s at {again:.0f} MB"
            )
            ceiling = CEILING_MB + 0.005 * min(users, Settings().cache_profiles) + 0.0003 * users
            return Row("strangers", f"{users:,} users of one event", peak, verdict, peak < ceiling)

    def day_of_downtime(self) -> Row:
        """Three topics of a day are there before the worker is; nothing of it may be late."""
        dice, at = random.Random(3), now_ms()
        count = 60_000
        events = [
            event(
                ("clicks", "clicks", "searches", "purchases")[n % 4],
                f"u{dice.randrange(2_000)}",
                at - DAY_MS + n * (DAY_MS // count) - dice.randrange(MINUTE_MS),
                event_id=f"e{n}",
                action="view",
                query="q",
                item_id="i",
                price=2.0,
            )
            for n in range(count)
        ]
        with self.settings("downtime") as settings:
            for topic in ("purchases", "searches", "clicks"):
                publish(settings, (one for one in events if one.topic == topic))
            row = self._drained(
                settings, "downtime", f"{count:,} records of a day on three topics, one after the other"
            )
            late = len(read_topic(settings, LATE_EVENTS))
            row.good = row.good and late == 0
            row.verdict += f", late {late}"
            return row

    def _drained(self, settings: Settings, name: str, what: str) -> Row:
        with self.worker(settings) as worker:
            seconds = wait_applied(Lag(settings), lambda: worker.process.poll() is None, WITHIN_S)
            peak = memory_mb(worker.process.pid)[1]
        return Row(name, what, peak, f"applied in {seconds:.0f} s", peak < CEILING_MB)


SCENARIOS: Final = {
    "burst": Bench.burst,
    "large": Bench.large,
    "slow": Bench.slow_broker,
    "hot": Bench.hot_user,
    "ahead": Bench.year_ahead,
    "downtime": Bench.day_of_downtime,
    "strangers": Bench.one_event_users,
}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--users", type=int, default=1_000_000)
    asked.add_argument("--rate", type=int, default=400, help="records a second of the steady loads")
    asked.add_argument("--only", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS))
    given = asked.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # fresh topics have no leader yet; it tries again
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="ebbtide-neighbours-") as scratch:
        folder = Path(scratch)
        with ApacheKafka(folder / "kafka", heap="768m") as kafka:
            bench = Bench(folder, kafka, given.users, given.rate)
            for name in given.only:
                row = SCENARIOS[name](bench)
                rows.append(row)
                mark = "ok " if row.good else "BAD"
                print(f"{mark} {row.scenario:<12} {row.peak_mb:6.0f} MB  {row.what}: {row.verdict}", flush=True)
    good = sum(row.good for row in rows)
    highest = max(row.peak_mb for row in rows)
    print(f"neighbours: {good} of {len(rows)} scenarios hold; highest memory {highest:.0f} MB")
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
