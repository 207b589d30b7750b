"""State held against a real broker's topics and group: what is found, and that accepting it mends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer

from streams.core.errors import BrokerError, TopicError
from streams.live.standing import Cause
from streams.live.survey import accept
from streams.topics import CHANGELOG, CLICKS, topic_name
from tests.support.brokers import RunningBroker
from tests.support.installations import Installation

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


@pytest.fixture
def installed(apache_kafka: RunningBroker) -> Installation:
    return Installation(apache_kafka.settings(partitions=1))


def deleted_unread(installed: Installation) -> None:
    installed.applied(4, committed=4)
    installed.delete_below([CLICKS], 7)


def group_ahead(installed: Installation) -> None:
    installed.applied(4, committed=6)


def input_created_anew(installed: Installation) -> None:
    installed.applied(4, committed=4)
    installed.recreate(CLICKS, events=3)


def input_lost_its_end(installed: Installation) -> None:
    """The same facts as after an unclean leader election: more was applied than is there."""
    installed.applied(14, committed=10)


def changelog_created_anew(installed: Installation) -> None:
    installed.applied(4, committed=4)
    installed.recreate(CHANGELOG)


def changelog_lost_its_beginning(installed: Installation) -> None:
    installed.applied(4, committed=4)
    installed.applied(5, committed=4)
    installed.set_cleanup(CHANGELOG, "delete")
    installed.delete_below([CHANGELOG], 3)
    installed.set_cleanup(CHANGELOG, "compact")


def moved_to_another_cluster(installed: Installation) -> None:
    installed.applied(4, committed=4, cluster_id="the one before")


HAPPENED: dict[Callable[[Installation], None], list[str]] = {
    deleted_unread: [Cause.DELETED],
    group_ahead: [Cause.AHEAD] * 3,
    input_created_anew: [Cause.RECREATED],
    input_lost_its_end: [Cause.TRUNCATED] * 3,
    changelog_created_anew: [Cause.LOST] * 3,
    changelog_lost_its_beginning: [Cause.CHANGELOG_CUT],
    moved_to_another_cluster: [Cause.CLUSTER],
}


@pytest.mark.parametrize("happened", HAPPENED, ids=lambda happened: happened.__name__)
def test_it_is_found_and_once_accepted_everything_fits(
    installed: Installation, happened: Callable[[Installation], None]
) -> None:
    happened(installed)
    standings = installed.surveyed()
    assert [misfit.cause for one in standings for misfit in one.misfits] == HAPPENED[happened]
    asyncio.run(accept(installed.settings, standings))
    assert installed.causes() == [[]]


def test_a_topic_created_anew_goes_on_in_a_new_epoch_at_its_oldest_record(installed: Installation) -> None:
    input_created_anew(installed)
    asyncio.run(accept(installed.settings, installed.surveyed()))
    clicks, searches, _ = installed.surveyed()[0].record.inputs
    assert ((clicks.epoch, clicks.next), (searches.epoch, searches.next)) == ((1, 0), (0, 4))


def test_a_group_without_offsets_fits(installed: Installation) -> None:
    """Kafka forgets offsets a week after the last member left; the record does not."""
    installed.applied(4)
    assert installed.causes() == [[]]


def test_nothing_at_all_fits(installed: Installation) -> None:
    assert installed.causes() == [[]]


def test_more_partitions_than_the_state_was_made_with_are_refused_in_every_partition(installed: Installation) -> None:
    installed.applied(4, committed=4)
    installed.more_partitions(2)
    more = replace(installed.settings, partitions=2)
    assert installed.causes(more) == [[Cause.PARTITIONS], [Cause.PARTITIONS]]
    with pytest.raises(TopicError, match="was made with 1 partitions, and now there are 2"):
        asyncio.run(accept(more, installed.surveyed(more)))


def test_while_the_group_has_a_member_nothing_is_accepted(installed: Installation) -> None:
    group_ahead(installed)
    standings = installed.surveyed()

    async def steps() -> None:
        settings = installed.settings
        member = AIOKafkaConsumer(
            topic_name(CLICKS, settings), bootstrap_servers=settings.brokers, group_id=settings.group_id
        )
        await member.start()
        try:
            with pytest.raises(BrokerError, match="has had members for 1 s: a worker runs"):
                await accept(settings, standings, patience_s=1.0)
        finally:
            await member.stop()

    asyncio.run(steps())
    assert installed.causes() == [[Cause.AHEAD] * 3]
