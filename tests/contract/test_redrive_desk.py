"""A redrive's ledger and letters on a broker; what a killed run leaves is in test_publish_to_broker, on each broker."""

from __future__ import annotations

import pytest

from streams.core.errors import RedriveError
from streams.replay.letters import Standing
from streams.replay.redrive import Redrive
from streams.replay.redrive_desk import KafkaDesk, StoredLetters, stored_ledger
from streams.settings import Settings
from tests.support.brokers import RunningBroker
from tests.support.redriven_letters import LEASE_MS, write_letters


@pytest.fixture(scope="module")
def settings(embedded_broker: RunningBroker) -> Settings:
    """Topics of their own, with letters."""
    settings = embedded_broker.settings(ack_timeout_s=30.0)
    write_letters(settings)
    return settings


def test_the_ledger_is_empty_where_nothing_was_redriven(settings: Settings) -> None:
    ledger = stored_ledger(settings, LEASE_MS)
    standings = {letter.standing(ledger.standing(letter.id)) for letter in StoredLetters(settings).read()}
    assert standings == {Standing.OPEN}


def test_a_single_letter_is_found_by_its_place(settings: Settings) -> None:
    stored = StoredLetters(settings)
    assert [stored.one(1, offset).origin_offset for offset in (0, 1)] == [1, 5]
    for place, told in (((1, 2), "no letter at offset 2"), ((7, 0), "only 0 to 3")):
        with pytest.raises(RedriveError, match=told):
            stored.one(*place)


def test_two_at_once_are_one_after_the_other(settings: Settings) -> None:
    waited: list[float] = []
    with KafkaDesk(settings) as first, Redrive(first, "first", 600_000) as holder, KafkaDesk(settings) as second:

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            holder.drop([f"purchases-0-{len(waited)}-00000000"])  # a sign of life

        with pytest.raises(RedriveError, match="at work"):
            Redrive(second, "second", 600_000, sleep=sleep).__enter__()
    assert waited
