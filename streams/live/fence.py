"""Which records of a changelog count: the pure rules of *Taking a partition*.

A worker that was frozen past its session and goes on ("zombie") cannot be kept from appending to the changelog.
It can be kept from counting. Whoever takes a partition first appends a *fence* that names a fresh writer id;
every record carries the id of its writer in a Kafka header; and a record counts only if its writer is the one named by
the last fence before it. What a zombie appends behind its successor's fence is thus read by nobody.

Every fence has a key of its own (``\\0fence/`` + writer), because compaction keeps the last record *per key*: under one
shared key the older fences would vanish, and with them the proof that older records count.

Compaction knows nothing of fences: where a zombie's record is the last of its key, it would keep that and drop the one
that counts. So keys whose last record does not count are written again: by the owner as soon as its next append
shows a gap, else by the next owner when it restores. The changelog's ``min.compaction.lag.ms`` is the time they have.

A slice is appended as records, and a crash may leave some of them without the partition record that ends it. Profiles
do not mind: each knows what it has applied. What is counted over all of them would; so the record of a profile whose
scores came to something carries the partition's tally up to and with it, and the last word on it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

FENCE_PREFIX: Final = b"\x00fence/"
PARTITION_KEY: Final = b"\x00partition"
LETTERS_KEY: Final = b"\x00dead-letters"
"""What a partition has counted towards the limit of dead letters."""
HOLD_KEY: Final = b"\x00outputs-held"
"""Which outputs of a partition are held until somebody decides."""
RESERVED: Final = b"\x00"
"""Keys of ours start with this byte; no user id may."""

WRITER_HEADER: Final = "writer"
TALLY_HEADER: Final = "tally"
NO_WRITER: Final = 0
"""Before the first fence nothing counts; no writer ever has this id."""


class ChangelogRecord(NamedTuple):
    """One record of a changelog partition; ``value`` None is a tombstone."""

    offset: int
    key: bytes
    value: bytes | None
    writer: int
    tally: bytes | None = None
    """Of the partition, up to and with this record; None where the record changes nothing about it."""


def fence_key(writer: int) -> bytes:
    """The key of the fence that names ``writer``.

    >>> fence_key(255)
    b'\\x00fence/00000000000000ff'
    """
    return FENCE_PREFIX + b"%016x" % writer


def writer_header(writer: int) -> list[tuple[str, bytes]]:
    """The Kafka headers every changelog record carries."""
    return [(WRITER_HEADER, writer.to_bytes(8, "big"))]


def writer_of(headers: Sequence[tuple[str, bytes]]) -> int:
    """The writer a record names, or :data:`NO_WRITER` where it names none (then it never counts)."""
    for name, raw in headers:
        if name == WRITER_HEADER and len(raw) == 8:
            return int.from_bytes(raw, "big")
    return NO_WRITER


def tally_of(headers: Sequence[tuple[str, bytes]]) -> bytes | None:
    """The tally a record carries, if any."""
    return next((raw for name, raw in headers if name == TALLY_HEADER), None)


class Restore:
    """Folds changelog records, in offset order, into the writes that count.

    Parameters
    ----------
    writer
        Who the last fence before the first record names; :data:`NO_WRITER` when reading from the beginning, or the
        writer stored with a local copy that is continued.

    >>> restore = Restore()
    >>> restore.counted([ChangelogRecord(0, fence_key(7), b"", 7), ChangelogRecord(1, b"ann", b"1", 7),
    ...                  ChangelogRecord(2, b"ann", b"2", 6)])
    [(b'ann', b'1')]
    >>> list(restore.shadowed)
    [b'ann']
    """

    def __init__(self, writer: int = NO_WRITER) -> None:
        self.writer = writer
        self.shadowed: dict[bytes, None] = {}
        """Keys whose last record so far did not count: they must be written again."""
        self.refused = 0
        """How many records did not count."""
        self.tally: bytes | None = None
        """The last tally behind the last partition record: of a slice that a crash cut off."""

    def counted(self, records: Iterable[ChangelogRecord]) -> list[tuple[bytes, bytes | None]]:
        """The writes among ``records`` that count, in order; fences take effect and are not returned."""
        writes: list[tuple[bytes, bytes | None]] = []
        for record in records:
            _, key, value, writer, tally = record
            if key.startswith(FENCE_PREFIX):
                if writer != NO_WRITER:
                    self.writer = writer
            elif writer == self.writer and writer != NO_WRITER:
                if self.shadowed:
                    self.shadowed.pop(key, None)
                if key == PARTITION_KEY:
                    self.tally = None
                elif tally is not None:
                    self.tally = tally
                writes.append((key, value))
            else:
                self.refused += 1
                self.shadowed[key] = None
        return writes


class Gap(NamedTuple):
    """What others appended between two appends of ours."""

    newer_fence: int
    """The writer that took the partition from us, or :data:`NO_WRITER`."""
    foreign: tuple[bytes, ...]
    """Keys to write again, in the order of their last foreign record."""


def judge_gap(records: Iterable[ChangelogRecord], ours: int) -> Gap:
    """Judge the records found between the offset we expected and the one we got.

    Records of our own are the echo of a retry that was acknowledged late: they say what we said.

    >>> judge_gap([ChangelogRecord(4, b"ann", b"old", 6), ChangelogRecord(5, fence_key(9), b"", 9)], ours=7)
    Gap(newer_fence=9, foreign=(b'ann',))
    """
    newer_fence = NO_WRITER
    foreign: dict[bytes, None] = {}
    for record in records:
        if record.writer == ours:
            continue
        if record.key.startswith(FENCE_PREFIX):
            newer_fence = record.writer
        else:
            foreign.pop(record.key, None)
            foreign[record.key] = None
    return Gap(newer_fence, tuple(foreign))


def rewrites(keys: Iterable[bytes], stored: Callable[[bytes], bytes | None]) -> list[tuple[bytes, bytes | None]]:
    """What to append so that the last record of every key counts again: its stored value, else a tombstone."""
    return [(key, stored(key)) for key in keys]
