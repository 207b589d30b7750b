"""The hand-over of a finished run: what a live installation goes on from, written while the run ends.

Beside the results for people, a backfill leaves a folder ``handover`` with

- ``profiles.zst``: every stored profile, as an owner would have it in the changelog, ordered as ``profiles.jsonl``;
- ``model-cuts.zst``: the days of the model as ``model-cuts`` would hold them, the end of the run left out: a trainer
  goes on from the last midnight, as if the run had not ended there;
- ``training-examples.zst``: the examples that this midnight has not learned;
- ``handover.json``: what was loaded through which instant, and by which rules. Written last.

``ebbtide bootstrap`` copies the bytes. :mod:`streams.replay.handed_over` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

import msgspec

from streams import codec
from streams.core.handed_profile import waiting_scores, with_applied_until
from streams.core.stored_profile import SCHEMA
from streams.core.tally import CHURN, PROPENSITY, Counts

FOLDER: Final = "handover"
PROFILES: Final = "profiles.zst"
MODEL_CUTS: Final = "model-cuts.zst"
TRAINING_EXAMPLES: Final = "training-examples.zst"
DOCUMENT: Final = "handover.json"
FORMAT: Final = 1
FRAME: Final = Struct(">HBIII")
"""Bytes of the user id; whether there is a portrait; waiting scores of churn, of propensity; bytes of the value."""
_LEVEL: Final = 1
_BUFFER: Final = 1 << 20


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in ``handover.json``. Instants in ms.

    ``applied_until`` is the instant through which everything is in: the end of the run, or its newest event.
    """

    format: int = FORMAT
    profile_schema: int = SCHEMA
    horizon_days: int
    propensity_days: int
    policy_version: str
    policy_fingerprint: int
    grace_ms: int
    watermark: int
    newest: int
    clock: int
    applied_until: int
    users: int
    portraits: int
    examples: int
    tally: Counts
    digests: dict[str, str]
    """BLAKE2b of each file as it was before it was compressed, hex."""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run has come, and by which rules; as :class:`Document` has them."""

    horizon_days: int
    propensity_days: int
    policy_version: str
    policy_fingerprint: int
    grace_ms: int
    watermark: int
    newest: int
    clock: int
    applied_until: int


class Handover(Protocol):
    """Where a run leaves what somebody may go on from."""

    def model_record(self, record: Mapping[str, Any]) -> None:
        """Take what the trainer gave back for ``model-cuts``, in order."""

    def example(self, body: dict[str, Any], label_ms: int) -> None:
        """Take an example that was given to the trainer."""

    def end(self, times: Times, tally: Counts) -> None:
        """The log is gone through; what follows are profiles."""

    def profile(self, user_id: str, value: bytes, *, portrait: bool) -> None:
        """Take a stored profile, and whether there is a portrait of it, which is the next one written."""

    def close(self) -> None:
        """That was all."""


class NoHandover:
    """Nobody will go on from the run."""

    def model_record(self, record: Mapping[str, Any]) -> None:
        """Leave it."""

    def example(self, body: dict[str, Any], label_ms: int) -> None:
        """Leave it."""

    def end(self, times: Times, tally: Counts) -> None:
        """Nothing was begun."""

    def profile(self, user_id: str, value: bytes, *, portrait: bool) -> None:
        """Leave it."""

    def close(self) -> None:
        """Nothing was begun."""


class HandoverWriter:
    """Writes the folder. A context manager: files are closed, whatever happens.

    Parameters
    ----------
    folder
        Is made; it must not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _Digested] = {}
        self._since_cut: list[tuple[int, bytes]] = []
        """(label_ms, line) of examples that no cut has learned."""
        self._users = self._portraits = 0
        self._times: Times | None = None
        self._tally: Counts = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(mode=0o700)
        for name in (PROFILES, MODEL_CUTS, TRAINING_EXAMPLES):
            self._files[name] = _Digested(self._folder / name)
        return self

    def model_record(self, record: Mapping[str, Any]) -> None:
        """Keep a day of the model; one that ends a run in the middle of a day is none."""
        if record["type"] == "cut":
            if record["final"]:
                return
            self._since_cut = [kept for kept in self._since_cut if kept[0] > record["day"]]
        elif record["type"] != "same":
            return
        self._files[MODEL_CUTS].write(codec.encode(record, newline=True))

    def example(self, body: dict[str, Any], label_ms: int) -> None:
        """Keep an example until a cut has learned it."""
        self._since_cut.append((label_ms, codec.encode(body, newline=True)))

    def end(self, times: Times, tally: Counts) -> None:
        """Keep what the document will say."""
        self._times, self._tally = times, tally

    def profile(self, user_id: str, value: bytes, *, portrait: bool) -> None:
        """Write a stored profile."""
        assert self._times is not None
        key, waiting = user_id.encode(), waiting_scores(value)
        value = with_applied_until(value, self._times.applied_until)
        frame = FRAME.pack(len(key), portrait, waiting[CHURN], waiting[PROPENSITY], len(value))
        self._files[PROFILES].write(frame + key + value)
        self._users += 1
        self._portraits += portrait

    def close(self) -> None:
        """Write what is left, and the document."""
        if self._times is None:
            return
        for _, line in self._since_cut:
            self._files[TRAINING_EXAMPLES].write(line)
        document = Document(
            **msgspec.structs.asdict(self._times),
            users=self._users,
            portraits=self._portraits,
            examples=len(self._since_cut),
            tally=self._tally,
            digests={name: file.close() for name, file in self._files.items()},
        )
        (self._folder / DOCUMENT).write_bytes(codec.encode(msgspec.to_builtins(document), newline=True))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()


class _Digested:
    """A compressed file that knows the digest of what went in."""

    def __init__(self, path: Path) -> None:
        import zstandard

        self._digest = blake2b(digest_size=16)
        self._raw: IO[bytes] = path.open("wb", buffering=_BUFFER)
        self._file = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(self._raw)
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, content: bytes) -> None:
        """Append; small pieces go in together."""
        self._waiting.append(content)
        self._size += len(content)
        if self._size >= _BUFFER:
            self._flush()

    def close(self) -> str:
        """End the file; the digest. May be called again."""
        if not self._raw.closed:
            self._flush()
            self._file.close()  # type: ignore[no-untyped-call]
        return self._digest.hexdigest()

    def _flush(self) -> None:
        content = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        self._digest.update(content)
        self._file.write(content)
