"""How far a log was published: a small file, so that an interrupted publishing goes on where Kafka's acks ended."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from streams import codec
from streams.core.errors import StateError

_FORMAT: Final = 1


def publication(digests: Sequence[str]) -> str:
    """Short name of these logs in this order: the name of their progress file."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


class PublishProgress:
    """Rows acknowledged without a gap, counted in merge order, kept in a file.

    Parameters
    ----------
    path
        The file; it and its folder are made when first saved.
    digests
        Of the logs, in the order given.
    topics
        Topic name -> Kafka's id of it. Another id is another topic: what was sent to the old one does not count.

    Raises
    ------
    StateError
        The file is there but is not one of ours.
    """

    def __init__(self, path: Path, digests: Sequence[str], topics: Mapping[str, str]) -> None:
        self.path = path
        self._identity: dict[str, Any] = {"format": _FORMAT, "digests": list(digests), "topics": dict(topics)}
        self.acknowledged = self._load()

    def save(self, acknowledged: int) -> None:
        """Keep how many rows, from the first on, need not be sent again; the file is replaced as a whole.

        Raises
        ------
        StateError
            The file cannot be written.
        """
        self.acknowledged = acknowledged
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(codec.encode({**self._identity, "acknowledged": acknowledged}))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise StateError(
                f"The progress file {self.path} cannot be written: {error.strerror}.", "Name another state_dir."
            ) from error

    def _load(self) -> int:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._unusable(str(error.strerror)) from error
        try:
            kept = codec.decode(content)
        except codec.CodecError as error:
            raise self._unusable(str(error)) from error
        if not isinstance(kept, dict) or type(kept.get("acknowledged")) is not int or kept["acknowledged"] < 0:
            raise self._unusable("it is not a progress file")
        same = all(kept.get(name) == value for name, value in self._identity.items())
        return int(kept["acknowledged"]) if same else 0

    def _unusable(self, why: str) -> StateError:
        return StateError(
            f"The progress file {self.path} cannot be used: {why}.", "Delete it to publish from the first row on."
        )
