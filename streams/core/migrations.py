"""Stored state of older versions, brought up to the newest one step at a time.

Whatever is stored names its version. A step takes the content of version n and gives that of version n + 1; it is a
pure function, and it stays here for as long as somebody's changelog may hold version n. State newer than this program
is refused: guessing at it could lose what it says.

A new version of something: raise its number, add the step here, run ``python -m tests.support.stored_states`` and
commit what that adds. Adding a field that has a default needs none of this, as long as an older program may ignore it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

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


def store_identity_2(identity: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew the changelog only, whose id no other topic of any cluster has."""
    return {"format": 2, "changelog": identity["changelog"], "cluster_id": "", "partitions": 0, "inputs": []}


PARTITION_RECORD: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: partition_record_2}
STORE_IDENTITY: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: store_identity_2}
PROFILE: Final[Mapping[int, Callable[[bytes], bytes]]] = {}
"""Schema 1 is the only one so far."""
