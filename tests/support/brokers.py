"""The brokers that the contract suite runs against: embedded always, Apache Kafka wherever Java 17 and Maven are.

A plugin of tests/conftest.py, so every test may ask for ``broker`` (parametrised: the test runs once on each), for
``embedded_broker`` or for ``apache_kafka``; ``broker_settings`` are settings for topics that nobody has used.
``EBBTIDE_TEST_KAFKA=1`` makes the absence of Apache Kafka a failure;
``EBBTIDE_TEST_KAFKA=0`` leaves it out.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.kafka.run import ApacheKafka, java, maven
from streams.broker import EmbeddedBroker
from streams.core.errors import BrokerError
from streams.settings import Settings

EMBEDDED: Final = "embedded_broker"
APACHE: Final = "apache_kafka"

_prefixes = itertools.count()


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker to test against."""

    kind: str
    brokers: str

    @property
    def is_kafka(self) -> bool:
        """Whether it is Apache Kafka, on which guarantees are proven."""
        return self.kind == APACHE

    def settings(self, **given: Any) -> Settings:
        """Settings that reach it, with a topic prefix and a group that no other test of this run has."""
        unique = f"t{os.getpid()}x{next(_prefixes)}"
        return replace(
            Settings(brokers=self.brokers, topic_prefix=f"{unique}.", group_id=unique, partitions=4, http_port=0),
            **given,
        )


def kafka_is_missing() -> str | None:
    """Why Apache Kafka cannot run here, or None."""
    try:
        java()
        maven()
    except BrokerError as error:
        return str(error)
    return None


def require_kafka() -> None:
    """Skip with the reason where Apache Kafka cannot run or is left out; fail where it was asked for."""
    wanted = os.environ.get("EBBTIDE_TEST_KAFKA", "")
    if wanted == "0":
        pytest.skip("Apache Kafka is left out: EBBTIDE_TEST_KAFKA=0")
    if missing := kafka_is_missing():
        if wanted:
            pytest.fail(f"EBBTIDE_TEST_KAFKA={wanted}, but Apache Kafka cannot run here: {missing}")
        pytest.skip(f"not run on Apache Kafka: {missing}")


def _start_kafka(folder: Path) -> Iterator[ApacheKafka]:
    require_kafka()
    with ApacheKafka(folder, heap="768m", brief=True) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[RunningBroker]:
    """The embedded broker, one for the session."""
    with EmbeddedBroker() as running:
        yield RunningBroker(EMBEDDED, running.brokers)


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    """Apache Kafka, one for the session; skips with the reason where it cannot run."""
    for kafka in _start_kafka(tmp_path_factory.mktemp("kafka")):
        yield RunningBroker(APACHE, kafka.brokers)


@pytest.fixture(scope="module")
def mortal_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """An Apache Kafka of the module's own, to be stopped, killed, frozen and started again on its port and data."""
    yield from _start_kafka(tmp_path_factory.mktemp("mortal-kafka"))


@pytest.fixture(
    scope="session",
    params=[EMBEDDED, pytest.param(APACHE, marks=[pytest.mark.kafka])],
)
def broker(request: pytest.FixtureRequest) -> RunningBroker:
    """Each broker in turn. Under xdist all tests on Apache Kafka share one process, so one Kafka is started."""
    found: RunningBroker = request.getfixturevalue(request.param)
    return found


@pytest.fixture(
    scope="session",
    params=[pytest.param(EMBEDDED, marks=[pytest.mark.long]), pytest.param(APACHE, marks=[pytest.mark.kafka])],
)
def kafka_first(request: pytest.FixtureRequest) -> RunningBroker:
    """Apache Kafka; with the long tests the embedded broker too, where half a minute each is too much every time."""
    found: RunningBroker = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def broker_settings(broker: RunningBroker) -> Settings:
    """Settings for topics that nobody has used, on each broker in turn."""
    return broker.settings()
