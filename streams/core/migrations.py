"""Stored state of older versions, brought up to the newest one step at a time.

Whatever is stored names its version. A step takes the content of version n and gives that of version n + 1; it is a
pure function, and it stays here for as long as somebody's changelog may hold version n. State newer than this program
is refused: guessing at it could lose what it says.

A new version of something: raise its number, add the step here, run ``python -m tests.support.stored_states`` and
commit what that adds. Adding a field that has a default needs none of this, as long as an older program may ignore it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, Final, TypeVar
from zlib import crc32

import msgspec

from streams.core.errors import StateError

Content = TypeVar("Content")

NEWER: Final = "Start the newer Ebbtide again; or roll back as docs/operations.md describes (Upgrades and rollback)."


def migrated(
    content: Content, version: int, newest: int, steps: Mapping[int, Callable[[Content], Content]], what: str
) -> Content:
    """Content of a stored version as the newest one has it.

    Parameters
    ----------
    content
        As it was stored; steps return a new one.
    version, newest
        Its version, and that of this program.
    steps
        What brings version n to n + 1, by n.
    what
        What it is, for messages.

    Raises
    ------
    StateError
        It is newer than this program, or older than what it still reads.

    >>> migrated("a", 1, 3, {1: lambda old: old + "b", 2: lambda old: old + "c"}, "the word")
    'abc'
    """
    if version > newest:
        raise StateError(f"{what} has version {version}, and this Ebbtide reads up to {newest}.", NEWER)
    for at in range(version, newest):
        if at not in steps:
            raise StateError(
                f"{what} has version {version}, and this Ebbtide cannot migrate from version {at}.",
                "Start the release before this one first, which can; or restore the state from a copy.",
            )
        content = steps[at](content)
    return content


def partition_record_2(record: dict[str, Any]) -> dict[str, Any]:
    """Version 1 named no version. It knew neither the cluster nor the number of partitions it was written under."""
    return {"version": 2, "cluster_id": "", "partitions": 0, "changelog_begins": 0, **record}


def partition_record_3(record: dict[str, Any]) -> dict[str, Any]:
    """Version 2 knew no bootstraps. A program of then would count again what one brought."""
    return {**record, "version": 3}


def store_identity_2(identity: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew the changelog only, whose id no other topic of any cluster has."""
    return {"format": 2, "changelog": identity["changelog"], "cluster_id": "", "partitions": 0, "inputs": []}


_PROFILE_HEADER: Final = Struct(">BBQqqqBBBI")
_PROFILE_CHECK: Final = Struct(">I")
_STATE_PENDING_1: Final = 41
_OBSERVATION_FEATURES_1: Final = 5


def profile_2(value: bytes) -> bytes:
    """Schema 1 knew neither the propensity to buy nor the spend after a score, and its features are no longer learned
    from: a score that waits for its label goes on waiting, for the scorecard alone.

    A value that is damaged stays so: it gets a checksum that does not fit.
    """
    begins = _PROFILE_HEADER.size + _PROFILE_CHECK.size
    header = value[:1] + b"\x02" + value[2 : _PROFILE_HEADER.size]
    if len(value) < begins:
        return header
    old = value[begins:]
    if _PROFILE_CHECK.pack(crc32(old, crc32(value[: _PROFILE_HEADER.size]))) != value[_PROFILE_HEADER.size : begins]:
        return header + _PROFILE_CHECK.pack(~crc32(old, crc32(header)) & 0xFFFFFFFF) + old
    try:
        body = msgspec.msgpack.decode(old)
        state = msgspec.msgpack.decode(body[0])
        for observation in state[_STATE_PENDING_1]:
            observation[_OBSERVATION_FEATURES_1] = None
            observation.append(-1)
        state += [-1, 0, -1, []]
        body[0] = msgspec.msgpack.encode(state)
        body[5] += [None, -1, "", {}, None, -1, "", None, None]
        new = msgspec.msgpack.encode(body)
    except (msgspec.DecodeError, LookupError, AttributeError, RecursionError, TypeError, ValueError):
        # The checksum fits, so somebody wrote it on purpose; reading it says what it lacks.
        new = old
    return header + _PROFILE_CHECK.pack(crc32(new, crc32(header))) + new


PARTITION_RECORD: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    1: partition_record_2,
    2: partition_record_3,
}
STORE_IDENTITY: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: store_identity_2}
PROFILE: Final[Mapping[int, Callable[[bytes], bytes]]] = {1: profile_2}
