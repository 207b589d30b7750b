"""Asks the broker what a partition's state is held against, and has it judged before anything is read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from faust.types import TP

from streams.core.errors import StateError
from streams.core.events import INPUT_TOPICS
from streams.live.consumer import Consumer
from streams.live.fence import PARTITION_KEY
from streams.live.log_ends import log_end, newest_of_key
from streams.live.partition_record import PartitionRecord, decode_record
from streams.live.standing import InputNow, Judge, Surroundings, judged, start_offset
from streams.live.store import StoreFolder
from streams.live.taking import Taken
from streams.settings import Settings
from streams.topics import CHANGELOG, topic_name


async def recorded_partitions(settings: Settings) -> int:
    """Partition count that the newest records in the changelog name; 0 where none does.

    Where inputs and changelog were given more partitions, the new ones have no record of their own to say so.

    Raises
    ------
    BrokerError
        The broker does not answer.
    StateError
        A record cannot be read.
    """
    changelog = topic_name(CHANGELOG, settings)
    records = newest_of_key(settings, changelog, PARTITION_KEY, stall_s=settings.restore_timeout_s)
    async with aclosing(records):
        async for partition, raw in records:
            where = f"The partition record in {changelog}, partition {partition}"
            if named := decode_record(raw, where).partitions:
                return named
    return 0


async def _none_recorded() -> int:
    return 0


class Judging:
    """See the module.

    Parameters
    ----------
    settings
        Names, partition count, time limits.
    stores
        Local copies: one of them may outlive its changelog.
    cluster_id
        Kafka's id of the cluster; empty where it is not known.
    recorded_partitions
        Partition count that any record in the changelog names, 0 for none; asked once, where a partition has no record.
    judge
        Decides; the simulation puts its own.
    """

    def __init__(
        self,
        settings: Settings,
        stores: StoreFolder,
        *,
        cluster_id: str = "",
        recorded_partitions: Callable[[], Awaitable[int]] = _none_recorded,
        judge: Judge = judged,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._cluster_id = cluster_id
        self._recorded_partitions = recorded_partitions
        self._named: int | None = None
        self._asking = asyncio.Lock()
        self._judge = judge
        self._names = tuple(topic_name(name, settings) for name in INPUT_TOPICS)

    async def judged(
        self, taken: Taken, record: PartitionRecord, partition: int, topic_ids: tuple[str, ...], consumer: Consumer
    ) -> tuple[PartitionRecord, dict[TP, int]]:
        """The record to go on with, and the offsets to read from.

        Raises
        ------
        StateError, TopicError
            State, topics and group do not fit.
        BrokerError
            The broker does not answer.
        """
        settings = self._settings
        tps = [TP(name, partition) for name in self._names]
        committed = await consumer.thread.committed(tps)
        oldest = await consumer.earliest_offsets(*tps)
        ends = dict(await consumer.highwaters(*tps))
        for tp, known in zip(tps, record.inputs, strict=False):
            if known.next > ends[tp]:
                ends[tp] = await log_end(settings, tp, stall_s=settings.restore_timeout_s)
        now = Surroundings(
            partition=partition,
            partitions=settings.partitions,
            group=settings.group_id,
            cluster_id=self._cluster_id,
            changelog=topic_name(CHANGELOG, settings),
            changelog_oldest=taken.changelog_oldest,
            inputs=tuple(
                InputNow(tp.topic, topic_id, oldest[tp], ends[tp], committed[tp])
                for tp, topic_id in zip(tps, topic_ids, strict=True)
            ),
            others_partitions=await self._named_by_others() if record.blank else 0,
        )
        going_on = self._judge(record, now, record.blank and taken.has_profiles)
        self._refuse_outlived(record, partition, now.changelog)
        starts = [start_offset(known, one) for known, one in zip(going_on.inputs, now.inputs, strict=True)]
        return going_on, dict(zip(tps, starts, strict=True))

    async def _named_by_others(self) -> int:
        async with self._asking:
            if self._named is None:
                self._named = await self._recorded_partitions()
        return self._named

    def _refuse_outlived(self, record: PartitionRecord, partition: int, changelog: str) -> None:
        """A copy may hold the state that a changelog created anew does not."""
        if not record.blank:
            self._stores.discard_outlived(partition)
        elif outlived := self._stores.outlived(partition):
            folders = " and ".join(map(str, outlived))
            raise StateError(
                f"{changelog}, partition {partition} is empty and was created anew: the state that {folders} was made "
                "from is lost.",
                f"Restore the changelog topic from a copy; or, if it was deleted on purpose, delete {folders} too and "
                "start again.",
            )
