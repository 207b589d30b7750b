"""Workers as processes that meet other topics than they left: they end with what is wrong, and go on once told how."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import provisioning
from streams.core.events import INPUT_TOPICS
from streams.live.fence import PARTITION_KEY
from streams.live.judging import recorded_partitions
from streams.live.log_ends import log_end, newest_of_key
from streams.live.log_identity import LogIdentity
from streams.live.partition_record import VERSION, decode_record
from streams.live.store import StoreFolder
from streams.live.survey import accept, survey
from streams.topics import CHANGELOG, PURCHASES, topic_name
from tests.support.brokers import RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.installations import Installation
from tests.support.live_runs import LiveWorker, counted, found, publish


@pytest.fixture
def fleet(apache_kafka: RunningBroker, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of(apache_kafka.settings(partitions=1, session_timeout_s=6.0, heartbeat_s=1.0), tmp_path) as fleet:
        yield fleet


def refused(worker: LiveWorker) -> str:
    """The last words of a worker that ended by itself, for a reason that a person can mend."""
    assert worker.wait(120) == 1, worker.log.read_text()[-3000:]
    return worker.log.read_text()


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_a_topic_created_anew_is_refused_until_somebody_accepts_it(fleet: Fleet) -> None:
    publish(fleet.settings, 0, 400)
    worker = fleet.start("one")
    fleet.until_counted(400)
    assert worker.stop() == 0
    before = counted(fleet.settings)
    installation = Installation(fleet.settings, events=0)
    installation.recreate(PURCHASES)
    publish(fleet.settings, 1_000, 100)
    said = refused(fleet.start("one"))
    assert f"{topic_name(PURCHASES, fleet.settings)}, partition 0 was created anew: the state has applied" in said
    assert "ebbtide state accept" in said
    assert counted(fleet.settings) == before
    asyncio.run(accept(fleet.settings, asyncio.run(survey(fleet.settings))))
    worker = fleet.start("one")
    fleet.until_counted(500)
    assert worker.stop() == 0
    assert counted(fleet.settings) == 500


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_a_changelog_created_anew_is_refused_even_without_group_offsets_while_a_copy_remembers(fleet: Fleet) -> None:
    settings = fleet.settings
    publish(settings, 0, 200)
    before = LogIdentity(
        changelog="the one before",
        cluster_id=provisioning.cluster_id(settings),
        inputs=tuple(provisioning.topic_ids(settings, INPUT_TOPICS).values()),
    )
    StoreFolder(fleet.folder / "state" / "one" / settings.group_id, before).open(0).close()
    said = refused(fleet.start("one"))
    assert "partition 0 is empty and was created anew: the state that" in said
    assert counted(settings) == 0
    fleet.wipe("one")
    worker = fleet.start("one")
    fleet.until_counted(200)
    assert worker.stop() == 0


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_rolling_back_behind_newer_state_as_the_runbook_says(fleet: Fleet) -> None:
    """What a newer release left is refused; then the changelog is deleted and the state built anew from the inputs."""
    publish(fleet.settings, 0, 200)
    installation = Installation(fleet.settings, events=0)
    installation.applied(20, committed=20, version=VERSION + 1)
    said = refused(fleet.start("one"))
    assert f"partition 0 has version {VERSION + 1}, and this Ebbtide reads up to {VERSION}. Start the newer" in said
    installation.recreate(CHANGELOG)
    asyncio.run(accept(fleet.settings, asyncio.run(survey(fleet.settings))))
    worker = fleet.start("one")
    fleet.until_counted(200)
    assert worker.stop() == 0
    outcome = found(fleet.settings)
    assert outcome.state == outcome.wanted


def test_the_end_of_a_log_is_what_a_fetch_says(broker: RunningBroker) -> None:
    """FAUST.md: the embedded broker's newest offset is the base offset of the last batch."""
    settings = broker.settings(partitions=1)
    Installation(settings, events=3)
    assert [asyncio.run(log_end(settings, (topic_name(n, settings), 0), stall_s=60.0)) for n in INPUT_TOPICS] == [3] * 3


def test_the_newest_record_of_a_key_is_found_from_the_end(broker: RunningBroker) -> None:
    settings = broker.settings(partitions=2)
    installation = Installation(settings, events=0)
    installation.applied(1)
    installation.applied(2)

    async def newest() -> list[tuple[int, int]]:
        found = newest_of_key(settings, topic_name(CHANGELOG, settings), PARTITION_KEY, stall_s=60.0)
        return [(partition, decode_record(raw).inputs[0].next) async for partition, raw in found]

    assert asyncio.run(newest()) == [(0, 2), (1, 2)]


def test_the_partition_count_of_a_state_is_found_in_any_partition(broker: RunningBroker) -> None:
    settings = broker.settings(partitions=2)
    Installation(settings, events=0).applied(1, partitions=7)
    assert asyncio.run(recorded_partitions(settings)) == 7


def test_a_changelog_without_state_names_no_partition_count(broker: RunningBroker) -> None:
    settings = broker.settings(partitions=2)
    Installation(settings, events=0)
    assert asyncio.run(recorded_partitions(settings)) == 0
