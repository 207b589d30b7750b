"""Outages: when one begins and ends, and that neither waiting nor silence counts during it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from streams.core.errors import AccessError, BrokerError
from streams.live import reach as reach_module
from streams.live.reach import Probe, Reach
from streams.settings import Settings


class At:
    """A reach with a clock of its own, s."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.reach = Reach("kafka:1", clock=lambda: self.now, now_ms=lambda: round(self.now * 1000))

    def there(self, until: float) -> None:
        while self.now < until:
            self.now += 1.0
            self.reach.answered()

    def gone(self, until: float) -> None:
        while self.now < until:
            self.now += 1.0
            self.reach.unanswered()


@pytest.fixture
def at() -> At:
    return At()


def test_a_reach_that_nobody_probes_counts_all_of_the_time(at: At) -> None:
    since = at.reach.now()
    at.now += 500.0
    assert at.reach.waited_s(since) == 500.0


def test_one_probe_without_an_answer_is_no_outage(at: At) -> None:
    at.there(1_010.0)
    at.gone(1_011.0)
    assert not at.reach.away


def test_two_are_and_it_began_with_the_last_answer(at: At) -> None:
    at.there(1_010.0)
    at.gone(1_012.0)
    assert at.reach.away
    assert at.reach.away_s == 2.0
    assert at.reach.not_reached() == "no Kafka broker answers at kafka:1 for 2 s"


def test_waiting_stands_still_during_an_outage(at: At) -> None:
    at.there(1_010.0)
    since = at.reach.now()
    at.gone(1_610.0)
    assert at.reach.waited_s(since) == reach_module.DOUBT_S


def test_waiting_begins_anew_at_the_end_of_an_outage(at: At) -> None:
    at.there(1_010.0)
    since = at.reach.now() - 50.0
    at.gone(1_610.0)
    at.there(1_615.0)
    assert at.reach.waited_s(since) == 4.0


def test_waiting_counts_in_full_while_brokers_answer(at: At) -> None:
    at.there(1_010.0)
    since = at.reach.now()
    at.there(1_100.0)
    assert at.reach.waited_s(since) == 90.0


def test_silence_does_not_count_an_outage(at: At) -> None:
    at.there(1_010.0)
    at.gone(1_610.0)
    at.there(1_620.0)
    assert at.reach.counted_ms(1_000_000, 1_620_000) == 10_000 + 9_000


def test_silence_stands_still_while_an_outage_goes_on(at: At) -> None:
    at.there(1_010.0)
    at.gone(1_610.0)
    assert at.reach.counted_ms(1_000_000, 1_610_000) == 10_000


def test_an_outage_before_the_newest_record_takes_nothing_from_the_silence_after_it(at: At) -> None:
    at.there(1_010.0)
    at.gone(1_610.0)
    at.there(1_700.0)
    assert at.reach.counted_ms(1_650_000, 1_700_000) == 50_000


def test_it_is_told_when_it_begins_then_once_a_minute_then_when_it_is_over(
    at: At, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        at.there(1_010.0)
        at.gone(1_195.0)
        at.there(1_200.0)
    assert [record.message.partition(".")[0] for record in caplog.records] == [
        "No Kafka broker answers at kafka:1",
        "Still no Kafka broker answers at kafka:1, for 62 s",
        "Still no Kafka broker answers at kafka:1, for 122 s",
        "Still no Kafka broker answers at kafka:1, for 182 s",
        "Kafka at kafka:1 answers again, after 186 s",
    ]


async def _through(reach: Reach, errors: list[Exception], within_s: float) -> str:
    async def step() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    return await reach.through(step, within_s)


def test_a_step_is_done_again_where_a_broker_was_away(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach_module, "RETRY_EVERY_S", 0.0)
    errors: list[Exception] = [KafkaConnectionError(), BrokerError("away"), TimeoutError()]
    assert asyncio.run(_through(at.reach, errors, 5.0)) == "done"


def test_a_step_that_fails_for_too_long_while_brokers_answer_fails(at: At) -> None:
    at.there(1_010.0)

    async def step() -> None:
        at.there(at.now + 3.0)
        raise BrokerError("no leader")

    with pytest.raises(BrokerError, match="no leader"):
        asyncio.run(at.reach.through(step, 5.0))
    assert at.now <= 1_017.0


@pytest.mark.parametrize("error", [AccessError("denied"), TopicAuthorizationFailedError(), ValueError("a bug")])
def test_what_waiting_does_not_mend_is_raised_at_once(at: At, error: Exception) -> None:
    with pytest.raises(type(error)):
        asyncio.run(_through(at.reach, [error], 60.0))


def test_a_probe_of_a_port_where_nobody_listens_finds_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach_module, "PROBE_EVERY_S", 0.01)
    told: list[bool] = []
    reach = Reach("127.0.0.1:9")

    async def steps() -> None:
        probe = asyncio.create_task(
            Probe(Settings(brokers="127.0.0.1:9"), "clicks", reach, lambda there, s: told.append(there)).run()
        )
        async with asyncio.timeout(60):
            while not reach.away and not probe.done():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        if probe.done():
            probe.result()
        probe.cancel()
        await asyncio.wait([probe])

    asyncio.run(steps())
    assert told[0]
    assert not told[-1]


def turned_away(at: At, found: list[BrokerError | None], every_s: float) -> int:
    """How many looks it took until the probe had enough."""
    probe = Probe(Settings(), "clicks", at.reach, look=lambda settings: found.pop(0))
    looks = len(found)
    try:
        while found:
            asyncio.run(probe._refuse_if_turned_away())
            at.now += every_s
    except AccessError:
        return looks - len(found)
    return 0


def test_who_is_turned_away_twice_in_a_row_ends_instead_of_waiting(at: At) -> None:
    at.gone(at.now + 3)
    assert turned_away(at, [AccessError("no"), AccessError("no")], reach_module.LOOK_EVERY_S) == 2


def test_once_turned_away_by_a_broker_that_just_starts_is_waited_for(at: At) -> None:
    at.gone(at.now + 3)
    found: list[BrokerError | None] = [AccessError("no"), None, AccessError("no"), BrokerError("hung up")]
    assert turned_away(at, found, reach_module.LOOK_EVERY_S) == 0


def test_nobody_looks_while_a_broker_answers(at: At) -> None:
    at.there(at.now + 3)
    probe = Probe(Settings(), "clicks", at.reach, look=lambda settings: pytest.fail("it looked"))
    asyncio.run(probe._refuse_if_turned_away())
