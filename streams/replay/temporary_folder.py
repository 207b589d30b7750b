"""What is said when the temporary folder takes no more."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from streams.core.errors import OutputFolderError


@contextmanager
def writing_temporarily() -> Iterator[None]:
    """Turn what the disk says into an error that tells what to do.

    Raises
    ------
    OutputFolderError
        The temporary folder cannot be written, or what was written cannot be read back.
    """
    try:
        yield
    except OSError as error:
        raise OutputFolderError(
            f"The temporary folder {tempfile.gettempdir()} cannot be written: {error.strerror or error}.",
            "Make room, or point TMPDIR to a folder that has it.",
        ) from error
