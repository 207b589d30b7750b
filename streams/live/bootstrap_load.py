"""Profiles of a finished run into the changelog, and to who follows the outputs what is different now."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from streams import topics
from streams.cloud_events import cloud_event_headers_at
from streams.codec import decode, encode
from streams.core.handed_profile import with_seq
from streams.core.hashing import output_id
from streams.core.net_differences import TOPIC, NetDifferences, Portrait, Told, decode_portrait, told_of
from streams.core.tally import CHURN, OPENED, PROPENSITY, Counts, add
from streams.live.changelog import Changelog, ChangelogReader, Write, breathe
from streams.live.log_ends import log_end
from streams.live.outbox import Message, Producer
from streams.settings import Settings
from streams.topics import topic_name

PORTION: Final = 250
"""Users of a partition that are sent together."""


class Handed(Protocol):
    """A user who is handed over: :class:`streams.replay.handed_over.HandedProfile`."""

    @property
    def key(self) -> bytes:
        """User id in UTF-8."""

    @property
    def value(self) -> bytes:
        """The stored profile."""

    @property
    def churn(self) -> int:
        """Scheduled scores of churn that wait for their label."""

    @property
    def propensity(self) -> int:
        """Those of propensity."""

    @property
    def portrait(self) -> Portrait | None:
        """What the portrait says; None where there is none."""

    @property
    def line(self) -> bytes:
        """The portrait's body."""


@dataclass(slots=True)
class _Portion:
    """Users of one partition that go together."""

    profiles: list[Write] = field(default_factory=list)
    portraits: list[Message] = field(default_factory=list)
    changes: list[Message] = field(default_factory=list)
    churn: int = 0
    propensity: int = 0


async def told_before(settings: Settings) -> dict[bytes, Told]:
    """What the world was last told of every user, from ``user-profiles``.

    Raises
    ------
    BrokerError
        The topic cannot be read.
    InputFileError
        It holds something that is no portrait.
    """
    topic = topic_name(topics.USER_PROFILES, settings)
    told: dict[bytes, Told] = {}
    for partition in range(settings.partitions):
        end = await log_end(settings, (topic, partition), stall_s=settings.restore_timeout_s)
        reader = ChangelogReader(settings, topic, partition, stall_s=settings.restore_timeout_s)
        async for records in reader.read(0, end - 1):
            for record in records:
                if record.value is None:
                    told.pop(record.key, None)
                else:
                    where = f"{topic}, partition {partition}, offset {record.offset}"
                    found = told_of(decode_portrait(record.value, where))
                    names = (None if name is None else sys.intern(name) for name in found[2:])
                    told[record.key] = Told(found.id, found.seq, *names)  # type: ignore[arg-type]
            await breathe()
    return told


class Loading:
    """Loads users, each once: outputs first, in the order in which they would tell a crash apart.

    Parameters
    ----------
    settings, producer
        Where to.
    changelogs
        By partition, as the writer that its fence names; users of other partitions are left out.
    partition_of
        The partition of a user id.
    differences
        Makes the changes.
    told
        By key, what the world was told; what is left in the end was told of users whom nobody knows any more.
    """

    def __init__(
        self,
        settings: Settings,
        producer: Producer,
        changelogs: Mapping[int, Changelog],
        partition_of: Callable[[bytes], int],
        differences: NetDifferences,
        told: dict[bytes, Told],
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._changelogs = changelogs
        self._partition_of = partition_of
        self._differences = differences
        self._told = told
        self._changes_topic = topic_name(TOPIC, settings)
        self._portraits_topic = topic_name(topics.USER_PROFILES, settings)
        self._sources = [f"/ebbtide/{settings.group_id}/{partition}" for partition in range(settings.partitions)]
        self._portions: dict[int, _Portion] = {}
        self._sending: dict[int, asyncio.Task[None]] = {}
        self.waiting: dict[int, Counts] = {}
        """By partition, the scheduled scores that wait for their label, as opened."""
        self.users = self.changes = self.portraits = self.forgotten = 0
        """How many were loaded, and told."""

    async def load(self, handed: Iterable[Handed], progress: Callable[[int], None]) -> None:
        """Load everybody. ``progress`` hears how many users are done, now and then.

        Raises
        ------
        BrokerError
            Kafka does not take it; FencedError if somebody else has taken a partition.
        InputFileError
            What is handed over is damaged.
        """
        try:
            for done, one in enumerate(handed, start=1):
                partition = self._partition_of(one.key)
                if partition in self._changelogs:
                    await self._take(one, partition)
                if done % PORTION == 0:
                    progress(done)
                    await breathe()
            for partition in list(self._portions):
                await self._send(partition)
            await asyncio.gather(*self._sending.values())
            await self._forget()
        finally:
            for task in self._sending.values():
                task.cancel()
            await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def _take(self, one: Handed, partition: int) -> None:
        portion = self._portions.get(partition)
        if portion is None:
            portion = self._portions[partition] = _Portion()
        value = one.value
        if one.portrait is not None:
            value = self._tell(one, one.portrait, partition, portion)
        portion.profiles.append((one.key, value))
        portion.churn += one.churn
        portion.propensity += one.propensity
        self.users += 1
        if len(portion.profiles) >= PORTION:
            await self._send(partition)

    def _tell(self, one: Handed, portrait: Portrait, partition: int, portion: _Portion) -> bytes:
        """Tell what is different; the profile to store, which counts on from there."""
        key, value, line = one.key, one.value, one.line
        told = self._told.pop(key, None) if self._told else None
        differences, source = self._differences, self._sources[partition]
        if told is not None and told.id == portrait.id:
            return value
        seq, name = differences.seq(portrait, told), portrait.id
        for change in differences.changes(portrait, told, seq):
            headers = cloud_event_headers_at(change.id, TOPIC, source, differences.as_of)
            portion.changes.append(Message(key, encode(change.body), headers))
        if seq != portrait.seq:
            value = with_seq(value, seq)
            name, line = _renumbered(line, seq)
        headers = cloud_event_headers_at(name, topics.USER_PROFILES, source, portrait.as_of)
        portion.portraits.append(Message(key, line, headers))
        return value

    async def _send(self, partition: int) -> None:
        """Hand a portion on, once the one before it is acknowledged."""
        portion = self._portions.pop(partition)
        before = self._sending.get(partition)
        if before is not None:
            await before
        self._sending[partition] = asyncio.create_task(self._sent(partition, portion))
        await breathe()

    async def _sent(self, partition: int, portion: _Portion) -> None:
        # Who has their portrait has been told all: a second run looks there, so changes go before.
        if portion.changes:
            await self._producer.send(self._changes_topic, partition, portion.changes)
        if portion.portraits:
            await self._producer.send(self._portraits_topic, partition, portion.portraits)
        await self._changelogs[partition].append(portion.profiles)
        waiting = {CHURN: {OPENED: portion.churn}, PROPENSITY: {OPENED: portion.propensity}}
        add(self.waiting.setdefault(partition, {}), waiting)
        self.changes += len(portion.changes)
        self.portraits += len(portion.portraits)

    async def _forget(self) -> None:
        """Whom the world knows and we do not: their portraits end."""
        gone: dict[int, list[Message]] = {}
        for key in self._told:
            partition = self._partition_of(key)
            if partition in self._changelogs:
                gone.setdefault(partition, []).append(Message(key, None))
        for partition, messages in gone.items():
            await self._producer.send(self._portraits_topic, partition, messages)
            self.forgotten += len(messages)


def _renumbered(line: bytes, seq: int) -> tuple[str, bytes]:
    """A portrait under a higher sequence number: its id, which names its content, and its body."""
    body: dict[str, Any] = decode(line)
    body["seq"] = seq
    body["id"] = name = output_id(body["user_id"], topics.USER_PROFILES, "bootstrap", body["id"], str(seq), "")
    return name, encode(body)
