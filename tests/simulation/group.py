"""The consumer group: who is in it, which partitions each has, what was committed; and a consumer in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

from faust.types import TP

from streams.core.events import INPUT_TOPICS
from streams.live.consumer import FetchState
from streams.live.record_batches import Fetched, Span
from tests.simulation.kafka import Broker

SESSION_S: Final = 6.0
HEARTBEAT_S: Final = 1.5
COMMIT_EVERY_S: Final = 1.0
FETCH_WAIT_S: Final = 1.5
DRAINED_WITHIN_S: Final = 5.0

Commit = tuple[TP, int]


class Coordinator:
    """Eager rebalances, sessions, and commits of the current generation only."""

    def __init__(self, broker: Broker, dice: Random, committed: Callable[[TP, int, str, str], None]) -> None:
        self.broker = broker
        self.generation = 0
        self.offsets: dict[TP, int] = {}
        self.cut_off: dict[str, float] = {}
        """Members whose heartbeats do not arrive, and until when."""
        self.rebalances = 0
        self._dice = dice
        self._committed = committed
        self._heard: dict[str, float] = {}
        self._joining: dict[str, asyncio.Future[tuple[int, frozenset[int]]]] = {}
        self._rebalancing = False

    @property
    def members(self) -> set[str]:
        """Who is in the group."""
        return set(self._heard)

    @property
    def stable(self) -> bool:
        """Whether everybody has partitions, and nobody is waited for."""
        return not self._rebalancing

    async def watch(self) -> None:
        """Put members out whose session is over."""
        while True:
            await asyncio.sleep(0.5)
            now = max(self.broker.loop.time() - SESSION_S, self.broker.away_until)
            for member in [name for name, heard in self._heard.items() if heard < now and name not in self._joining]:
                self._remove(member)

    async def join(self, member: str) -> tuple[int, frozenset[int]]:
        """Ask to be in the group; returns with the next generation's assignment."""
        answer: asyncio.Future[tuple[int, frozenset[int]]] = self.broker.loop.create_future()
        await self._travel()
        self._joining[member] = answer
        self._heard[member] = self.broker.loop.time()
        self.rebalance()
        self._complete()
        return await answer

    def rebalance(self) -> None:
        """Ask everybody to join anew."""
        self._rebalancing = True

    def gone(self, member: str) -> None:
        """A member's connection broke while it waited: its join is void, its session goes on."""
        self._joining.pop(member, None)

    async def heartbeat(self, member: str) -> str:
        """``ok``, ``rebalance``, or ``unknown``; ``silence`` where it does not arrive."""
        if self.cut_off.get(member, 0.0) > self.broker.loop.time():
            return "silence"
        await self._travel()
        if member not in self._heard:
            return "unknown"
        self._heard[member] = self.broker.loop.time()
        return "rebalance" if self._rebalancing else "ok"

    async def leave(self, member: str) -> None:
        """Leave in order."""
        await self._travel()
        if member in self._heard:
            self._remove(member)

    async def commit(
        self, member: str, generation: int, offsets: Mapping[TP, int], topic_ids: Mapping[str, str]
    ) -> bool:
        """Commit, if the member still is who it says."""
        await self._travel()
        if member not in self._heard or generation != self.generation:
            return False
        for tp, offset in offsets.items():
            self._committed(tp, offset, topic_ids[tp.topic], member)
            self.offsets[tp] = offset
        await self._travel()
        return True

    def _remove(self, member: str) -> None:
        del self._heard[member]
        self._joining.pop(member, None)
        self.rebalance()
        self._complete()

    def _complete(self) -> None:
        if not self._heard or set(self._joining) != set(self._heard):
            return
        self.generation += 1
        self.rebalances += 1
        self._rebalancing = False
        members = sorted(self._joining)
        self._dice.shuffle(members)
        joining, self._joining = self._joining, {}
        now = self.broker.loop.time()
        for at, member in enumerate(members):
            self._heard[member] = now
            mine = frozenset(p for p in range(self.broker.partitions) if p % len(members) == at)
            if not joining[member].done():
                joining[member].set_result((self.generation, mine))

    async def _travel(self) -> None:
        at = self.broker.arrives(self.broker.latency())
        await asyncio.sleep(max(0.0, at - self.broker.loop.time()))


class _App(NamedTuple):
    consumer_generation_id: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """What Faust calls a message: a fetched batch."""

    generation_id: int
    topic: str
    partition: int
    value: Fetched

    @property
    def tp(self) -> TP:
        return TP(self.topic, self.partition)


@dataclass(frozen=True, slots=True)
class Event:
    """What Faust calls an event: a message that can be acked."""

    message: Delivered
    ack: Callable[[], None]


class GroupConsumer:
    """What an owner needs of :class:`streams.live.consumer.Consumer`."""

    def __init__(self, broker: Broker, group: Coordinator, dice: Random, pass_step: Callable[[str], Any]) -> None:
        self.app = _App(-1)
        self.thread = self
        self.epoch = 0
        self.acked: dict[TP, int] = {}
        self._buffered_partitions: set[TP] = set()
        self._positions: dict[TP, int] = {}
        self.topic_ids: dict[str, str] = {}
        """The topics that acks speak of."""
        self._fetched_ids: dict[str, str] = {}
        self._states: dict[TP, FetchState] = {}
        self._broker = broker
        self._group = group
        self._dice = dice
        self._pass = pass_step

    # -- what owners ask ---------------------------------------------------------------------------------------------

    def fetch_state(self, tp: TP) -> FetchState | None:
        return self._states.get(tp)

    def drained(self, tp: TP, received: int, *, within_s: float = DRAINED_WITHIN_S) -> bool:
        state = self._states.get(tp)
        if state is None or received < state.highwater:
            return False
        return self._broker.loop.time() * 1000.0 - state.answered_ms <= within_s * 1000.0

    def on_buffer_full(self, tp: TP) -> None:
        self._buffered_partitions.add(tp)

    def on_buffer_drop(self, tp: TP) -> None:
        self._buffered_partitions.discard(tp)

    async def committed(self, tps: list[TP]) -> dict[TP, int | None]:
        await self._group._travel()
        return {tp: self._group.offsets.get(tp) for tp in tps}

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        await self._group._travel()
        return dict.fromkeys(tps, 0)

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        await self._group._travel()
        return {tp: self._broker.topics[tp.topic][tp.partition].end for tp in tps}

    # -- the member's life -------------------------------------------------------------------------------------------

    def start_from(self, positions: Mapping[TP, int]) -> None:
        """Move to positions; what was fetched before is forgotten."""
        self.epoch += 1
        self._positions = dict(positions)
        self._buffered_partitions.clear()
        self._states.clear()
        self.acked.clear()
        self.topic_ids = self._broker.input_ids()
        self._fetched_ids = dict(self.topic_ids)

    def stop_flow(self) -> None:
        """Deliver nothing more."""
        self.epoch += 1

    async def fetch(self, deliver: Callable[[Event], None], ack: Callable[[TP, int], None]) -> None:
        """Fetch and deliver until positions move."""
        epoch = self.epoch
        while epoch == self.epoch:
            answers = await self._ask()
            if epoch != self.epoch:
                return
            for tp, (records, span, highwater, answered_ms) in answers.items():
                self._states[tp] = FetchState(span.after, highwater, answered_ms)
                if not records:
                    continue
                await self._pass("fetch")
                if epoch != self.epoch:
                    return
                self._positions[tp] = span.after
                batch = Fetched(records, span)
                message = Delivered(self.app.consumer_generation_id, tp.topic, tp.partition, batch)
                deliver(Event(message, lambda tp=tp, last=span.after - 1: ack(tp, last)))  # type: ignore[misc]

    async def _ask(self) -> dict[TP, tuple[list[Any], Span, int, int]]:
        broker, loop = self._broker, self._broker.loop
        await self._group._travel()
        until = loop.time() + FETCH_WAIT_S
        while True:
            answers = {}
            for tp, position in self._positions.items():
                log = broker.topics[tp.topic][tp.partition]
                if self._fetched_ids[tp.topic] != broker.topic_ids[tp.topic]:
                    # Out of range in a topic created anew: aiokafka goes back to its beginning.
                    self._fetched_ids[tp.topic] = broker.topic_ids[tp.topic]
                    position = self._positions[tp] = 0
                full = tp in self._buffered_partitions
                records = [] if full else log.read(position, self._dice.choice((1, 3, 10, 40)))
                after = records[-1].offset + 1 if records else position
                answers[tp] = (records, Span(position, after), log.end, int(loop.time() * 1000))
            if any(answer[0] for answer in answers.values()) or loop.time() >= until:
                break
            await broker.wait_for_more(until - loop.time())
        slow = self._dice.uniform(0.5, 3.0) if loop.time() < broker.slow_fetches_until else 0.0
        await self._group._travel()
        await asyncio.sleep(slow)
        return answers


def input_tps(partition: int) -> list[TP]:
    """Partition n of all three inputs."""
    return [TP(name, partition) for name in INPUT_TOPICS]
