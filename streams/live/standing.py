"""Whether a partition's state, its topics and the group's offsets still belong together; pure.

A worker reads on where its partition record says. Before it does, it compares that with what the broker has now. Where
the two do not fit, records or state were lost or replaced, and going on would skip or repeat something unseen. So the
worker refuses, and says what an operator can do. Some of it can be gone on from, once somebody says so
(``ebbtide state accept``).

Not refused: a group without offsets, whether they expired or were deleted, because the record knows where to go on; and
offsets behind the record, because acks come after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from streams.core.alignment import UNKNOWN
from streams.core.errors import EbbtideError, StateError, TopicError
from streams.live.partition_record import InputPosition, PartitionRecord

ACCEPT: Final = "stop all workers and run `ebbtide state accept`"

OTHER_TOPICS: Final = (
    "A partition count cannot change under a state. Publish the events to topics with another EBBTIDE_TOPIC_PREFIX, "
    "and let workers with another EBBTIDE_GROUP_ID build the state from them."
)


class Cause(StrEnum):
    """What does not fit, in the words of ``ebbtide state check``."""

    CLUSTER = "other cluster"
    PARTITIONS = "other partition count"
    CHANGELOG_CUT = "changelog cut"
    UNRECORDED = "state without its record"
    LOADING = "bootstrap not ended"
    LOST = "state lost"
    AHEAD = "group ahead of the state"
    RECREATED = "topic created anew"
    TRUNCATED = "topic lost its end"
    DELETED = "records deleted unread"


ACCEPTABLE: Final = frozenset(Cause) - {Cause.PARTITIONS, Cause.UNRECORDED, Cause.LOADING}
"""Where an operator may decide to go on."""
_OF_TOPICS: Final = frozenset({Cause.PARTITIONS, Cause.RECREATED, Cause.TRUNCATED, Cause.DELETED})


@dataclass(frozen=True, slots=True)
class InputNow:
    """One input of a partition as the broker has it now; ``end`` is the offset that comes next."""

    topic: str
    topic_id: str
    oldest: int
    end: int
    committed: int | None = None
    """The group's offset, None without one."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a partition's state is held against."""

    partition: int
    partitions: int
    group: str
    cluster_id: str
    changelog: str
    changelog_oldest: int
    inputs: tuple[InputNow, ...]
    others_partitions: int = 0
    """Partition count in the records of the other partitions, where this one has none; 0 where none is known."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that does not fit."""

    cause: Cause
    what: str
    hint: str

    @property
    def acceptable(self) -> bool:
        """Whether ``ebbtide state accept`` can go on from it."""
        return self.cause in ACCEPTABLE

    def error(self, more: int = 0) -> EbbtideError:
        """As a worker says it; ``more`` misfits are left to ``ebbtide state check``."""
        kind = TopicError if self.cause in _OF_TOPICS else StateError
        rest = f" {more} more: `ebbtide state check` lists them." if more else ""
        return kind(self.what, self.hint + rest)


Judge = Callable[[PartitionRecord, "Surroundings", bool], PartitionRecord]
"""Decides from what the broker has, and whether there are profiles, with which record to go on; or raises."""


def judged(record: PartitionRecord, now: Surroundings, has_profiles: bool) -> PartitionRecord:
    """The record to go on with, naming where it is written.

    Raises
    ------
    StateError, TopicError
        Something does not fit.
    """
    found = misfits(record, now, has_profiles=has_profiles)
    if found:
        raise found[0].error(len(found) - 1)
    return begun(record, now)


def misfits(record: PartitionRecord, now: Surroundings, *, has_profiles: bool = False) -> list[Misfit]:
    """Everything that keeps a partition from going on where its record says, the gravest first.

    Parameters
    ----------
    record
        Restored from the changelog; blank where there was none.
    now
        What the broker has.
    has_profiles
        Whether the changelog holds profiles.
    """
    found = _of_the_state(record, now, has_profiles)
    positions = record.inputs or tuple(InputPosition(topic_id=one.topic_id) for one in now.inputs)
    for position, one in zip(positions, now.inputs, strict=True):
        found += _of_an_input(position, one, now)
    return found


def start_offset(known: InputPosition, one: InputNow) -> int:
    """The offset to read on from, where nothing is amiss: DESIGN's max(committed, recorded).

    >>> start_offset(InputPosition(topic_id="x", next=7), InputNow("clicks", "x", 0, 9, committed=5))
    7
    """
    return known.next if known.next != UNKNOWN else one.oldest


def begun(record: PartitionRecord, now: Surroundings) -> PartitionRecord:
    """The record to go on with, naming where it is written."""
    inputs = record.inputs or tuple(InputPosition(topic_id=one.topic_id) for one in now.inputs)
    return msgspec.structs.replace(record, cluster_id=now.cluster_id, partitions=now.partitions, inputs=inputs)


def accepted(record: PartitionRecord, now: Surroundings) -> PartitionRecord:
    """The record from which a worker goes on with what is there, once an operator said so."""
    positions = record.inputs or tuple(InputPosition(topic_id=one.topic_id) for one in now.inputs)
    return msgspec.structs.replace(
        begun(record, now),
        changelog_begins=now.changelog_oldest,
        # Scores that wait went with the profiles that were deleted: what is left is counted anew.
        tally=None if now.changelog_oldest > record.changelog_begins else record.tally,
        inputs=tuple(_accepted(position, one) for position, one in zip(positions, now.inputs, strict=True)),
    )


def _accepted(known: InputPosition, one: InputNow) -> InputPosition:
    if known.topic_id != one.topic_id:
        return InputPosition(topic_id=one.topic_id, epoch=known.epoch + 1, next=one.oldest)
    if known.next > one.end:
        # Offsets from here on are given a second time: those that profiles have applied must not be taken for them.
        return msgspec.structs.replace(known, epoch=known.epoch + 1, next=one.end)
    return msgspec.structs.replace(known, next=max(known.next, one.oldest))


def _of_the_state(record: PartitionRecord, now: Surroundings, has_profiles: bool) -> list[Misfit]:
    found = []
    whose = f"The state of partition {now.partition}"
    if record.cluster_id and now.cluster_id and record.cluster_id != now.cluster_id:
        found.append(
            Misfit(
                Cause.CLUSTER,
                f"{whose} was written on Kafka cluster {record.cluster_id}, and this is {now.cluster_id}.",
                f"Set EBBTIDE_BROKERS to the right cluster; or, if the topics were moved here, {ACCEPT}.",
            )
        )
    if now.partition >= now.partitions:
        found.append(
            Misfit(
                Cause.PARTITIONS,
                f"The topics have a partition {now.partition}, but the state is of {now.partitions} partitions: they "
                "were given more, and users would leave their profiles behind.",
                OTHER_TOPICS,
            )
        )
    written_with = record.partitions or (now.others_partitions if record.blank else 0)
    if written_with and written_with != now.partitions:
        found.append(
            Misfit(
                Cause.PARTITIONS,
                f"{whose if record.partitions else 'The state of the other partitions'} was made with {written_with} "
                f"partitions, and now there are {now.partitions}: users would leave their profiles behind.",
                OTHER_TOPICS,
            )
        )
    if now.changelog_oldest > record.changelog_begins:
        found.append(
            Misfit(
                Cause.CHANGELOG_CUT,
                f"{now.changelog}, partition {now.partition} begins at offset {now.changelog_oldest}, not at "
                f"{record.changelog_begins}: what stood before, profiles among it, was deleted.",
                f"Restore the changelog topic from a copy; or, to go on without what was deleted, {ACCEPT}.",
            )
        )
    if record.loading:
        found.append(
            Misfit(
                Cause.LOADING,
                f"{whose} is being loaded by `ebbtide bootstrap`, or that was interrupted.",
                "Run it again with the same folder, to its end; or delete the topic "
                f"{now.changelog}, to build the state anew from what the input topics still hold.",
            )
        )
    if record.blank and has_profiles:
        found.append(
            Misfit(
                Cause.UNRECORDED,
                f"{now.changelog}, partition {now.partition} holds profiles, but not how far they have come.",
                "Restore the changelog topic from a copy; or stop all workers, delete it and the consumer group "
                f"{now.group}, and start: the state is built anew from what the input topics still hold.",
            )
        )
    return found


def _of_an_input(known: InputPosition, one: InputNow, now: Surroundings) -> list[Misfit]:
    where = f"{one.topic}, partition {now.partition}"
    if known.topic_id != one.topic_id:
        return [
            Misfit(
                Cause.RECREATED,
                f"{where} was created anew: the state has applied the old topic ({known.topic_id}) up to offset "
                f"{known.next}, and the new one ({one.topic_id}) has offsets {one.oldest} to {one.end}.",
                f"If that was meant, {ACCEPT}: all that the new topic holds then counts as new. If not, restore the "
                "old topic.",
            )
        ]
    if known.next == UNKNOWN:
        # In a later epoch, what the group has committed speaks of the old topic.
        return _lost(one, where, now) if known.epoch == 0 else []
    found = []
    if one.committed is not None and one.committed > known.next:
        found.append(
            Misfit(
                Cause.AHEAD,
                f"The group {now.group} has read {where} up to offset {one.committed}, but the changelog only up to "
                f"{known.next}: the changelog lost records.",
                f"Restore the changelog topic from a copy; or {ACCEPT}: the input is read again from offset "
                f"{max(known.next, one.oldest)}.",
            )
        )
    if known.next < one.oldest:
        found.append(
            Misfit(
                Cause.DELETED,
                f"{where}: offset {known.next} comes next, but retention has deleted everything below {one.oldest}: "
                f"{one.oldest - known.next:,} records were never read.",
                f"To go on without them, {ACCEPT}; published again from their source they count as late events. "
                "A longer retention gives a stopped worker more time.",
            )
        )
    if known.next > one.end:
        found.append(
            Misfit(
                Cause.TRUNCATED,
                f"{where} ends at offset {one.end}, but was applied up to {known.next}: the broker lost "
                f"{known.next - one.end:,} records.",
                f"They are in the state, so do not publish them again. To go on at offset {one.end}, {ACCEPT}.",
            )
        )
    return found


def _lost(one: InputNow, where: str, now: Surroundings) -> list[Misfit]:
    if one.committed is None or one.committed == one.oldest:
        return []
    return [
        Misfit(
            Cause.LOST,
            f"The group {now.group} has read {where} up to offset {one.committed}, but {now.changelog} knows nothing "
            "of it: the state was lost.",
            f"Restore the changelog topic from a copy; or {ACCEPT}: the state is built anew from what the input still "
            f"holds, from offset {one.oldest} on.",
        )
    ]
