"""Two sets of outputs held against each other: what is only in one, and what differs under the same id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from streams import codec
from streams.core.errors import InputFileError, OutputFolderError
from streams.replay.result_folder import CHURN_RISK, LATE_EVENTS, PROFILES, SEGMENT_CHANGES, require_result

COMPARED: Final = (SEGMENT_CHANGES, CHURN_RISK, LATE_EVENTS, PROFILES)
_MOST_EXAMPLES: Final = 5


@dataclass(slots=True)
class Difference:
    """How one kind of output differs."""

    name: str
    left: int = 0
    right: int = 0
    equal: int = 0
    only_left: list[str] = field(default_factory=list)
    only_right: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    """(id or user, the fields that differ)."""

    @property
    def same(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.only_left or self.only_right or self.changed)


def without_positions(body: dict[str, Any]) -> dict[str, Any]:
    """A body without where its cause was read: a file's row and a topic's offset are the same event."""
    kept = {name: value for name, value in body.items() if name != "source"}
    cause = kept.get("cause")
    if isinstance(cause, dict):
        kept["cause"] = {name: value for name, value in cause.items() if name not in {"partition", "offset"}}
    return kept


def bodies_of(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The messages of one file of a result folder.

    Raises
    ------
    InputFileError
        The file is missing, or a line of it is not a JSON object.
    """
    path = folder / name
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    body = codec.decode(line)
                except codec.CodecError as error:
                    raise InputFileError(f"{path}, line {number}: {error}.", "Run the backfill again.") from error
                if not isinstance(body, dict):
                    raise InputFileError(f"{path}, line {number} is not a JSON object.", "Run the backfill again.")
                yield body
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}.", "Give a finished result folder.") from error


def _key(name: str, body: dict[str, Any]) -> str:
    # A portrait replaces the one before: the user is what it is compared by.
    return str(body.get("user_id" if name == PROFILES else "id"))


def _indexed(name: str, bodies: Iterable[dict[str, Any]], *, positions: bool) -> dict[str, bytes]:
    index: dict[str, bytes] = {}
    for body in bodies:
        kept = body if positions else without_positions(body)
        # A repeat carries the same id: the last one holds.
        index[_key(name, body)] = blake2b(codec.encode(kept, sort_keys=True), digest_size=16).digest()
    return index


def _fields(left: Any, right: Any, path: str = "") -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from _fields(left.get(name), right.get(name), f"{path}.{name}" if path else name)
    elif left != right:
        yield f"{path}: {left!r} != {right!r}"


def compare_folders(left: Path, right: Path, *, positions: bool = False) -> list[Difference]:
    """Compare the outputs of two finished result folders, by id and body.

    Parameters
    ----------
    left, right
        Result folders of ``ebbtide backfill`` or ``ebbtide replay --out``.
    positions
        Also compare where causes were read (partition and offset).

    Raises
    ------
    OutputFolderError, InputFileError
        A folder is not a finished result, or a file in it is damaged.
    """
    for folder in (left, right):
        if not folder.is_dir():
            raise OutputFolderError(f"{folder} is not a folder.", "Give two result folders.")
        require_result(folder)
    return [_compare(left, right, name, positions=positions) for name in COMPARED]


def _compare(left: Path, right: Path, name: str, *, positions: bool) -> Difference:
    ours = _indexed(name, bodies_of(left, name), positions=positions)
    theirs = _indexed(name, bodies_of(right, name), positions=positions)
    difference = Difference(name, len(ours), len(theirs))
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
    shown = frozenset(changed[:_MOST_EXAMPLES])
    bodies = [
        {
            key: body if positions else without_positions(body)
            for body in bodies_of(folder, name)
            if shown and (key := _key(name, body)) in shown
        }
        for folder in (left, right)
    ]
    difference.changed = [
        (key, "; ".join(_fields(bodies[0][key], bodies[1][key])) if key in shown else "") for key in changed
    ]
    return difference
