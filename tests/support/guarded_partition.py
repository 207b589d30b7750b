"""A partition whose outputs may be held, in memory: real owner, engine, gate and order of effects, crashes anywhere.

There is no input topic: a test hands in the events of a slice, and hands them in again after a crash, as a group
without commits would.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from streams.core.breaker import Breaker
from streams.core.cleaning import cleaning_policy
from streams.core.engine import PartitionEngine
from streams.core.events import INPUT_TOPICS, Event, Kind
from streams.core.policy import Policy
from streams.core.ports import Step
from streams.live.effects import EffectsInOrder
from streams.live.exits import Exits
from streams.live.fence import HOLD_KEY
from streams.live.held_log import HeldRecord
from streams.live.inputs import InputBuffer, PartitionInputs
from streams.live.observer import Observer
from streams.live.outbox import Acked, Message
from streams.live.output_gate import OutputGate
from streams.live.partition_owner import PartitionOwner
from streams.live.partition_record import InputPosition
from streams.live.seams import Clock, PendingProfiles
from streams.live.store import MemoryStore
from streams.live.taking import take_partition
from streams.settings import Settings
from tests.support.changelog_in_memory import LogInMemory
from tests.support.partition_runs import POLICY
from tests.support.scorers import FixedScorer

SETTINGS = Settings(partitions=1, hold_share=0.5, hold_least_users=4)
DECIDED = ("segment-changes", "churn-risk")


class Crash(Exception):
    """The process is killed here."""


class Kafka(LogInMemory):
    """The changelog, and every other topic of the partition; dies when so many records were appended."""

    def __init__(self) -> None:
        super().__init__()
        self.topics: dict[str, list[Message]] = {}
        self.lives: int | None = None
        self.appended = 0

    async def send(self, topic: str, partition: int, messages: Iterable[Message]) -> list[Acked]:
        """Append record by record: a crash may come between any two of a batch."""
        bases: list[int] = []
        for message in messages:
            if self.lives is not None:
                self.lives -= 1
                if self.lives < 0:
                    raise Crash
            self.appended += 1
            if topic == "changelog":
                base = (await super().send(topic, partition, [message]))[0].base
            else:
                records = self.topics.setdefault(topic, [])
                base = len(records)
                records.append(message)
            bases.append(base)
        return [Acked(bases[0], len(bases))] if bases else []

    def ids(self, *names: str) -> list[str]:
        """Ids of the outputs in topics, in order."""
        return [json.loads(message.value or b"{}")["id"] for name in names for message in self.topics.get(name, [])]

    def bodies(self, name: str) -> list[dict[str, Any]]:
        """Bodies in a topic."""
        return [json.loads(message.value) for message in self.topics.get(name, []) if message.value is not None]

    def known(self) -> dict[tuple[str, str], object]:
        """What a subscriber believes: per user and dimension the message with the highest seq."""
        newest: dict[tuple[str, str], tuple[int, object]] = {}
        for body in self.bodies("segment-changes"):
            key, entry = (body["user_id"], body["dimension"]), (body["seq"], body["current"])
            if key not in newest or newest[key][0] <= entry[0]:
                newest[key] = entry
        return {key: current for key, (_, current) in newest.items()}


class _Held:
    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    async def read(self, first: int, end: int) -> AsyncIterator[list[HeldRecord]]:
        records = [
            HeldRecord(offset, message.key, message.value, message.headers)
            for offset, message in enumerate(self._kafka.topics.get("held-outputs", []))
            if first <= offset < end
        ]
        for at in range(0, len(records), 3):
            yield records[at : at + 3]


class Decisions:
    """What an operator decided, about whatever is held."""

    def __init__(self) -> None:
        self.decided: str | None = None
        self.about: int | None = None
        self.says: int | None = None

    def decision(self, partition: int, hold: int) -> str | None:
        if self.decided is None or (self.about is not None and self.about != hold):
            return None
        self.about = hold
        return self.decided

    def told(self, partition: int) -> int | None:
        return self.says


class _Models:
    frontier_ms = None

    def __init__(self) -> None:
        self.scorer = FixedScorer(0.4)

    def has(self, day_ms: int) -> bool:
        return True

    async def wait_for(self, day_ms: int) -> None:
        return None


class GuardedPartition:
    """One life of the partition's owner; :meth:`born` makes the next one from what Kafka holds."""

    def __init__(self, owner: PartitionOwner, engine: PartitionEngine, gate: OutputGate) -> None:
        self.owner = owner
        self.engine = engine
        self.gate = gate
        self.models = _Models()

    @classmethod
    async def born(
        cls,
        kafka: Kafka,
        decisions: Decisions,
        *,
        writer: int,
        policy: Policy = POLICY,
        share: float = SETTINGS.hold_share,
        observer: Observer | None = None,
    ) -> GuardedPartition:
        """Take the partition: fence, restore all, go on."""
        observer = observer or Observer()
        taken = await take_partition(
            MemoryStore,
            lambda store: MemoryStore(),
            kafka.writer(writer),
            kafka,  # type: ignore[arg-type]
            now_ms=lambda: 1_000,
        )
        profiles = PendingProfiles(taken.store)
        engine = PartitionEngine(policy, profiles, horizon_days=30, mode="live")
        record = taken.record
        engine.watermark, engine.newest, engine.clock = record.watermark, record.newest, record.clock
        for key, value in taken.store.profiles():
            engine.restore(key.decode(), value)
        changelog = taken.changelog
        effects = EffectsInOrder(
            SETTINGS,
            0,
            kafka,  # type: ignore[arg-type]
            changelog,
            taken.store,
            observer,
            now_ms=lambda: 1_000,
        )
        gate = OutputGate(
            0,
            engine,
            effects,
            Breaker(share, SETTINGS.hold_least_users),
            taken.store.get(HOLD_KEY),
            _Held(kafka),
            kafka,  # type: ignore[arg-type]
            decisions,
            observer,
            changelog_end=lambda: changelog.last,
            now_ms=lambda: 1_000,
        )
        inputs = PartitionInputs(
            [
                InputBuffer(name, 0, kind, cleaning_policy(policy), 0, -1)
                for kind, name in zip(Kind, INPUT_TOPICS, strict=True)
            ],
            by_log=False,
            grace_ms=600_000,
        )
        owner = PartitionOwner(
            0,
            SETTINGS,
            Clock(),
            inputs,
            engine,
            profiles,
            effects,
            _Models(),
            record,
            tuple(InputPosition(topic_id=name) for name in INPUT_TOPICS),
            writer=writer,
            changelog_end=lambda: changelog.last,
            look_drained=lambda: None,
            observer=observer,
            exits=Exits(lambda code: None),
            now_ms=lambda: 1_000,
            gate=gate,
        )
        owner.republish([key.decode() for key in taken.unpublished])
        return cls(owner, engine, gate)

    async def apply(self, events: Sequence[Event]) -> Step:
        """One slice."""
        step = self.engine.process(events, self.models.scorer)
        await self.owner.took(step, force=True)
        return step

    async def advance(self, clock_ms: int) -> Step:
        """Silence."""
        step = self.engine.advance(clock_ms, self.models.scorer)
        await self.owner.took(step, force=True)
        return step

    async def decide(self) -> bool:
        """A turn in which decisions are looked at."""
        return await self.gate.settle(self.owner)
