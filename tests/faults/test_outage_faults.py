"""Faults of aiokafka and Faust in an outage of Kafka, each cured; each test fails when the library changes."""

from __future__ import annotations

import asyncio
import gc
import math
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaTimeoutError, NotLeaderForPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from faust.types import TP

from streams.core.errors import BrokerError
from streams.live.app import create_app
from streams.live.connections import new_producer
from streams.live.exits import Exits
from streams.live.outbox import Acked, Message, Producer
from streams.live.reach import Reach
from streams.live.seams import Clock
from streams.live.worker import Worker
from streams.settings import Settings
from tests.support.partition_runs import POLICY

NOWHERE = Settings(brokers="127.0.0.1:9")


class Kafka:
    """A producer of aiokafka's kind whose acks are up to the test, and whose reach has a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reach = Reach("kafka:1", clock=lambda: self.now, now_ms=lambda: round(self.now * 1000))
        self.reach.answered()
        self.full = 0
        self.acks: list[asyncio.Future[Any]] = []
        self.producer = Producer(NOWHERE, ack_timeout_s=60.0, reach=self.reach)
        self.producer._producer = self

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(65_536, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        await asyncio.sleep(0)
        if self.full:
            self.full -= 1
            raise KafkaTimeoutError
        self.acks.append(asyncio.get_running_loop().create_future())
        return self.acks[-1]

    def sending(self) -> asyncio.Task[list[Acked]]:
        return asyncio.create_task(self.producer.send("outputs", 0, [Message(b"k", b"v")]))

    def away(self, seconds: float) -> None:
        self.now += seconds
        self.reach.unanswered()
        self.reach.unanswered()

    def back(self) -> None:
        self.now += 1.0
        self.reach.answered()


async def until(reached: Any) -> None:
    while not reached():
        await asyncio.sleep(0.01)


def test_an_ack_that_an_outage_keeps_is_waited_for() -> None:
    async def steps() -> list[Acked]:
        kafka = Kafka()
        sending = kafka.sending()
        await until(lambda: kafka.acks)
        kafka.away(600.0)
        await asyncio.sleep(0.2)
        assert not sending.done()
        kafka.back()
        await asyncio.sleep(0.2)
        kafka.acks[0].set_result(SimpleNamespace(offset=7))
        return await sending

    assert asyncio.run(steps()) == [(7, 1)]


def test_after_the_outage_an_ack_has_the_whole_timeout_and_then_the_send_fails() -> None:
    async def steps() -> None:
        kafka = Kafka()
        kafka.now += 59.0
        sending = kafka.sending()
        await until(lambda: kafka.acks)
        kafka.away(600.0)
        kafka.back()
        for _ in range(58):
            kafka.back()
        await asyncio.sleep(0.2)
        assert not sending.done()
        for _ in range(5):
            kafka.back()
        await sending

    with pytest.raises(BrokerError, match="can be reached, but did not acknowledge within 60 s"):
        asyncio.run(steps())


def test_a_batch_that_aiokafka_could_not_queue_in_time_is_offered_again() -> None:
    """``send_batch`` waits for the batch before it no longer than a request may take, then raises."""

    async def steps() -> list[Acked]:
        kafka = Kafka()
        kafka.full = 3
        sending = kafka.sending()
        await until(lambda: kafka.acks)
        kafka.acks[0].set_result(SimpleNamespace(offset=7))
        return await sending

    assert asyncio.run(steps()) == [(7, 1)]


def queued(accumulator: MessageAccumulator) -> Any:
    builder = accumulator.create_builder()
    builder.append(key=b"k", value=b"v", timestamp=None)
    builder.close()
    return accumulator._append_batch(builder, TopicPartition("outputs", 0))


def test_aiokafka_still_fails_an_old_batch_that_has_no_leader() -> None:
    """When this fails, ``new_producer`` need no longer touch ``_batch_ttl``."""

    async def steps() -> None:
        accumulator = MessageAccumulator(ClusterMetadata(), 65_536, 0, batch_ttl=0.0)
        batch = queued(accumulator)
        await asyncio.sleep(0.01)
        accumulator.drain_by_nodes(ignore_nodes=set())
        assert isinstance(batch.future.exception(), NotLeaderForPartitionError)

    asyncio.run(steps())


def test_our_producer_keeps_a_batch_however_old_it_is() -> None:
    """A broker that comes back has no leaders at first: just then every batch is old."""

    async def steps() -> None:
        producer = new_producer(NOWHERE, idempotent=False, batch_bytes=65_536)
        batch = queued(producer._message_accumulator)
        producer._message_accumulator.drain_by_nodes(ignore_nodes=set())
        assert batch._ttl == math.inf
        assert not batch.future.done()
        await producer.stop()

    asyncio.run(steps())


def test_one_lost_request_leaves_time_for_another_before_the_ack_timeout() -> None:
    async def steps() -> float:
        producer = new_producer(
            Settings(ack_timeout_s=60.0, request_timeout_s=90.0), idempotent=False, batch_bytes=65_536
        )
        await producer.stop()
        return float(producer._request_timeout_ms) / 1000

    assert asyncio.run(steps()) <= 30.0


async def _forgotten(reach: Reach) -> tuple[list[str], Any]:
    """What happens to the owners of a member whose id the group no longer knows."""
    did: list[str] = []

    class Owners:
        async def take(self, partitions: frozenset[int], generation: int) -> dict[TP, int]:
            return {}

        async def release(self) -> None:
            did.append("release")

        async def abandon(self) -> None:
            did.append("abandon")

    app = create_app(Settings(), Owners(), lambda event: None, Exits(lambda code: None), reach)
    consumer = app.input_consumer
    thread = consumer._thread

    async def nothing(*given: Any, **named: Any) -> None:
        return None

    patched: Any = consumer
    patched._thread = SimpleNamespace(member_id=lambda: "")
    patched.commit = nothing
    patched._on_partitions_revoked = nothing
    await consumer.on_partitions_revoked({TP("clicks", 0)})
    thread.thread_loop.close()
    return did, consumer


def test_a_member_that_the_group_forgot_during_an_outage_drops_everything_and_joins_again() -> None:
    reach = Reach()
    reach.unanswered()
    reach.unanswered()
    did, consumer = asyncio.run(_forgotten(reach))
    assert did == ["abandon"]
    assert not consumer.thrown_out


def test_23_a_member_that_was_forgotten_without_an_outage_was_silent_itself_and_ends() -> None:
    did, consumer = asyncio.run(_forgotten(Reach()))
    assert did == ["release"]
    assert consumer.thrown_out


def test_a_worker_that_is_made_and_never_started_leaves_no_client_behind() -> None:
    """The HTTP port is taken: the one clear line was followed by asyncio's 'Unclosed AIOKafkaConsumer'."""
    complaints: list[Any] = []

    async def steps() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        Worker(NOWHERE, POLICY, Clock(), with_trainer=True)
        gc.collect()

    asyncio.run(steps())
    assert complaints == []
