"""Faust's consumer with its faults cured: what is fetched, what is committed, who gets which partitions.

Each override names the fact of FAUST.md it answers. Everything else is Faust's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import aiokafka
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.live.bounds import LogBounds
from streams.live.header_names import read_any_header_name
from streams.live.reach import Reach
from streams.live.record_batches import Fetched, Span
from streams.live.whole_batches import WHOLE, hand_over_whole_batches

log = logging.getLogger(__name__)

read_any_header_name()
hand_over_whole_batches()

EXCUSED_S: Final = 120.0
"""An outage explains for this long after its end why the group forgot us: lost requests run out one by one."""
POLL_S: Final = 0.02
"""Longest wait for records: a partition that is resumed does not wake a fetch that already waits (FAUST.md 21)."""
GATHER_BYTES: Final = 64 * 1024
"""A broker that has so much answers a fetch at once, however long it may wait."""
ALONE_MS: Final = 500
"""How long a fetch waits for the first record after a silence."""
FIRST_MS: Final = 10
"""And as long as some partition was not heard of: a worker is ready once it was heard of all."""


class FetchState(NamedTuple):
    """What the broker said last about one partition."""

    position: int
    highwater: int
    answered_ms: int
    """Wall time of the fetch that said so."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer: fetches keep the positions they were read between.

    While records come, the broker gathers them: a fetch is answered once it has :data:`GATHER_BYTES` or ``gather_ms``
    have passed, whichever is first. So slices are closed by size or by time where that costs nothing, for all
    partitions at once. After a silence the first record is handed out at once.
    """

    gather_ms = 0
    """The app sets it; 0 gathers nothing."""

    _answered: frozenset[TP] = frozenset()
    """Partitions of which the broker has said where they end, since reading was last moved."""

    def ask_anew(self) -> None:
        """Reading goes on elsewhere: of no partition is known where it ends."""
        self._answered = frozenset()
        if self._consumer is not None:
            self._consumer._fetcher._fetch_max_wait_ms = FIRST_MS

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[TP, Fetched]:
        before = {
            tp: (state.position, state._position_fut)
            for tp in active_partitions
            if (state := self._state(tp)) is not None
        }
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        self._gather(consumer, any(fetched.values()), active_partitions)
        batches: dict[TP, Fetched] = {}
        for tp, portions in fetched.items():
            state = self._state(tp)
            records = [record for wanted, batch in portions for record in batch if record.offset >= wanted]
            if state is not None and records:
                position, placed = before.get(tp, (records[0].offset, None))
                # Where our offset is gone aiokafka goes to the oldest one by itself, maybe within this very fetch: then
                # these records do not follow on what was read before, and must not look as if they did.
                start = position if placed is state._position_fut else records[0].offset
                batches[TP(tp.topic, tp.partition)] = Fetched(records, Span(start, state.position))
        return batches

    def _gather(self, consumer: aiokafka.AIOKafkaConsumer, records_come: bool, active: set[TP]) -> None:
        """How the next fetch is asked for: until every partition was heard of, none waits for records."""
        if not active <= self._answered:
            self._answered = frozenset(tp for tp in active if self.fetch_state(tp) is not None)
        gathers = records_come and self.gather_ms > 0
        consumer._fetcher._fetch_min_bytes = GATHER_BYTES if gathers else 1
        alone_ms = ALONE_MS if active <= self._answered else FIRST_MS
        consumer._fetcher._fetch_max_wait_ms = self.gather_ms if gathers else alone_ms

    def _create_consumer(self, *given: Any, **more: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_consumer(*given, **more)
        consumer._fetch_max_wait_ms = FIRST_MS  # Faust's first one would wait 1.5 s
        consumer._key_deserializer = WHOLE  # records as they are unpacked: an object with twelve fields costs as much
        return consumer

    heard_at = 0.0
    """When the group last knew us, on the monotonic clock."""

    async def on_start(self) -> None:
        await super().on_start()
        coordinator = getattr(self._consumer, "_coordinator", None)
        if coordinator is not None:
            coordinator._do_heartbeat = self._heard(coordinator._do_heartbeat)

    def _heard(self, heartbeat: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        async def noted() -> bool:
            asked_at = time.monotonic()
            if known := await heartbeat():
                self.heard_at = asked_at
            return known

        return noted

    async def on_thread_stop(self) -> None:
        coordinator = getattr(self._consumer, "_coordinator", None)
        # FAUST.md 17: aiokafka leaves the group only from generation 1 on, and the embedded broker counts from 0.
        # Without leaving, the next start waits for the session timeout. The request itself carries no generation.
        if coordinator is not None and coordinator.generation == 0 and coordinator.member_id:
            coordinator.generation = 1
        await super().on_thread_stop()

    def fetch_state(self, tp: TP) -> FetchState | None:
        """None before the first answer since the partition was assigned."""
        state = self._state(tp)
        if state is None or state.highwater is None or state.timestamp is None:
            return None
        return FetchState(state.position, state.highwater, state.timestamp)

    async def committed(self, tps: Sequence[TP]) -> dict[TP, int | None]:
        """The group's offsets."""
        return cast(dict[TP, int | None], await self.call_thread(self._committed, tps))

    async def _committed(self, tps: Sequence[TP]) -> dict[TP, int | None]:
        consumer = self._ensure_consumer()
        return {tp: await consumer.committed(driver.ensure_aiokafka_TP(tp)) for tp in tps}

    def member_id(self) -> str:
        """The id the group coordinator knows this consumer by; empty before it joined."""
        consumer = self._consumer
        coordinator = None if consumer is None else getattr(consumer, "_coordinator", None)
        return str(getattr(coordinator, "member_id", "") or "")

    def _state(self, tp: TP) -> Any:
        consumer = self._consumer
        subscription = None if consumer is None else consumer._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or not assignment.active:
            return None
        try:
            state = assignment.state_value(driver.ensure_aiokafka_TP(tp))
        except KeyError:
            return None
        return state if state is not None and state.has_valid_position else None


class Consumer(driver.Consumer):
    """The consumer of the three inputs."""

    before_revoke: Callable[[], Awaitable[None]] | None = None
    """Called when partitions are about to be revoked: the owners finish their slice and let go of the rest."""

    when_forgotten: Callable[[], Awaitable[None]] | None = None
    """Called instead where the group forgot us during an outage: the owners drop everything."""

    reach = Reach()
    """Knows of outages. The app puts its own."""

    bounds: LogBounds
    """Where the inputs begin and end. The app puts it."""

    epoch = 0
    """Counts the moments at which positions may have moved: records fetched across one of them are stale."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def thread(self) -> ConsumerThread:
        return cast(ConsumerThread, self._thread)

    def stop_flow(self) -> None:
        self.epoch += 1
        super().stop_flow()

    thrown_out = False
    """The group forgot this member while it held partitions: others own them now (FAUST.md 23)."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # A member that the coordinator no longer knows has lost its id by now; one that merely rebalances has it.
        forgotten = bool(revoked) and not self.thread.member_id() and not self.transport.app.should_stop
        self.stop_flow()
        if forgotten and self.when_forgotten is not None and self.reach.was_away(EXCUSED_S):
            log.warning("The group forgot this worker during the outage: it drops what it held and joins again.")
            await self.when_forgotten()
        else:
            self.thrown_out = self.thrown_out or forgotten
            # Before Faust forgets what was acked: finish the slices, then commit what they acked.
            if self.before_revoke is not None:
                await self.before_revoke()
            await self.commit()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.thread.heard_at = time.monotonic()
        await super().on_partitions_assigned(assigned, generation_id)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """FAUST.md 20: batches are acked in order, so there are no gaps to be remembered."""

    def _new_offset(self, tp: TP) -> int | None:
        """FAUST.md 20: commit the newest ack + 1; Faust's own search sticks when the first fetch holds offset 0."""
        acked = self._acked[tp]
        if not acked:
            return None
        offset: int = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return offset

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The oldest offset that is left of each."""
        return await self.bounds.oldest(partitions)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The offset that comes next in each."""
        return await self.bounds.ends(partitions)

    async def start_from(self, positions: Mapping[TP, int]) -> None:
        """Move to ``positions`` while the flow is stopped; what was fetched before is forgotten."""
        await self.bounds.close()
        self.epoch += 1
        self._buffered_partitions.clear()
        for tp, offset in positions.items():
            self._committed_offset[tp] = offset or None
        self.thread.ask_anew()
        await self.thread.seek_wait(dict(positions))
        self.epoch += 1

    async def _drain_messages(self, fetcher: Any) -> None:
        """The fetch loop, in place of Faust's, which skips records after a recovery (#596) and starves (FAUST.md 21).

        Records fetched while positions moved are dropped here, never half delivered: whoever moved the positions has
        moved them to where reading must go on.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await self._wait_until(self.can_resume_flow, fetcher)
                    continue
                active = set(self._get_active_partitions())
                if not active:
                    await asyncio.sleep(POLL_S)
                    continue
                epoch = self.epoch
                records = await self.thread.getmany(active, POLL_S)
                if records and epoch == self.epoch:
                    await self._deliver(records, epoch)
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise

    async def _deliver(self, records: Mapping[TP, list[Any]], epoch: int) -> None:
        for tp, batch in self.scheduler.iterate(records):
            message = self._to_message(tp, batch)
            await self.callback(message)
            if epoch != self.epoch:
                return
            self._read_offset[tp] = message.offset

    async def _wait_until(self, event: asyncio.Event, fetcher: Any) -> None:
        while not (event.is_set() or self.should_stop or fetcher.should_stop):
            try:
                await asyncio.wait_for(event.wait(), timeout=1.0)
            except TimeoutError:
                continue

    async def on_stop(self) -> None:
        await self.bounds.close()
        await super().on_stop()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """FAUST.md 9: Faust's stall detection mixes two clocks; ours is the progress watch of the worker."""

    def drained(self, tp: TP, received: int, *, within_s: float = 5.0) -> bool:
        """Whether ``received`` (the owner's position) is the end of the log, by a fetch answered lately."""
        state = self.thread.fetch_state(tp)
        return (
            state is not None
            and received >= state.highwater
            and time.time() * 1000.0 - state.answered_ms <= within_s * 1000.0
        )


class Transport(driver.Transport):
    """Faust's Kafka transport with our consumer."""

    Consumer = Consumer
