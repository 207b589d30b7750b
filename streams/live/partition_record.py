"""The partition record: how far a partition has come, written behind every slice's profiles in the changelog."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streams.core import migrations
from streams.core.alignment import UNKNOWN
from streams.core.errors import StateError
from streams.core.events import INPUT_TOPICS
from streams.core.tally import Tally

VERSION: Final = 3


class InputPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far one input has been applied.

    ``topic_id`` is Kafka's; ``epoch`` counts how often the topic was created anew or lost its end, so that offsets of
    before say nothing; ``next`` is the first offset not applied, UNKNOWN before the first; ``newest`` the newest event
    time taken.
    """

    topic_id: str
    epoch: int = 0
    next: int = UNKNOWN
    newest: int = UNKNOWN


class PartitionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What restarting needs besides the profiles. Instants in ms.

    A field that is added needs a default; a new :data:`VERSION` only if an older program must not go on without it.
    """

    version: int = VERSION
    cluster_id: str = ""
    """Of the Kafka cluster it was written on; empty where that is not known (version 1)."""
    partitions: int = 0
    """How many partitions the inputs had; 0 where that is not known (version 1)."""
    changelog_begins: int = 0
    """Oldest offset of the changelog that holds the whole state: above 0 only once a loss was accepted."""
    watermark: int = UNKNOWN
    newest: int = UNKNOWN
    clock: int = UNKNOWN
    published: int = UNKNOWN
    """Kafka timestamp of the newest record: silence is counted from it."""
    portraits_from: int = 0
    """Changelog offset from which on changed profiles may not have been published yet."""
    inputs: tuple[InputPosition, ...] = ()
    tally: Tally | None = None
    """What became of the scheduled scores; None in a record of before they were counted."""
    applied_until: int = UNKNOWN
    """A bootstrap brought everything with an event time at or before it: such records are skipped."""
    bootstrap: str = ""
    """Which one that was: the id of what was loaded."""
    loading: bool = False
    """It has not ended: what is here does not count yet, and no worker may go on from it."""

    @property
    def blank(self) -> bool:
        """Whether nothing was ever recorded: the partition's first start."""
        return not self.inputs


_encoder = msgspec.json.Encoder()


def encode_record(record: PartitionRecord) -> bytes:
    """The record as it is stored."""
    return _encoder.encode(record)


def decode_record(raw: bytes, where: str = "The partition record") -> PartitionRecord:
    """Read a stored record of this version or an older one.

    Raises
    ------
    StateError
        It is damaged or of a newer version.
    """
    try:
        stored: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
        version = msgspec.convert(stored.get("version", 1), int)
        record = migrations.migrated(stored, version, VERSION, migrations.PARTITION_RECORD, where)
        known = msgspec.convert(record, PartitionRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(where, str(error)) from error
    if len(known.inputs) not in (0, len(INPUT_TOPICS)):
        raise _unreadable(where, f"it speaks of {len(known.inputs)} inputs, not {len(INPUT_TOPICS)}")
    return known


def _unreadable(where: str, why: str) -> StateError:
    return StateError(
        f"{where} cannot be read: {why}.",
        "Restore the changelog topic from a copy; or delete it and the consumer group, to build the state anew.",
    )
