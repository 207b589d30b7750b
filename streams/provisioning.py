"""Topics on the broker: made where they are missing, checked where they are there. The admin home of kafka-python."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, Final

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import (
    GroupAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)
from kafka.net.compat import KafkaNetClient

from streams.access_list import Role, access_list
from streams.core.errors import BrokerError, TopicError
from streams.kafka_access import connection_options, denied, refusal
from streams.permissions import first_operations, refuse_without
from streams.reaching import LOOK_WITHIN_S, why_unreachable
from streams.settings import Settings
from streams.topic_states import TopicState, refuse_misfits
from streams.topics import CATALOGUE, Topic, topic_name

log = logging.getLogger(__name__)

REACH_WITHIN_S: Final = 5.0
"""How long a command waits for a broker that does not answer."""
_VISIBLE_WITHIN_S: Final = 30.0


def wait_for_broker(brokers: str, timeout_s: float = REACH_WITHIN_S) -> None:
    """Return once a broker answers in Kafka's protocol.

    Raises
    ------
    BrokerError
        None did within ``timeout_s`` seconds.
    """
    with _admin(Settings(brokers=brokers), timeout_s) as admin:
        admin.describe_cluster()


def ensure_topics(
    settings: Settings,
    names: Iterable[str] = tuple(CATALOGUE),
    *,
    suffix: str = "",
    roles: Sequence[Role] = (),
    timeout_s: float = REACH_WITHIN_S,
) -> list[str]:
    """Create the topics that are missing and check those that are there; any number of workers may do so at once.

    Parameters
    ----------
    settings
        Where the broker is, prefix, partition count, replication, retention.
    names
        Names from :data:`streams.topics.CATALOGUE`; all by default.
    suffix
        Stands behind every name: the shadow topics of a replay.
    roles
        As whom we shall work: what Kafka must allow to them is checked too, as far as the broker says it.

    Returns
    -------
    list[str]
        Full names of the topics that this call created.

    Raises
    ------
    TopicError
        A topic is there with other partitions or configuration, or could not be created; every one is named.
    AccessError
        Kafka does not know us, or does not let us.
    BrokerError
        The broker does not answer.

    Examples
    --------
    >>> ensure_topics(Settings(brokers="127.0.0.1:9092"))  # doctest: +SKIP
    ['clicks', 'searches', ...]
    """
    wanted = list(names)
    with _admin(settings, timeout_s) as admin:
        first = first_operations(roles, settings)
        missing = [state.topic for state in _states(admin, settings, wanted, suffix, first) if not state.exists]
        created = _create(admin, settings, missing, suffix) if missing else []
        if missing:
            admin.wait_for_topics(
                [topic_name(topic.name, settings, suffix) for topic in missing], timeout_ms=_VISIBLE_WITHIN_S * 1_000
            )
        states = _states(admin, settings, wanted, suffix)
        refuse_misfits(states, settings)
        for state in states:
            for caution in state.cautions:
                log.warning("Topic %s: %s.", state.name, caution)
        for role in roles:
            refuse_without(states, role, settings)
            _refuse_without_group(admin, states, role, settings)
        return created


def check_topics(settings: Settings, names: Iterable[str] = tuple(CATALOGUE), *, suffix: str = "") -> None:
    """Check without creating anything.

    Raises
    ------
    TopicError
        A topic is missing, or has other partitions or configuration.
    BrokerError
        The broker does not answer.
    """
    refuse_misfits(describe(settings, names, suffix=suffix), settings)


def describe(
    settings: Settings,
    names: Iterable[str] = tuple(CATALOGUE),
    *,
    suffix: str = "",
    timeout_s: float = REACH_WITHIN_S,
) -> list[TopicState]:
    """Topics as they stand on the broker, in the order asked for, the missing ones too."""
    with _admin(settings, timeout_s) as admin:
        return _states(admin, settings, list(names), suffix)


def _refuse_without_group(admin: Any, states: Iterable[TopicState], role: Role, settings: Settings) -> None:
    if all(state.allowed is None for state in states):  # a broker that allows everything to all
        return
    for entry in access_list(role, settings):
        if entry.kind == "group":
            with suppress(KafkaError):  # as while nobody has used a group on this cluster yet: joining it will tell
                try:
                    admin.describe_groups([entry.name])
                except GroupAuthorizationFailedError:
                    raise denied(settings, entry.operation, f"group {entry.name}") from None


def delete_topics(
    settings: Settings, names: Iterable[str], *, suffix: str, timeout_s: float = REACH_WITHIN_S
) -> list[str]:
    """Delete shadow topics that exist, and wait until they are gone; full names of those that were there.

    Raises
    ------
    TopicError
        The broker did not delete one.
    BrokerError
        The broker does not answer.
    """
    if not suffix:
        raise ValueError("only shadow topics are deleted")
    wanted = list(names)
    with _admin(settings, timeout_s) as admin:
        there = [state.name for state in _states(admin, settings, wanted, suffix) if state.exists]
        if not there:
            return []
        answers = admin.delete_topics(there, raise_errors=False)["topics"]
        refused = [
            f"{answer['name']}: {for_code(answer['error_code']).__name__}"
            for answer in answers
            if answer["error_code"] != 0
        ]
        deadline = time.monotonic() + _VISIBLE_WITHIN_S
        while not refused and (left := [s.name for s in _states(admin, settings, wanted, suffix) if s.exists]):
            if time.monotonic() > deadline:
                refused = left
            time.sleep(0.1)
        if refused:
            raise TopicError(
                f"Kafka at {settings.brokers} did not delete {'; '.join(refused)}.",
                "Let this client delete topics, or delete them yourself.",
            )
        return there


def topic_ids(settings: Settings, names: Iterable[str] = tuple(CATALOGUE), *, suffix: str = "") -> dict[str, str]:
    """Kafka's id of every topic that exists, by its name in the catalogue: it changes when a topic is created anew.

    Examples
    --------
    >>> topic_ids(Settings(), ["clicks"])  # doctest: +SKIP
    {'clicks': '01a20557-da86-7c20-8616-7a11207487f4'}
    """
    return {state.topic.name: state.id for state in describe(settings, names, suffix=suffix) if state.id is not None}


def cluster_id(settings: Settings) -> str:
    """Kafka's id of the cluster, "" where the broker names none.

    Examples
    --------
    >>> cluster_id(Settings())  # doctest: +SKIP
    '3He9Gky8QJ2wSloxYo3fQg'
    """
    with _admin(settings, REACH_WITHIN_S) as admin:
        return str(admin.describe_cluster()["cluster_id"] or "")


@contextmanager
def _admin(settings: Settings, timeout_s: float) -> Iterator[Any]:
    options = connection_options(settings)
    made: list[Any] = []

    def network(**config: Any) -> Any:
        made.append(KafkaNetClient(**config))
        return made[-1]

    try:
        admin = KafkaAdminClient(
            **options,
            bootstrap_timeout_ms=int(timeout_s * 1_000),
            client_id="ebbtide-admin",
            kafka_client=network,
        )
    except (KafkaError, OSError) as error:
        for client in made:  # kafka-python 3.0.12 leaves thread and sockets behind where a start fails
            client.close()
            client._net.stop()
        refused = why_unreachable(settings, within_s=min(timeout_s, LOOK_WITHIN_S))
        raise refused or BrokerError(
            f"No Kafka broker answered at {settings.brokers} within {timeout_s:g} s.",
            "Start one (ebbtide broker, make kafka) or name another with EBBTIDE_BROKERS.",
        ) from error
    try:
        yield admin
    except (KafkaError, OSError) as error:
        refused = refusal(error, settings, "Describe", "cluster")
        raise refused or BrokerError(f"The Kafka broker at {settings.brokers} refused: {error}.") from error
    finally:
        admin.close()


def _states(
    admin: Any, settings: Settings, names: list[str], suffix: str, operations: Mapping[str, str] = MappingProxyType({})
) -> list[TopicState]:
    """``operations``: what will be done with a topic, to be named where it may not even be seen."""
    full = {name: topic_name(name, settings, suffix) for name in names}
    described = admin.describe_topics(list(full.values()))
    for entry in described:
        if for_code(entry["error_code"]) is TopicAuthorizationFailedError:
            raise denied(settings, operations.get(entry["name"], "Describe"), f"topic {entry['name']}")
    found = {entry["name"]: entry for entry in described if entry["error_code"] == 0}
    configs = _configs(admin, sorted(found))
    states = []
    for name in names:
        entry = found.get(full[name])
        if entry is None:
            states.append(TopicState(CATALOGUE[name], full[name], None))
            continue
        replicas = [len(partition["replica_nodes"]) for partition in entry["partitions"]]
        states.append(
            TopicState(
                CATALOGUE[name],
                full[name],
                str(entry["topic_id"]),
                partitions=len(entry["partitions"]),
                replication_factor=min(replicas, default=0),
                config=configs.get(full[name], {}),
                allowed=None if (said := entry.get("authorized_operations")) is None else frozenset(said),
            )
        )
    return states


def _configs(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    reported = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return {
        name: {key: entry["value"] for key, entry in entries.items() if entry["value"] is not None}
        for name, entries in reported.items()
    }


def _create(admin: Any, settings: Settings, topics: list[Topic], suffix: str) -> list[str]:
    wanted = {
        topic_name(topic.name, settings, suffix): {
            "num_partitions": topic.partitions(settings),
            "replication_factor": settings.replication_factor,
            "configs": topic.config(settings),
        }
        for topic in topics
    }
    created, refused = [], []
    for answer in admin.create_topics(wanted, raise_errors=False)["topics"]:
        error = for_code(answer["error_code"])
        if answer["error_code"] == 0:
            created.append(answer["name"])
        elif error is InvalidReplicationFactorError:
            raise TopicError(
                f"Kafka at {settings.brokers} cannot keep {settings.replication_factor} copies of {answer['name']}.",
                "Lower EBBTIDE_REPLICATION_FACTOR or add brokers.",
            )
        elif error is TopicAuthorizationFailedError:
            raise denied(settings, "Create", f"topic {answer['name']}")
        elif error is not TopicAlreadyExistsError:  # another worker was quicker; what it made is checked below
            refused.append(f"{answer['name']}: {answer.get('error_message') or error.__name__}")
    if refused:
        raise TopicError(
            f"Kafka at {settings.brokers} did not create {'; '.join(refused)}.",
            "Let this client create topics, or create them yourself as docs/reference.md lists them.",
        )
    return created
