"""What Ebbtide needs of a broker: one suite, run on the embedded one and on Apache Kafka."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from streams.child_process import LOOPBACK, free_port
from streams.core.errors import BrokerError, TopicError
from streams.provisioning import check_topics, describe, ensure_topics, topic_ids, wait_for_broker
from streams.settings import Settings
from streams.topics import CATALOGUE, CHANGELOG, CLICKS, MODEL_CUTS, PURCHASES, topic_name
from tests.support.brokers import RunningBroker


def create(settings: Settings, name: str, **options: Any) -> None:
    """Make one topic by hand, as an operator might."""
    admin = KafkaAdminClient(bootstrap_servers=settings.brokers)
    try:
        admin.create_topics(
            {topic_name(name, settings): {"num_partitions": 4, "replication_factor": 1, **options}},
            wait_for_metadata=True,
        )
    finally:
        admin.close()


def sent(settings: Settings, name: str, records: list[tuple[bytes, bytes | None]], partition: int) -> list[int]:
    """Offsets of the records after the broker's acks."""
    producer = KafkaProducer(bootstrap_servers=settings.brokers, acks="all", enable_idempotence=False)
    try:
        futures = [
            producer.send(topic_name(name, settings), key=key, value=value, partition=partition)
            for key, value in records
        ]
        producer.flush(30)
        return [future.get(30).offset for future in futures]
    finally:
        producer.close()


def read(settings: Settings, name: str, partition: int, count: int) -> list[tuple[int, bytes, bytes | None]]:
    """The first ``count`` records of a partition."""
    consumer = KafkaConsumer(bootstrap_servers=settings.brokers, auto_offset_reset="earliest", group_id=None)
    try:
        consumer.assign([TopicPartition(topic_name(name, settings), partition)])
        found: list[tuple[int, bytes, bytes | None]] = []
        for _ in range(60):
            for records in consumer.poll(timeout_ms=500).values():
                found += [(record.offset, record.key, record.value) for record in records]
            if len(found) >= count:
                break
        return found
    finally:
        consumer.close()


def test_all_topics_of_the_catalogue_are_created(broker_settings: Settings) -> None:
    created = ensure_topics(broker_settings)
    assert sorted(created) == sorted(topic_name(name, broker_settings) for name in CATALOGUE)


def test_partition_counts_are_those_of_the_catalogue(broker_settings: Settings) -> None:
    ensure_topics(broker_settings)
    counts = {state.topic.name: state.partitions for state in describe(broker_settings)}
    assert counts == {name: 1 if topic.single else 4 for name, topic in CATALOGUE.items()}


def test_creating_again_creates_nothing(broker_settings: Settings) -> None:
    ensure_topics(broker_settings)
    assert ensure_topics(broker_settings) == []


def test_creating_again_keeps_the_topic_ids(broker_settings: Settings) -> None:
    ensure_topics(broker_settings)
    before = topic_ids(broker_settings)
    ensure_topics(broker_settings)
    assert topic_ids(broker_settings) == before


def test_only_what_is_missing_is_created(broker_settings: Settings) -> None:
    ensure_topics(broker_settings, [CLICKS])
    assert ensure_topics(broker_settings, [CLICKS, PURCHASES]) == [topic_name(PURCHASES, broker_settings)]


def test_workers_that_start_together_agree(broker_settings: Settings) -> None:
    together = threading.Barrier(4)

    def start(_: int) -> list[str]:
        together.wait(30)
        return ensure_topics(broker_settings)

    with ThreadPoolExecutor(4) as pool:
        created = [name for names in pool.map(start, range(4)) for name in names]
    assert sorted(created) == sorted(topic_name(name, broker_settings) for name in CATALOGUE)


def test_shadow_topics_stand_beside_the_live_ones(broker_settings: Settings) -> None:
    ensure_topics(broker_settings, [CLICKS])
    ensure_topics(broker_settings, [CLICKS], suffix="-trial")
    assert topic_ids(broker_settings, [CLICKS]) != topic_ids(broker_settings, [CLICKS], suffix="-trial")


def test_a_topic_with_other_partitions_is_refused(broker_settings: Settings) -> None:
    create(broker_settings, CLICKS, num_partitions=3)
    with pytest.raises(TopicError, match=r"clicks: it has 3 partitions, not 4") as caught:
        ensure_topics(broker_settings)
    assert "EBBTIDE_PARTITIONS" in caught.value.hint


def test_a_single_topic_with_more_partitions_is_refused(broker_settings: Settings) -> None:
    create(broker_settings, MODEL_CUTS, num_partitions=4)
    with pytest.raises(TopicError, match=r"model-cuts: it has 4 partitions, not 1"):
        ensure_topics(broker_settings, [MODEL_CUTS])


def test_missing_topics_are_named_and_not_created_by_a_check(broker_settings: Settings) -> None:
    ensure_topics(broker_settings, [CLICKS])
    with pytest.raises(TopicError, match=rf"missing at .*: {topic_name(PURCHASES, broker_settings)}\.") as caught:
        check_topics(broker_settings, [CLICKS, PURCHASES])
    assert not describe(broker_settings, [PURCHASES])[0].exists
    assert "ebbtide topics --create" in caught.value.hint


def test_a_topic_that_is_not_there_is_described_as_missing(broker_settings: Settings) -> None:
    state = describe(broker_settings, [CLICKS])[0]
    assert (state.exists, state.partitions, state.differences(broker_settings)) == (False, 0, [])


def test_what_is_produced_is_consumed_in_order(broker_settings: Settings) -> None:
    ensure_topics(broker_settings, [CLICKS])
    records: list[tuple[bytes, bytes | None]] = [(b"u%d" % i, b"v%d" % i) for i in range(20)]
    offsets = sent(broker_settings, CLICKS, records, partition=2)
    assert offsets == list(range(20))
    assert read(broker_settings, CLICKS, 2, 20) == [(i, *record) for i, record in enumerate(records)]


def test_a_tombstone_is_consumed_as_none(broker_settings: Settings) -> None:
    ensure_topics(broker_settings, [CHANGELOG])
    sent(broker_settings, CHANGELOG, [(b"u", b"v"), (b"u", None)], partition=0)
    assert read(broker_settings, CHANGELOG, 0, 2) == [(0, b"u", b"v"), (1, b"u", None)]


def test_a_topic_created_anew_has_another_id(broker_settings: Settings) -> None:
    ensure_topics(broker_settings, [CLICKS])
    before = topic_ids(broker_settings, [CLICKS])
    admin = KafkaAdminClient(bootstrap_servers=broker_settings.brokers)
    try:
        admin.delete_topics([topic_name(CLICKS, broker_settings)])
        for _ in range(100):
            if not describe(broker_settings, [CLICKS])[0].exists:
                break
            time.sleep(0.1)
    finally:
        admin.close()
    ensure_topics(broker_settings, [CLICKS])
    assert topic_ids(broker_settings, [CLICKS]) != before


def test_a_cleanup_policy_that_loses_state_is_refused(broker_settings: Settings) -> None:
    create(broker_settings, CHANGELOG, configs={"cleanup.policy": "delete"})
    with pytest.raises(TopicError, match="ebbtide-changelog: cleanup.policy is delete, not compact"):
        ensure_topics(broker_settings, [CHANGELOG])


@pytest.mark.kafka
class TestConfigurationOnApacheKafka:
    """The embedded broker reports no configuration that was not given to it, and no effective defaults."""

    @pytest.fixture
    def settings(self, apache_kafka: RunningBroker) -> Settings:
        return apache_kafka.settings()

    def test_every_topic_has_the_configuration_of_the_catalogue(self, settings: Settings) -> None:
        ensure_topics(settings)
        for state in describe(settings):
            wanted = state.topic.config(settings)
            assert {name: state.config[name] for name in wanted} == wanted

    def test_a_changelog_that_compacts_too_soon_is_refused(self, settings: Settings) -> None:
        create(settings, CHANGELOG, configs={"cleanup.policy": "compact"})
        with pytest.raises(TopicError, match="min.compaction.lag.ms is 0, below 3600000") as caught:
            ensure_topics(settings, [CHANGELOG])
        assert (
            f"--entity-name {topic_name(CHANGELOG, settings)} --add-config cleanup.policy=compact,"
            "min.compaction.lag.ms=3600000,delete.retention.ms=604800000" in caught.value.hint
        )

    def test_a_changelog_that_forgets_tombstones_too_soon_is_refused(self, settings: Settings) -> None:
        config = {"cleanup.policy": "compact", "min.compaction.lag.ms": "3600000", "delete.retention.ms": "1000"}
        create(settings, CHANGELOG, configs=config)
        with pytest.raises(TopicError, match="delete.retention.ms is 1000, below 604800000"):
            ensure_topics(settings, [CHANGELOG])

    def test_a_changelog_that_also_deletes_is_refused(self, settings: Settings) -> None:
        create(settings, CHANGELOG, configs={"cleanup.policy": "compact,delete", "min.compaction.lag.ms": "3600000"})
        with pytest.raises(TopicError, match="cleanup.policy is compact,delete, not compact"):
            ensure_topics(settings, [CHANGELOG])

    def test_a_retention_of_the_operator_is_kept(self, settings: Settings) -> None:
        create(settings, CLICKS, configs={"retention.ms": "12345", "message.timestamp.type": "LogAppendTime"})
        ensure_topics(settings, [CLICKS])
        assert describe(settings, [CLICKS])[0].config["retention.ms"] == "12345"

    def test_an_input_stamped_by_its_producers_without_bounds_is_refused(self, settings: Settings) -> None:
        create(settings, CLICKS, configs={"message.timestamp.after.max.ms": str(2**63 - 1)})
        with pytest.raises(TopicError, match="message.timestamp.type is CreateTime, not LogAppendTime"):
            ensure_topics(settings, [CLICKS])

    def test_an_input_as_kafka_makes_it_is_taken_with_a_warning(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        create(settings, CLICKS)
        ensure_topics(settings, [CLICKS])
        assert "while one producer's clock is, others' events count as late" in caplog.text

    def test_more_copies_than_brokers_say_so(self, settings: Settings) -> None:
        with pytest.raises(TopicError, match="cannot keep 3 copies") as caught:
            ensure_topics(replace(settings, replication_factor=3), [CLICKS])
        assert "EBBTIDE_REPLICATION_FACTOR" in caught.value.hint

    def test_topics_are_never_made_by_accident(self, settings: Settings) -> None:
        consumer = KafkaConsumer(bootstrap_servers=settings.brokers)
        try:
            assert not consumer.partitions_for_topic(topic_name(CLICKS, settings))
            assert not describe(settings, [CLICKS])[0].exists
        finally:
            consumer.close()


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port where something listens that does not speak Kafka's protocol."""
    with socket.socket() as deaf:
        deaf.bind((LOOPBACK, 0))
        deaf.listen()
        yield deaf.getsockname()[1]


def test_a_broker_that_is_up_is_waited_for(broker: RunningBroker) -> None:
    wait_for_broker(broker.brokers)


def test_a_broker_that_is_down_says_so() -> None:
    brokers = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerError, match=f"No Kafka broker answered at {brokers}") as caught:
        wait_for_broker(brokers, timeout_s=0.5)
    assert "EBBTIDE_BROKERS" in caught.value.hint


def test_something_else_on_the_port_says_so(deaf_port: int) -> None:
    with pytest.raises(BrokerError, match="No Kafka broker answered"):
        wait_for_broker(f"127.0.0.1:{deaf_port}", timeout_s=0.5)


def test_a_broker_that_is_down_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with pytest.raises(BrokerError):
        wait_for_broker(f"127.0.0.1:{free_port()}", timeout_s=0.2)
    assert threading.active_count() == before
