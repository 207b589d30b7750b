"""Apache Kafka goes away under a worker and comes back: the worker waits, in bounded memory, and goes on by itself."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.kafka.run import ApacheKafka
from streams.child_process import free_port
from streams.settings import Settings
from tests.support.brokers import APACHE, RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.live_runs import LiveWorker, found, publish, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka"), pytest.mark.timeout(400)]

ACK_TIMEOUT_S = 3.0
AWAY_S = 12
"""Several times what a send may take."""
BEFORE, AFTER = 8_000, 1_000


class Watched:
    """A worker that trains too, with its port."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.port = free_port()
        environment = {
            "EBBTIDE_ACK_TIMEOUT_S": str(ACK_TIMEOUT_S),
            "EBBTIDE_STALL_TIMEOUT_S": "60",
            "LIVE_TRAINER": "1",
            "LIVE_HTTP": str(self.port),
        }
        self.live: LiveWorker = fleet.start(name, environment=environment)

    def says(self, path: str) -> tuple[int, str]:
        """Status and body of ``/healthz`` or ``/readyz``."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def rss_mb(self) -> float:
        """Memory held, from /proc."""
        status = Path(f"/proc/{self.live.process.pid}/status").read_text(encoding="ascii")
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024

    @property
    def log(self) -> str:
        return self.live.log.read_text(encoding="utf-8")


def fresh(kafka: ApacheKafka, session_timeout_s: float) -> Settings:
    return RunningBroker(APACHE, kafka.brokers).settings(
        partitions=2, session_timeout_s=session_timeout_s, heartbeat_s=1.0, slice_records=200, behind_slice_records=400
    )


@pytest.fixture
def fleet(mortal_kafka: ApacheKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    with fleet_of(fresh(mortal_kafka, request.param), tmp_path) as fleet:
        yield fleet


def outage(fleet: Fleet, goes: Callable[[], None], comes_back: Callable[[], None]) -> Watched:
    """An outage in the midst of work, seen from outside; everything published before and after it is counted."""
    worker = Watched(fleet, "one")
    fleet.until_said(worker.live, "Reading partitions")
    publish(fleet.settings, 0, BEFORE)
    goes()
    logs = [worker.live.log]
    wait_until(lambda: "no Kafka broker answers" in worker.says("/readyz")[1], "/readyz names the broker", logs)
    assert worker.says("/readyz")[0] == 503
    before_mb = worker.rss_mb()
    wait_until(lambda: f"for {AWAY_S}" in worker.says("/readyz")[1], f"{AWAY_S} s without a broker", logs)
    assert worker.says("/healthz")[0] == 200
    assert worker.rss_mb() < before_mb + 10
    comes_back()
    wait_until(lambda: worker.says("/readyz") == (200, "ok\n"), "ready again by itself", logs)
    publish(fleet.settings, BEFORE, AFTER)
    fleet.until_counted(BEFORE + AFTER)
    assert worker.live.stop() == 0
    outcome = found(fleet.settings)
    assert outcome.state == outcome.wanted
    assert set(outcome.outputs) == outcome.published
    assert outcome.portraits == outcome.wanted
    assert outcome.shadowed == 0
    assert worker.log.count("No Kafka broker answers at") == 1
    assert worker.log.count("answers again, after") == 1
    return worker


@pytest.mark.parametrize("fleet", [6.0], indirect=True, ids=["session=6s"])
def test_a_broker_that_died_and_forgot_the_group_is_waited_for_and_the_partitions_are_taken_again(
    fleet: Fleet, mortal_kafka: ApacheKafka
) -> None:
    worker = outage(fleet, mortal_kafka.kill, mortal_kafka.start)
    assert len(worker.log.splitlines()) < 100  # aiokafka alone would say 2,000 lines


@pytest.mark.long
@pytest.mark.parametrize("fleet", [60.0], indirect=True, ids=["session=60s"])
def test_a_broker_that_hangs_is_waited_for_and_the_work_goes_on_where_it_was(
    fleet: Fleet, mortal_kafka: ApacheKafka
) -> None:
    worker = outage(fleet, mortal_kafka.freeze, mortal_kafka.thaw)
    assert "The group forgot this worker" not in worker.log
