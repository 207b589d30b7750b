"""Result folders held against each other, byte by byte."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, by its path within."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
