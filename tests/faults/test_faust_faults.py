"""One test per fault of Faust and aiokafka that the live shell stands on; each fails when the library changes.

Numbers are those of FAUST.md's *What bites*; names with three digits are issues of faust-streaming/faust. The faults
that need a broker are in tests/integration/test_live_faults.py and test_live_guarantees.py.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any

import aiokafka
import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.core.cleaning import CleaningPolicy
from streams.core.errors import BrokerError, TopicError
from streams.live.app import EbbtideApp, create_app
from streams.live.changelog import ChangelogReader
from streams.live.consumer import POLL_S, Consumer, ConsumerThread
from streams.live.exits import BUG_EXIT_CODE, Exits, Watchdog
from streams.live.inputs import InputBuffer
from streams.live.outbox import Message, Part, Producer
from streams.live.rebalance import TakingRecovery, owned_partitions
from streams.live.record_batches import Fetched, RecordBatch, Span
from streams.settings import Settings

CLICKS = TP("clicks", 0)


def looped(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own: Faust's objects want one when they are made."""

    @functools.wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return run


@pytest.fixture(autouse=True)
def _threads_that_never_ran_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A consumer's thread makes its event loop before it starts; here it never does."""
    made: list[ConsumerThread] = []
    original = ConsumerThread.__init__

    def remember(thread: ConsumerThread, *given: Any, **named: Any) -> None:
        original(thread, *given, **named)
        made.append(thread)

    monkeypatch.setattr(ConsumerThread, "__init__", remember)
    yield
    for thread in made:
        thread.thread_loop.close()


class NoOwners:
    """Owners of nothing."""

    async def take(self, partitions: frozenset[int], generation: int) -> dict[TP, int]:
        return {}

    async def release(self) -> None:
        return None

    async def abandon(self) -> None:
        return None


def app_with(
    deliver: Callable[[Any], None] = lambda event: None, codes: list[int] | None = None, owners: Any = None
) -> EbbtideApp:
    exits = Exits(leave=(codes if codes is not None else []).append)
    return create_app(Settings(), owners or NoOwners(), deliver, exits)


def fetched(first: int, last: int, before: int | None = None) -> Fetched:
    records = [
        SimpleNamespace(offset=offset, timestamp=1_000, key=b"ann", value=b"{", headers=())
        for offset in range(first, last + 1)
    ]
    return Fetched(records, Span(first if before is None else before, last + 1))


# -- settings ------------------------------------------------------------------------------------------------------


@looped
async def test_6_the_unusable_exactly_once_is_off() -> None:
    assert not app_with().in_transaction


@looped
async def test_9_and_138_an_idle_worker_does_not_leave_the_group_for_weeks() -> None:
    assert app_with().conf.broker_max_poll_interval > 14 * 24 * 3600


@looped
async def test_12_no_web_server_shows_state_to_the_network() -> None:
    assert not app_with().conf.web_enabled


@looped
async def test_14_faust_creates_no_topics() -> None:
    assert not app_with().conf.topic_allow_declare


@looped
async def test_15_and_16_logging_is_ours_and_prints_are_left_alone() -> None:
    assert not app_with().conf.worker_redirect_stdouts
    assert logging.getLogger().level != logging.DEBUG


@looped
async def test_15_there_is_no_prometheus_sensor() -> None:
    assert [type(sensor).__name__ for sensor in app_with().sensors] == []


@looped
async def test_17_the_session_timeout_is_set_and_not_defaulted() -> None:
    app = create_app(Settings(session_timeout_s=7.0, heartbeat_s=2.0), NoOwners(), print, Exits())
    assert (app.conf.broker_session_timeout, app.conf.broker_heartbeat_interval) == (7.0, 2.0)


@looped
async def test_18_there_are_no_standbys() -> None:
    assert app_with().conf.table_standby_replicas == 0


# -- 1, #596 -------------------------------------------------------------------------------------------------------


@looped
async def test_faust_596_nothing_flows_before_the_positions_are_set() -> None:
    """Stock recovery resumes partitions first and clears what was read meanwhile."""
    happened: list[str] = []

    class Watching(NoOwners):
        async def take(self, partitions: frozenset[int], generation: int) -> dict[TP, int]:
            assert not app.flow_control.is_active()
            assert not app.input_consumer.flow_active
            happened.append("taken")
            return {CLICKS: 7}

    app = app_with(owners=Watching())
    app._fetcher = SimpleNamespace(maybe_start=_nothing)  # type: ignore[assignment]
    consumer = app.input_consumer
    _patch(consumer, "assignment", lambda: {TP(topic, 0) for topic in app.input_topics})

    async def start_from(positions: Any) -> None:
        assert not app.flow_control.is_active()
        assert not consumer.flow_active
        happened.append(f"at {positions[CLICKS]}")

    _patch(consumer, "start_from", start_from)
    app.consumer_generation_id = 3

    async def steps() -> None:
        await TakingRecovery(app, app.tables)._resume_streams(3)

    await steps()
    assert happened == ["taken", "at 7"]
    assert app.flow_control.is_active()
    assert consumer.flow_active


@looped
async def test_faust_596_records_fetched_before_positions_moved_are_never_delivered() -> None:
    app = app_with()
    consumer = app.input_consumer
    delivered: list[Any] = []
    consumer.callback = _recorder(delivered)
    fetches = 0

    async def getmany(active: set[TP], timeout: float) -> dict[TP, Fetched]:
        nonlocal fetches
        fetches += 1
        if fetches == 1:
            consumer.epoch += 1  # positions were set while the fetch was on its way
        else:
            consumer._stopped.set()
        return {CLICKS: fetched(0, 4)}

    _patch(consumer, "_thread", SimpleNamespace(getmany=getmany, highwater=lambda tp: 5))
    consumer._active_partitions = {CLICKS}
    await consumer._drain_messages(SimpleNamespace(should_stop=False))
    assert len(delivered) == 1


# -- 2, 3 ----------------------------------------------------------------------------------------------------------


@looped
async def test_2_an_exception_while_handing_over_ends_the_process_instead_of_being_acked() -> None:
    codes: list[int] = []

    def broken(event: Any) -> None:
        raise ValueError("a fault of ours")

    async def steps() -> None:
        app = app_with(broken, codes)
        agent = next(iter(app.agents.values()))
        async with agent.test_context() as running:
            await running.put(fetched(0, 0))

    await steps()
    assert codes == [BUG_EXIT_CODE]


@looped
async def test_2_batches_are_not_acked_by_faust() -> None:
    acked: list[bool] = []

    async def steps() -> None:
        app = app_with(lambda event: acked.append(event.message.acked))
        agent = next(iter(app.agents.values()))
        async with agent.test_context() as running:
            event = await running.put(fetched(0, 0))
            assert not event.message.acked

    await steps()
    assert acked == [False]


class FakeProducer:
    """An aiokafka producer whose acks are up to the test."""

    def __init__(self, outcome: Exception | int | None) -> None:
        self.outcome = outcome
        self.closed: list[bool] = []

    def create_batch(self) -> Any:
        from aiokafka.producer.message_accumulator import BatchBuilder

        return BatchBuilder(65_536, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        self.closed.append(batch.closed())
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(self.outcome, Exception):
            future.set_exception(self.outcome)
        elif self.outcome is not None:
            future.set_result(SimpleNamespace(offset=self.outcome))
        return future


def sending(outcome: Exception | int | None, ack_timeout_s: float = 60.0) -> tuple[Producer, FakeProducer]:
    producer = Producer(Settings(brokers="127.0.0.1:9"), ack_timeout_s=ack_timeout_s)
    fake = FakeProducer(outcome)
    producer._producer = fake
    return producer, fake


@looped
async def test_3_a_send_error_is_raised_to_whoever_sent() -> None:
    producer, _ = sending(KafkaError("no"))
    with pytest.raises(BrokerError, match="refused"):
        await producer.send("outputs", 0, [Message(b"k", b"v")])


@looped
async def test_26_without_an_ack_the_wait_ends() -> None:
    producer, _ = sending(None, ack_timeout_s=0.01)
    with pytest.raises(BrokerError, match="did not acknowledge"):
        await producer.send("outputs", 0, [Message(b"k", b"v")])


@looped
async def test_26_batches_are_closed_before_they_are_sent_else_they_linger() -> None:
    producer, fake = sending(40)
    await producer.send("outputs", 0, [Message(b"k", b"v")])
    assert fake.closed == [True]


@looped
async def test_26_what_does_not_fit_one_batch_goes_into_the_next() -> None:
    producer, fake = sending(40)
    sent = await producer.send("outputs", 0, [Message(b"k", b"v" * 30_000)] * 5)
    assert [count for _, count in sent] == [2, 2, 1]
    assert len(fake.closed) == 3


@looped
async def test_3_what_goes_to_several_partitions_is_acked_by_partition() -> None:
    producer, _ = sending(40)
    parts = [Part("scores", 1, [Message(b"k", b"v" * 30_000)] * 3), Part("marks", 0, [])]
    assert await producer.send_all(parts) == [[(40, 2), (40, 1)], []]


@looped
async def test_3_a_refusal_names_the_partition_that_refused() -> None:
    producer, fake = sending(40)
    taken = fake.send_batch

    async def all_but_one(batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        fake.outcome = KafkaError("no") if topic == "marks" else 40
        return await taken(batch, topic, partition=partition)

    _patch(fake, "send_batch", all_but_one)
    with pytest.raises(BrokerError, match="marks, partition 7"):
        await producer.send_all([Part("scores", 1, [Message(b"k", b"v")]), Part("marks", 7, [Message(b"k", b"v")])])


# -- 8 -------------------------------------------------------------------------------------------------------------


@looped
async def test_8_faust_176_and_651_a_restore_that_stalls_ends_instead_of_waiting_for_ever() -> None:
    class Silent:
        async def __aenter__(self) -> Any:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        def seek(self, tp: Any, offset: int) -> None:
            return None

        async def getmany(self, *tps: Any, timeout_ms: int) -> dict[Any, Any]:
            await asyncio.sleep(0.001)
            return {}

        async def position(self, tp: Any) -> int:
            return 0

    reader = ChangelogReader(Settings(brokers="127.0.0.1:9"), "changelog", 0, stall_s=0.01)
    _patch(reader, "_consumer", Silent)

    async def steps() -> None:
        async for _ in reader.read(0, 9):
            raise AssertionError("nothing was to come")

    with pytest.raises(BrokerError, match="stalled at offset 0 of 9"):
        await steps()


# -- 20, 21 --------------------------------------------------------------------------------------------------------


@looped
async def test_20_the_committed_offset_goes_on_after_a_first_batch_of_only_offset_0() -> None:
    consumer = app_with().input_consumer
    committed = []
    for newest in (0, 50, 150):
        consumer._acked[CLICKS].append(newest)
        offset = consumer._new_offset(CLICKS)
        assert offset is not None
        assert consumer._should_commit(CLICKS, offset)
        consumer._committed_offset[CLICKS] = offset
        committed.append(offset)
    assert committed == [1, 51, 151]


@looped
async def test_20_stock_faust_still_sticks_there() -> None:
    """When this fails, the override of ``_new_offset`` may go."""
    consumer = app_with().input_consumer
    consumer._committed_offset[CLICKS] = 1
    consumer._acked[CLICKS].append(50)
    assert driver.Consumer._new_offset(consumer, CLICKS) is None


@looped
async def test_21_a_fetch_waits_no_longer_than_20_ms() -> None:
    app = app_with()
    consumer = app.input_consumer
    timeouts: list[float] = []

    async def getmany(active: set[TP], timeout: float) -> dict[TP, Fetched]:
        timeouts.append(timeout)
        consumer._stopped.set()
        return {}

    _patch(consumer, "_thread", SimpleNamespace(getmany=getmany))
    consumer._active_partitions = {CLICKS}
    await consumer._drain_messages(SimpleNamespace(should_stop=False))
    assert timeouts == [POLL_S] == [0.02]


@looped
async def test_21_few_batches_wait_in_fausts_own_queue() -> None:
    assert app_with().conf.stream_buffer_maxsize <= 4


# -- 23 ------------------------------------------------------------------------------------------------------------


async def _revoked(member_id: str) -> Consumer:
    app = app_with()
    consumer = app.input_consumer
    _patch(consumer, "_thread", SimpleNamespace(member_id=lambda: member_id))
    _patch(consumer, "commit", _nothing)
    consumer._on_partitions_revoked = _nothing

    async def steps() -> None:
        await consumer.on_partitions_revoked({CLICKS})

    await steps()
    return consumer


@looped
async def test_23_a_member_that_the_group_forgot_while_it_held_partitions_is_thrown_out() -> None:
    assert (await _revoked("")).thrown_out


@looped
async def test_23_a_member_that_merely_rebalances_is_not() -> None:
    assert not (await _revoked("member-1")).thrown_out


@looped
async def test_23_who_was_thrown_out_exits_and_does_not_rejoin() -> None:
    codes: list[int] = []
    app = app_with(codes=codes)
    app.input_consumer.thrown_out = True
    _patch(app.input_consumer, "assignment", set)
    await TakingRecovery(app, app.tables)._resume_streams(0)
    assert codes == [1]


# -- 24 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@looped
async def test_24_partition_n_of_all_inputs_goes_to_one_worker(workers: int) -> None:
    app = app_with()
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: set(range(4)))
    assignor: Any = app.assignor
    metadata = assignor._metadata.dumps()
    members = {
        f"worker-{n}": ConsumerProtocolMemberMetadata(4, list(app.input_topics), metadata) for n in range(workers)
    }
    given = assignor.assign(cluster, members)
    owned = []
    for assignment in given.values():
        tps = [TP(topic, partition) for topic, partitions in assignment.assignment for partition in partitions]
        owned += sorted(owned_partitions(tps, app.input_topics))
    assert sorted(owned) == [0, 1, 2, 3]


@looped
async def test_24_faust_takes_its_copartitioned_assignor_for_us_although_there_are_no_tables() -> None:
    app = app_with()
    assert not app.tables
    assert app.tables.changelog_topics == {"ebbtide-changelog"}


@looped
async def test_24_scattered_partitions_are_refused() -> None:
    with pytest.raises(TopicError, match="different partitions"):
        owned_partitions([TP("clicks", 0), TP("searches", 0), TP("purchases", 1)], ["clicks", "searches", "purchases"])


# -- 17, 28 --------------------------------------------------------------------------------------------------------


@looped
async def test_17_a_stop_that_takes_too_long_is_cut_short() -> None:
    codes: list[int] = []
    now = [0.0]
    watchdog = Watchdog(0.04, BrokerError("late"), Exits(leave=codes.append), clock=lambda: now[0])
    now[0] = 1.0
    watchdog.start()
    watchdog.join(10)
    assert codes == [1]


@looped
async def test_17_aiokafka_still_does_not_leave_in_generation_0() -> None:
    """When this fails, ``ConsumerThread.on_thread_stop`` may go."""
    from aiokafka.consumer.group_coordinator import GroupCoordinator

    sent: list[Any] = []
    coordinator = SimpleNamespace(
        generation=0,
        _group_instance_id=None,
        group_id="g",
        member_id="m",
        _send_req=_recorder(sent),
        reset_generation=lambda: None,
    )
    await GroupCoordinator._maybe_leave_group(coordinator)
    assert sent == []


def buffer() -> InputBuffer:
    return InputBuffer("clicks", 0, 0, CleaningPolicy(), start=0, reached=-1)


@looped
async def test_28_gaps_in_offsets_are_fine_where_the_consumer_went_over_them_itself() -> None:
    inputs = buffer()
    inputs.add(fetched(0, 3), lambda: None)
    inputs.add(fetched(9, 12, before=4), lambda: None)
    assert inputs.received == 13


@looped
async def test_28_a_jump_that_the_consumer_did_not_make_is_never_passed_over() -> None:
    inputs = buffer()
    inputs.add(fetched(0, 3), lambda: None)
    with pytest.raises(TopicError, match="jumped from offset 4 to 9"):
        inputs.add(fetched(9, 12), lambda: None)


@looped
async def test_28_a_batch_is_acked_by_the_position_behind_it_and_not_by_its_last_record() -> None:
    batch = RecordBatch(CLICKS, Fetched(fetched(0, 3), Span(0, 6)))  # two control records stand behind it
    assert batch.offset + 1 == 6


@looped
async def test_the_installed_libraries_are_those_these_facts_were_read_from() -> None:
    import faust

    assert (faust.__version__, aiokafka.__version__) == ("0.15.3", "0.14.0")


# -- helpers -------------------------------------------------------------------------------------------------------


def _patch(target: Any, name: str, value: Any) -> None:
    setattr(target, name, value)


async def _nothing(*_: Any, **__: Any) -> None:
    return None


def _recorder(into: list[Any]) -> Callable[..., Awaitable[None]]:
    async def record(thing: Any) -> None:
        into.append(thing)

    return record
