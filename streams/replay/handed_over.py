"""Reads what a finished run hands over, and holds it against what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from streams import codec, topics
from streams.core.errors import InputFileError, OutputFolderError
from streams.core.net_differences import Portrait, decode_portrait
from streams.core.stored_profile import SCHEMA
from streams.replay.compression import decompressed
from streams.replay.handover import (
    DOCUMENT,
    FOLDER,
    FORMAT,
    FRAME,
    MODEL_CUTS,
    PROFILES,
    TRAINING_EXAMPLES,
    Document,
)
from streams.replay.result_folder import FILES, require_result

_CHUNK: Final = 1 << 20
_AGAIN: Final = "Run the backfill again."


class HandedProfile(NamedTuple):
    """One user: the stored profile, how many of its scores wait by head, the portrait and its line as written."""

    key: bytes
    value: bytes
    churn: int
    propensity: int
    portrait: Portrait | None
    line: bytes


class HandedOver:
    """What a finished backfill hands over.

    Parameters
    ----------
    folder
        The result folder.

    Raises
    ------
    OutputFolderError
        It is no finished backfill, or one that hands nothing over.
    InputFileError
        The hand-over is damaged, or of a newer Ebbtide.
    """

    def __init__(self, folder: Path) -> None:
        self._portraits = require_result(folder) / FILES[topics.USER_PROFILES]
        self._folder = folder / FOLDER
        path = self._folder / DOCUMENT
        if not path.is_file():
            raise OutputFolderError(
                f"{folder} hands nothing over: {FOLDER}/{DOCUMENT} is missing.",
                "It is of an older Ebbtide or was made with --no-handover; run the backfill again.",
            )
        raw = path.read_bytes()
        self.id = blake2b(raw, digest_size=8).hexdigest()
        """Names what is handed over: another run of the same log by the same rules has the same."""
        self.document = _document(raw, path)

    def profiles(self) -> Iterator[HandedProfile]:
        """Every user, in the order of ``profiles.jsonl``.

        Raises
        ------
        InputFileError
            The files are damaged, or do not belong together.
        """
        path = self._folder / PROFILES
        digest = blake2b(digest_size=16)
        users = 0
        try:
            with self._portraits.open("rb") as lines:
                for key, portrait, churn, propensity, value in _frames(path, digest.update):
                    line = lines.readline().rstrip(b"\n") if portrait else b""
                    told = decode_portrait(line, f"A line of {self._portraits}") if portrait else None
                    if told is not None and told.user_id.encode() != key:
                        raise InputFileError(
                            f"{self._portraits} does not go with {path}: the portrait of {key.decode()!r} is not "
                            "where it was written.",
                            _AGAIN,
                        )
                    users += 1
                    yield HandedProfile(key, value, churn, propensity, told, line)
                left = lines.readline()
        except OSError as error:
            raise InputFileError(f"{self._portraits} cannot be read: {error.strerror}.", _AGAIN) from error
        self._check(PROFILES, digest.hexdigest())
        if users != self.document.users or left:
            raise InputFileError(
                f"{path} and {self._portraits} are not of the {self.document.users:,} users that {DOCUMENT} speaks of.",
                _AGAIN,
            )

    def cuts(self) -> Iterator[dict[str, Any]]:
        """The days of the model, in order."""
        return self._lines(MODEL_CUTS)

    def examples(self) -> Iterator[dict[str, Any]]:
        """Examples that the last cut has not learned, in order."""
        return self._lines(TRAINING_EXAMPLES)

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        path = self._folder / name
        digest = blake2b(digest_size=16)
        with decompressed(path) as lines:
            for line in lines:
                digest.update(line)
                try:
                    yield codec.decode(line)
                except codec.CodecError as error:
                    raise InputFileError(f"{path} is damaged: {error}.", _AGAIN) from error
        self._check(name, digest.hexdigest())

    def _check(self, name: str, digest: str) -> None:
        if self.document.digests.get(name) != digest:
            raise InputFileError(f"{self._folder / name} is damaged: it is not what was written.", _AGAIN)


def _document(raw: bytes, path: Path) -> Document:
    try:
        document = codec.decode(raw)
        if isinstance(document, dict) and isinstance(document.get("format"), int) and document["format"] > FORMAT:
            raise InputFileError(
                f"{path} has format {document['format']}, and this Ebbtide reads up to {FORMAT}.",
                "Bootstrap with the Ebbtide that made it.",
            )
        found = msgspec.convert(document, Document)
    except (codec.CodecError, msgspec.ValidationError) as error:
        raise InputFileError(f"{path} cannot be read: {error}.", _AGAIN) from error
    if found.profile_schema > SCHEMA:
        raise InputFileError(
            f"{path} names profiles of schema {found.profile_schema}, and this Ebbtide reads up to {SCHEMA}.",
            "Bootstrap with the Ebbtide that made it.",
        )
    return found


def _frames(path: Path, read: Callable[[bytes], None]) -> Iterator[tuple[bytes, int, int, int, bytes]]:
    """Key, portrait, waiting scores by head and value of each frame; ``read`` hears of every byte, in order."""
    head, unpack = FRAME.size, FRAME.unpack_from
    rest = b""
    with decompressed(path) as file:
        while chunk := file.read(_CHUNK):
            read(chunk)
            data = rest + chunk
            at, end = 0, len(data)
            while end - at >= head:
                key_bytes, portrait, churn, propensity, value_bytes = unpack(data, at)
                begin = at + head
                middle = begin + key_bytes
                if middle + value_bytes > end:
                    break
                at = middle + value_bytes
                yield data[begin:middle], portrait, churn, propensity, data[middle:at]
            rest = data[at:]
    if rest:
        raise InputFileError(f"{path} is cut off.", _AGAIN)
