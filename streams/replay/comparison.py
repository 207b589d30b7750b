"""Two sets of outputs held against each other: what is only in one, and what differs under the same id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from streams import codec
from streams.replay.output_sets import COMPARED, OutputSet

MOST_SHOWN: Final = 5
"""Changed messages of a topic whose differing fields are told."""
_ABOUT_THE_RUN: Final = frozenset({"mode", "source"})
_WHERE: Final = frozenset({"partition", "offset"})


@dataclass(slots=True)
class Difference:
    """How one kind of output differs."""

    topic: str
    left: int = 0
    right: int = 0
    equal: int = 0
    only_left: list[str] = field(default_factory=list)
    only_right: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    """(id or user, the fields that differ; said of the first few only)."""

    @property
    def same(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.only_left or self.only_right or self.changed)


def without_positions(body: dict[str, Any]) -> dict[str, Any]:
    """A body without who ran and where its cause was read: a file's row and a topic's offset are the same event.

    >>> without_positions({"id": "a", "mode": "live", "cause": {"kind": "event", "partition": 3, "offset": 9}})
    {'id': 'a', 'cause': {'kind': 'event'}}
    """
    kept = {name: value for name, value in body.items() if name not in _ABOUT_THE_RUN}
    cause = kept.get("cause")
    if isinstance(cause, dict):
        kept["cause"] = {name: value for name, value in cause.items() if name not in _WHERE}
    return kept


def compare(left: OutputSet, right: OutputSet, *, positions: bool = False) -> list[Difference]:
    """Compare two sets of outputs topic by topic; of a repeated id (or user) the last message holds.

    Parameters
    ----------
    left, right
        Opened by :func:`~streams.replay.output_sets.open_outputs`.
    positions
        Also compare where causes were read and by which mode.

    Raises
    ------
    InputFileError, BrokerError
        A file or topic is damaged; the broker went away.
    """
    return [_compare(left, right, topic, positions=positions) for topic in COMPARED]


def _compare(left: OutputSet, right: OutputSet, topic: str, *, positions: bool) -> Difference:
    ours, theirs = (_digests(outputs, topic, positions=positions) for outputs in (left, right))
    difference = Difference(topic, len(ours), len(theirs))
    changed = []
    for key, digest in ours.items():
        other = theirs.get(key)
        if other is None:
            difference.only_left.append(key)
        elif other != digest:
            changed.append(key)
        else:
            difference.equal += 1
    difference.only_right = [key for key in theirs if key not in ours]
    shown = frozenset(changed[:MOST_SHOWN])
    bodies = [_bodies(outputs, topic, shown, positions=positions) for outputs in (left, right)] if shown else []
    difference.changed = [
        (key, "; ".join(_fields(bodies[0][key], bodies[1][key])) if key in shown else "") for key in changed
    ]
    return difference


def _digests(outputs: OutputSet, topic: str, *, positions: bool) -> dict[str, bytes]:
    digests: dict[str, bytes] = {}
    for key, body in outputs.messages(topic):
        if body is None:
            digests.pop(key, None)
            continue
        kept = body if positions else without_positions(body)
        digests[key] = blake2b(codec.encode(kept, sort_keys=True), digest_size=16).digest()
    return digests


def _bodies(outputs: OutputSet, topic: str, keys: frozenset[str], *, positions: bool) -> dict[str, Any]:
    return {
        key: body if positions else without_positions(body)
        for key, body in outputs.messages(topic)
        if body is not None and key in keys
    }


def _fields(left: Any, right: Any, path: str = "") -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from _fields(left.get(name), right.get(name), f"{path}.{name}" if path else name)
    elif left != right:
        yield f"{path}: {left!r} != {right!r}"
