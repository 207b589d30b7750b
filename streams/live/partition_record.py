"""The partition record: how far a partition has come, written behind every slice's profiles in the changelog."""

from __future__ import annotations

import msgspec

from streams.core.alignment import UNKNOWN
from streams.core.errors import StateError, TopicError


class InputPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far one input has been applied.

    ``topic_id`` is Kafka's; ``epoch`` counts how often the topic was created anew, so that offsets of the old one say
    nothing; ``next`` is the first offset not applied, UNKNOWN before the first; ``newest`` the newest event time taken.
    """

    topic_id: str
    epoch: int = 0
    next: int = UNKNOWN
    newest: int = UNKNOWN


class PartitionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What restarting needs besides the profiles. Instants in ms."""

    watermark: int = UNKNOWN
    newest: int = UNKNOWN
    clock: int = UNKNOWN
    published: int = UNKNOWN
    """Kafka timestamp of the newest record: silence is counted from it."""
    portraits_from: int = 0
    """Changelog offset from which on changed profiles may not have been published yet."""
    inputs: tuple[InputPosition, ...] = ()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(PartitionRecord)


def encode_record(record: PartitionRecord) -> bytes:
    """The record as it is stored."""
    return _encoder.encode(record)


def decode_record(raw: bytes) -> PartitionRecord:
    """Read a stored record.

    Raises
    ------
    StateError
        It is damaged or of a newer version.
    """
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise StateError(f"The partition record cannot be read: {error}.", "Run the version that wrote it.") from error


def renewed(record: PartitionRecord, topic_ids: tuple[str, ...]) -> tuple[InputPosition, ...]:
    """The input positions under the topics as they are now: one created anew starts over in a new epoch."""
    if not record.inputs:
        return tuple(InputPosition(topic_id=topic_id) for topic_id in topic_ids)
    return tuple(
        known if known.topic_id == topic_id else InputPosition(topic_id=topic_id, epoch=known.epoch + 1)
        for known, topic_id in zip(record.inputs, topic_ids, strict=True)
    )


def start_offset(where: str, known: InputPosition, committed: int | None, oldest: int) -> int:
    """The offset to read on from.

    Parameters
    ----------
    where
        Topic and partition, for messages.
    known
        What the partition record says.
    committed
        The group's offset, None without one. It trails what is recorded, as acks come after the record.
    oldest
        The broker's oldest offset.

    Raises
    ------
    StateError
        The group has committed what no record tells of: the state belonging to it is gone.
    TopicError
        Retention has deleted records that were never applied.

    >>> start_offset("clicks, partition 0", InputPosition(topic_id="x", next=7), 5, 0)
    7
    """
    if known.next == UNKNOWN and known.epoch > 0:
        return oldest  # the topic was created anew: what the group has committed speaks of the old one
    if known.next == UNKNOWN:
        if committed is not None and committed > oldest:
            raise StateError(
                f"The group has read {where} up to offset {committed}, but the changelog knows nothing of it: "
                "the state was lost.",
                "Restore the changelog topic; or delete the consumer group, to build the state anew from what the "
                "input topics still hold.",
            )
        return max(committed or 0, oldest)
    if committed is not None and committed > known.next:
        raise StateError(
            f"The group has read {where} up to offset {committed}, but the changelog only up to {known.next}: "
            "records of the changelog were lost.",
            "Restore the changelog topic; or delete it and the consumer group, to build the state anew.",
        )
    if known.next < oldest:
        raise TopicError(
            f"{where}: offset {known.next} comes next, but retention has deleted everything below {oldest}.",
            "The events between are lost to this worker. Publish them again from their source; to go on without "
            "them, delete the consumer group and the changelog. Longer retention gives a stopped worker more time.",
        )
    return known.next
