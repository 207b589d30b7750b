"""The state of a whole installation held against its topics and its group: what ``ebbtide state`` shows and accepts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from streams import provisioning
from streams.core.alignment import UNKNOWN
from streams.core.errors import BrokerError
from streams.core.events import INPUT_TOPICS
from streams.kafka_access import refusal
from streams.live.changelog import Changelog, ChangelogReader
from streams.live.connections import new_consumer
from streams.live.fence import PARTITION_KEY, RESERVED, Restore
from streams.live.log_ends import log_end
from streams.live.outbox import Producer
from streams.live.partition_record import PartitionRecord, decode_record, encode_record
from streams.live.standing import InputNow, Misfit, Surroundings, accepted, misfits
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name

COORDINATOR_SLACK_S: Final = 5.0
"""A broker notices the end of a session a little later."""

ReportProgress = Callable[[int, int], None]
"""(partitions read, partitions there are)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One partition: its record, what the broker has, and what does not fit."""

    record: PartitionRecord
    now: Surroundings
    misfits: tuple[Misfit, ...]

    @property
    def partition(self) -> int:
        """Which."""
        return self.now.partition


async def survey(settings: Settings, progress: ReportProgress = lambda read, all_: None) -> list[Standing]:
    """Read every partition of the changelog and compare; nothing is written.

    Workers may run meanwhile: they commit and append while this reads, so offsets may look ahead of the state.

    Raises
    ------
    BrokerError, TopicError
        The broker does not answer; a topic is missing or has other partitions than set.
    StateError
        A record cannot be read.
    """
    await asyncio.to_thread(provisioning.check_topics, settings, (*INPUT_TOPICS, CHANGELOG))
    cluster_id = await asyncio.to_thread(provisioning.cluster_id, settings)
    topic_ids = await asyncio.to_thread(provisioning.topic_ids, settings, INPUT_TOPICS)
    changelog = topic_name(CHANGELOG, settings)
    standings = []
    profiles = {}
    for partition in range(settings.partitions):
        reader = _reader(settings, partition)
        end = await log_end(settings, (changelog, partition), stall_s=settings.restore_timeout_s)
        record, profiles[partition] = await recorded(reader, end - 1)
        now = Surroundings(
            partition=partition,
            partitions=settings.partitions,
            group=settings.group_id,
            cluster_id=cluster_id,
            changelog=changelog,
            changelog_oldest=await reader.oldest(),
            inputs=await _inputs_now(settings, partition, record, topic_ids),
        )
        standings.append(Standing(record, now, ()))
        progress(partition + 1, settings.partitions)
    named = max((one.record.partitions for one in standings), default=0)
    return [_judged(one, named, has_profiles=profiles[one.partition]) for one in standings]


async def accept(settings: Settings, standings: Sequence[Standing], *, patience_s: float | None = None) -> None:
    """Have workers go on with what is there: write the partition records and group offsets that say so.

    Kafka takes the offsets only while the group has no members. One that was killed is a member until its session ends,
    so this waits for that long, and fails where a worker runs. It may be repeated.

    Parameters
    ----------
    standings
        From :func:`survey`; partitions where everything fits are left alone.
    patience_s
        How long members may stay; the session timeout and a little more by default.

    Raises
    ------
    StateError, TopicError
        Something is there that cannot be gone on from; nothing was written.
    BrokerError
        A worker runs, or the broker does not answer.
    """
    wanted = [one for one in standings if one.misfits]
    for one in wanted:
        for misfit in one.misfits:
            if not misfit.acceptable:
                raise misfit.error()
    if patience_s is None:
        patience_s = settings.session_timeout_s + COORDINATOR_SLACK_S
    await commit_while_stopped(settings, {one.partition: accepted(one.record, one.now) for one in wanted}, patience_s)
    producer = Producer(settings)
    await producer.start()
    try:
        for one in wanted:
            await _write(settings, producer, one)
    finally:
        await producer.stop()


def _judged(one: Standing, named: int, *, has_profiles: bool) -> Standing:
    now = replace(one.now, others_partitions=named)
    return Standing(one.record, now, tuple(misfits(one.record, now, has_profiles=has_profiles)))


async def recorded(reader: ChangelogReader, last: int) -> tuple[PartitionRecord, bool]:
    """The partition record that counts up to an offset, and whether anybody is known."""
    restore, raw, has_profiles = Restore(), None, False
    async for records in reader.read(0, last):
        for key, value in restore.counted(records):
            if key == PARTITION_KEY:
                raw = value
            elif value is not None and not key.startswith(RESERVED):
                has_profiles = True
    return PartitionRecord() if raw is None else decode_record(raw), has_profiles


async def _inputs_now(
    settings: Settings, partition: int, record: PartitionRecord, topic_ids: dict[str, str]
) -> tuple[InputNow, ...]:
    tps = [TopicPartition(topic_name(name, settings), partition) for name in INPUT_TOPICS]
    consumer = new_consumer(settings, group=settings.group_id)
    try:
        await consumer.start()
        consumer.assign(tps)
        oldest, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        committed = {tp: await consumer.committed(tp) for tp in tps}
    except KafkaError as error:
        raise _refused(error, settings, "Describe") from error
    finally:
        await consumer.stop()
    for tp, known in zip(tps, record.inputs, strict=False):
        if known.next > ends[tp]:
            ends[tp] = await log_end(settings, tp, stall_s=settings.restore_timeout_s)
    return tuple(
        InputNow(tp.topic, topic_ids[name], oldest[tp], ends[tp], committed[tp])
        for name, tp in zip(INPUT_TOPICS, tps, strict=True)
    )


async def commit_while_stopped(settings: Settings, records: dict[int, PartitionRecord], patience_s: float) -> None:
    """Set the group's offsets to the positions of records, by partition, which Kafka allows while no worker runs.

    Raises
    ------
    BrokerError
        The group has had members for ``patience_s`` seconds, or the broker does not answer.
    """
    offsets = {
        TopicPartition(topic_name(name, settings), partition): known.next
        for partition, record in records.items()
        for name, known in zip(INPUT_TOPICS, record.inputs, strict=True)
        if known.next != UNKNOWN
    }
    if not offsets:
        return
    consumer = new_consumer(settings, group=settings.group_id)
    until = time.monotonic() + patience_s
    try:
        await consumer.start()
        consumer.assign(list(offsets))
        while True:
            try:
                await consumer.commit(offsets)
                return
            except CommitFailedError as error:
                if time.monotonic() > until:
                    raise BrokerError(
                        f"The group {settings.group_id} has had members for {patience_s:g} s: a worker runs.",
                        "Stop all workers, then run it again.",
                    ) from error
                await asyncio.sleep(1.0)
    except KafkaError as error:
        raise _refused(error, settings, "Read") from error
    finally:
        await consumer.stop()


async def _write(settings: Settings, producer: Producer, one: Standing) -> None:
    reader = _reader(settings, one.partition)
    writer = int.from_bytes(os.urandom(8), "big") or 1
    changelog = Changelog(producer, reader, one.now.changelog, one.partition, writer)
    fence = await changelog.fence()
    record, _ = await recorded(reader, fence)
    if record != one.record:
        raise BrokerError(
            f"A worker has written to {changelog.where} meanwhile.",
            "Stop all workers, then run `ebbtide state accept` again.",
        )
    await changelog.append([(PARTITION_KEY, encode_record(accepted(record, one.now)))])


def _reader(settings: Settings, partition: int) -> ChangelogReader:
    return ChangelogReader(settings, topic_name(CHANGELOG, settings), partition, stall_s=settings.restore_timeout_s)


def _refused(error: KafkaError, settings: Settings, operation: str) -> BrokerError:
    return refusal(error, settings, operation, f"group {settings.group_id}") or BrokerError(
        f"Kafka refused the offsets of group {settings.group_id}: {error!r}."
    )
