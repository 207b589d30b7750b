"""What it takes to begin a worker of a backfill anew: its partitions as last kept, and what it was given since then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from streams.replay.temporary_folder import writing_temporarily

_TURNS: Final = "turns"
_LENGTH_BYTES: Final = 4
_encode: Final = msgspec.msgpack.Encoder().encode
Given = tuple[list[bytes], bytes]
"""Model records that came with a turn, and the turn, both encoded."""
_decode: Final = msgspec.msgpack.Decoder(Given).decode


class Backup:
    """The backup of one worker, in files of its own.

    Parameters
    ----------
    folder
        A temporary folder; it is made.

    Attributes
    ----------
    records
        Model records that served when the partitions were kept, encoded.

    >>> import tempfile
    >>> backup = Backup(Path(tempfile.mkdtemp()) / "worker-0")
    >>> backup.given([b"cut"], b"turn 1"); backup.given([], b"turn 2")
    >>> list(backup.since())
    [([b'cut'], b'turn 1'), ([], b'turn 2')]
    >>> backup.keep(3, b"state"); backup.commit([b"cut"])
    >>> list(backup.since()), list(backup.kept()), backup.records
    ([], [(3, b'state')], [b'cut'])
    """

    def __init__(self, folder: Path) -> None:
        self.records: list[bytes] = []
        self._folder = folder
        self._serial = 0
        self._new: dict[int, Path] = {}
        self._kept: dict[int, Path] = {}
        with writing_temporarily():
            folder.mkdir()
            (folder / _TURNS).touch()

    def given(self, records: Sequence[bytes], turn: bytes) -> None:
        """Take note of a turn that was given to the worker."""
        entry = _encode((records, turn))
        with writing_temporarily(), (self._folder / _TURNS).open("ab") as turns:
            turns.write(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry)

    def since(self) -> Iterator[Given]:
        """The turns since the partitions were kept, in order."""
        with writing_temporarily(), (self._folder / _TURNS).open("rb") as turns:
            while length := turns.read(_LENGTH_BYTES):
                yield _decode(turns.read(int.from_bytes(length, "big")))

    def keep(self, partition: int, state: bytes) -> None:
        """Write down a partition as it is now; it counts from :meth:`commit` on."""
        path = self._folder / f"partition-{partition}-{self._serial}"
        with writing_temporarily():
            path.write_bytes(state)
        self._new[partition] = path

    def commit(self, records: Sequence[bytes]) -> None:
        """From now on a new worker begins with what was kept; earlier turns and states are let go."""
        self.records = list(records)
        old, self._kept, self._new = self._kept, self._new, {}
        self._serial += 1
        with writing_temporarily():
            (self._folder / _TURNS).write_bytes(b"")
            for path in old.values():
                path.unlink()

    def kept(self) -> Iterator[tuple[int, bytes]]:
        """The partitions as last kept; none before the first time."""
        for partition, path in self._kept.items():
            with writing_temporarily():
                state = path.read_bytes()
            yield partition, state
