"""Kafka in memory: logs with offsets, batches on the wire, acks that come late or never, compaction, a consumer group.

A batch belongs to nobody once it is on the wire: its sender may be frozen or dead when it lands. Batches of one sender
to one partition land in order, as an idempotent producer's do; those to different partitions in any.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from aiokafka.errors import KafkaError

from streams.core.errors import BrokerError
from streams.core.events import INPUT_TOPICS
from streams.live.fence import FENCE_PREFIX, ChangelogRecord, tally_of, writer_of
from streams.live.outbox import Acked, Message, Part
from streams.topics import CATALOGUE, CHANGELOG, TRAINING_EXAMPLES
from tests.simulation.loop import Killed, Process, VirtualLoop

COMPACTION_LAG_S: Final = 60.0
"""``min.compaction.lag.ms`` of the simulation, where idle owners append every 5 s: 1 h and 60 s in a real one."""
BATCH_RECORDS: Final = 3
"""So few that a slice's changelog takes several batches, of which only some may land."""
ACK_TIMEOUT_S: Final = 8.0


class Record:
    """A record in a log, with aiokafka's names."""

    __slots__ = ("headers", "key", "offset", "sender", "timestamp", "value")

    def __init__(
        self,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        sender: str,
    ) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
        self.sender = sender


class Log:
    """One partition."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.end = 0
        self.compacted = 0
        self.on_append: list[Callable[[Record], None]] = []
        self.landed: list[tuple[float, int]] = []
        """(time, end of the log) after every append: how far the compaction lag lets the cleaner go."""

    def append(self, messages: Sequence[Message], timestamp: int, sender: str, now_s: float) -> int:
        """Append a batch; its base offset."""
        base = self.end
        for message in messages:
            record = Record(self.end, timestamp, message.key, message.value, message.headers, sender)
            self.records.append(record)
            self.end += 1
            for heard in self.on_append:
                heard(record)
        self.landed.append((now_s, self.end))
        return base

    def read(self, first: int, most: int) -> list[Record]:
        """Records from an offset on; compaction leaves gaps."""
        at = bisect_left(self.records, first, key=lambda record: record.offset)
        return self.records[at : at + most]

    def compact(self, before_s: float) -> int:
        """Keep the last record of each key among those older than ``before_s``; how many went."""
        upto = max((end for at_s, end in self.landed if at_s < before_s), default=0)
        last = {record.key: record.offset for record in self.records if record.offset < upto}
        kept = [record for record in self.records if record.offset >= upto or last[record.key] == record.offset]
        gone = len(self.records) - len(kept)
        self.records = kept
        self.compacted += gone
        return gone


class OnTheWire(NamedTuple):
    """How one batch fares, decided as it is sent."""

    refused: bool = False
    ack_lost: bool = False
    slow_ack_s: float = 0.0
    slow_send_s: float = 0.0
    echo: bool = False


class Batch:
    """A batch between its sender and its log."""

    __slots__ = ("dropped", "landed", "sender", "timer")

    def __init__(self, sender: Process) -> None:
        self.sender = sender
        self.landed = False
        self.dropped = False
        self.timer: asyncio.TimerHandle | None = None


def _give(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class Broker:
    """All topics, and the way to them."""

    def __init__(self, loop: VirtualLoop, dice: Random, partitions: int, wall_ms: Callable[[], int]) -> None:
        self.loop = loop
        self.partitions = partitions
        self.wall_ms = wall_ms
        self.process = Process(loop, "broker")
        self.topics: dict[str, list[Log]] = {
            topic.name: [Log() for _ in range(1 if topic.single else partitions)] for topic in CATALOGUE.values()
        }
        self.topic_ids = {name: f"{name}#0" for name in self.topics}
        self.away_until = 0.0
        self.slow_fetches_until = 0.0
        self.wire: dict[str, list[Batch]] = {}
        self._dice = dice
        self._lines: dict[tuple[str, str, int], float] = {}
        self._waiting: list[asyncio.Future[None]] = []

    # -- the wire ----------------------------------------------------------------------------------------------------

    def latency(self) -> float:
        """One way over the network: mostly short, now and then not."""
        roll = self._dice.random()
        return 0.001 + 0.004 * roll if roll < 0.95 else 0.3 * self._dice.random()

    def arrives(self, after_s: float) -> float:
        """When something sent now arrives."""
        now = self.loop.time()
        return max(now + after_s, self.away_until + 0.001 * self._dice.random())

    def produce(
        self, sender: Process, topic: str, partition: int, messages: Sequence[Message], how: OnTheWire
    ) -> asyncio.Future[int]:
        """Put a batch on the wire; the future is its ack, with the base offset."""
        acked: asyncio.Future[int] = self.loop.create_future()
        acked.add_done_callback(lambda future: future.cancelled() or future.exception())
        line = (sender.name, topic, partition)
        at = max(self.arrives(self.latency() + how.slow_send_s), self._lines.get(line, 0.0) + 1e-6)
        self._lines[line] = at
        batch = Batch(sender)
        self.wire.setdefault(sender.name, []).append(batch)

        def land() -> None:
            self.wire[sender.name].remove(batch)
            if batch.dropped:
                return
            if how.refused:
                self._later(self.latency(), lambda: _fail(acked, KafkaError("refused")))
                return
            log = self.topics[topic][partition]
            base = log.append(messages, self.wall_ms(), sender.name, self.loop.time())
            if how.echo:
                log.append(messages, self.wall_ms(), sender.name, self.loop.time())
            self._wake()
            if not how.ack_lost:
                self._later(self.latency() + how.slow_ack_s, lambda: _give(acked, base))

        batch.timer = self.loop.call_at(at, land, context=self.process.context)
        return acked

    def died(self, sender: Process, wire: str, dice: Random) -> None:
        """A process died: what becomes of its batches that have not landed."""
        for batch in self.wire.get(sender.name, ()):
            if wire == "none" or (wire == "some" and dice.random() < 0.5):
                batch.dropped = True
            elif wire == "late" and batch.timer is not None:
                land = batch.timer._callback  # type: ignore[attr-defined]
                batch.timer.cancel()
                batch.timer = self.loop.call_at(
                    self.loop.time() + dice.uniform(2.0, 20.0), land, context=self.process.context
                )

    def _later(self, after_s: float, call: Callable[[], object]) -> None:
        self.loop.call_at(self.arrives(after_s), call, context=self.process.context)

    # -- reading -----------------------------------------------------------------------------------------------------

    async def wait_for_more(self, seconds: float) -> None:
        """Return when anything is appended anywhere, or after a while."""
        woken: asyncio.Future[None] = self.loop.create_future()
        self._waiting.append(woken)
        timer = self.loop.call_later(seconds, lambda: _give(woken, None))
        try:
            await woken
        finally:
            timer.cancel()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            _give(woken, None)

    def publish(self, topic: str, partition: int, user: str, value: bytes | None) -> None:
        """A shop's record."""
        self.topics[topic][partition].append([Message(user.encode(), value)], self.wall_ms(), "shop", self.loop.time())
        self._wake()

    # -- what an operator, or the broker itself, does ------------------------------------------------------------------

    def compact(self) -> int:
        """Run the cleaner over the changelog; how many records went."""
        return sum(log.compact(self.loop.time() - COMPACTION_LAG_S) for log in self.topics[CHANGELOG])

    def recreate(self, topic: str) -> None:
        """Delete a topic and create it anew."""
        number = int(self.topic_ids[topic].rpartition("#")[2])
        self.topic_ids[topic] = f"{topic}#{number + 1}"
        self.topics[topic] = [Log() for _ in self.topics[topic]]

    def input_ids(self) -> dict[str, str]:
        """Topic ids of the inputs."""
        return {name: self.topic_ids[name] for name in INPUT_TOPICS}


class SentBatches:
    """The producer of one process, in place of :class:`streams.live.outbox.Producer`: same calls, same errors."""

    def __init__(self, broker: Broker, process: Process, pass_step: Callable[[str], Any]) -> None:
        self.awaited = 0
        """Sends under way. A batch whose ack is lost has landed, and its sender is not at rest yet."""
        self._broker = broker
        self._process = process
        self._pass = pass_step

    async def send_all(self, parts: Iterable[Part]) -> list[list[Acked]]:
        """Each part for itself, as they land in any order."""
        return await asyncio.gather(*(self.send(*part) for part in parts))

    async def send(self, topic: str, partition: int, messages: Iterable[Message]) -> list[Acked]:
        """Append messages to one partition, in order, and await the acks."""
        everything = list(messages)
        step = _step(topic, everything)
        sent: list[Acked] = []
        self.awaited += 1
        try:
            for at in range(0, len(everything), BATCH_RECORDS):
                batch = everything[at : at + BATCH_RECORDS]
                how = await self._pass(f"{step}.send")
                if self._process.dead:
                    raise Killed
                async with asyncio.timeout(ACK_TIMEOUT_S):
                    base = await self._broker.produce(self._process, topic, partition, batch, how)
                sent.append(Acked(base, len(batch)))
                await self._pass(f"{step}.acked")
        except TimeoutError as error:
            raise BrokerError(
                f"Kafka did not acknowledge within {ACK_TIMEOUT_S:g} s ({topic}, {partition})."
            ) from error
        except KafkaError as error:
            raise BrokerError(f"Kafka refused a batch ({topic}, {partition}): {error!r}.") from error
        finally:
            self.awaited -= 1
        return sent


def _step(topic: str, messages: Sequence[Message]) -> str:
    if topic == CHANGELOG:
        return "fence" if messages and (messages[0].key or b"").startswith(FENCE_PREFIX) else "changelog"
    if topic == TRAINING_EXAMPLES and messages and (messages[0].key or b"").startswith(b"mark-"):
        return "mark"
    return "outputs"


class ReadChangelog:
    """Reads one changelog partition, in place of :class:`streams.live.changelog.ChangelogReader`."""

    def __init__(self, broker: Broker, partition: int, pass_step: Callable[[str], Any], dice: Random) -> None:
        self._broker = broker
        self._log = broker.topics[CHANGELOG][partition]
        self._pass = pass_step
        self._dice = dice

    async def oldest(self) -> int:
        """Compaction never moves the beginning of a log."""
        await self._there_and_back()
        return 0

    async def read(self, first: int, last: int) -> AsyncIterator[list[ChangelogRecord]]:
        """In portions of any size."""
        while first <= last:
            await self._pass("restore")
            await self._there_and_back()
            portion = [record for record in self._log.read(first, self._dice.randint(1, 40)) if record.offset <= last]
            if not portion:
                return
            first = portion[-1].offset + 1
            yield [
                ChangelogRecord(
                    record.offset, record.key or b"", record.value, writer_of(record.headers), tally_of(record.headers)
                )
                for record in portion
            ]

    async def _there_and_back(self) -> None:
        at = self._broker.arrives(self._broker.latency())
        await asyncio.sleep(max(0.0, at - self._broker.loop.time()))
