"""Bytes of a log: plain, gzip or Zstandard by their first bytes, with every failure told as an InputFileError."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final

from streams.core.errors import InputFileError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
PARQUET: Final = b"PAR1"
_CHUNK: Final = 1 << 18


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system and the decompressors raise about a file into :class:`InputFileError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputFileError(f"{path} does not exist.", "Check the path.") from error
    except IsADirectoryError as error:
        raise InputFileError(f"{path} is a directory, not an event log.", "Name the files in it.") from error
    except PermissionError as error:
        raise InputFileError(f"{path} may not be read by this user.", "Check its permissions.") from error
    except EOFError as error:
        raise InputFileError(f"{path} is cut off: its compressed data end too early.", "Copy it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputFileError(f"{path} is damaged: {error}.", "Copy it again.") from error
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}.", "Check the disk.") from error


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    with told(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def magic_of(path: Path) -> bytes:
    """The first four bytes of a regular file (fewer if it has no more)."""
    with told(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputFileError(
                f"{path} is not a regular file.", "An event log is read more than once; write it to a file first."
            )
        with path.open("rb") as file:
            return file.read(4)


@contextmanager
def decompressed(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading lines, decompressed if its first bytes say so."""
    magic = magic_of(path)
    with told(path), path.open("rb") as file:
        if magic.startswith(GZIP):
            with gzip.GzipFile(fileobj=file) as unzipped:
                yield io.BufferedReader(unzipped, _CHUNK)
        elif magic == ZSTD:
            yield io.BufferedReader(_ZstdReader(file, path), _CHUNK)
        else:
            yield file


class _ZstdReader(io.RawIOBase):
    """Zstandard frames as a raw stream that notices a frame cut off (zstandard's own reader just ends there)."""

    def __init__(self, source: BinaryIO | IO[bytes], path: Path) -> None:
        import zstandard

        self._source = source
        self._path = path
        self._error = zstandard.ZstdError
        self._context = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._ready:
            if not self._fill():
                return 0
        view = memoryview(buffer).cast("B")
        taken = self._ready[: len(view)]
        view[: len(taken)] = taken
        self._ready = self._ready[len(taken) :]
        return len(taken)

    def _fill(self) -> bool:
        """Decompress one more chunk; False at the end of the last frame."""
        rest = b""
        if self._frame is not None and self._frame.eof:
            rest = self._frame.unused_data
            self._frame = None
        compressed = rest or self._source.read(_CHUNK)
        if not compressed:
            if self._frame is not None:
                raise EOFError
            return False
        if self._frame is None:
            self._frame = self._context.decompressobj()
        try:
            self._ready = self._frame.decompress(compressed)
        except self._error as error:
            raise InputFileError(f"{self._path} is damaged: {error}.", "Copy it again.") from error
        return True
