"""Fetched batches say between which positions they were read, also when aiokafka moved the position by itself."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.consumer.subscription_state import TopicPartitionState
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.live.consumer import ConsumerThread
from streams.live.record_batches import Span

CLICKS = TP("clicks", 0)


def fetched_span(monkeypatch: pytest.MonkeyPatch, *, oldest: int | None) -> Span:
    """The span of a fetch at position 57; the broker holds records from ``oldest`` on, None for all."""

    async def fetch() -> Span:
        state = TopicPartitionState(None)
        state.seek(57)
        first = 57 if oldest is None else oldest

        async def answered(*_: Any) -> dict[TP, list[Any]]:
            if oldest is not None:
                state.await_reset(OffsetResetStrategy.EARLIEST)
                state.reset_to(oldest)
            state.consumed_to(first + 3)
            return {CLICKS: [(first, [SimpleNamespace(offset=first + at) for at in range(-2, 3)])]}

        monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", answered)
        thread = ConsumerThread.__new__(ConsumerThread)
        consumer: Any = SimpleNamespace(_fetcher=SimpleNamespace())
        monkeypatch.setattr(ConsumerThread, "_state", lambda self, tp: state)
        batches = await thread._fetch_records(consumer, {CLICKS}, 0.02)
        assert [record.offset for record in batches[CLICKS]] == [first, first + 1, first + 2]
        return batches[CLICKS].span

    return asyncio.run(fetch())


def test_a_fetch_that_goes_on_begins_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetched_span(monkeypatch, oldest=None) == Span(57, 60)


@pytest.mark.parametrize("oldest", [0, 80])
def test_a_fetch_within_which_the_position_was_reset_does_not_look_as_if_it_went_on(
    monkeypatch: pytest.MonkeyPatch, oldest: int
) -> None:
    assert fetched_span(monkeypatch, oldest=oldest) == Span(oldest, oldest + 3)
