"""A result folder: written beside its place and moved there whole, so an interrupted run never looks finished."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from streams import codec, topics
from streams.core.errors import OutputFolderError
from streams.core.ports import Rejection
from streams.replay.sources import Row
from streams.replay.turn_results import Told

SEGMENT_CHANGES: Final = "segment-changes.jsonl"
CHURN_RISK: Final = "churn-risk.jsonl"
PURCHASE_PROPENSITY: Final = "purchase-propensity.jsonl"
CUSTOMER_VALUE: Final = "customer-value.jsonl"
PROFILES: Final = "profiles.jsonl"
LATE_EVENTS: Final = "late-events.jsonl"
DEAD_LETTERS: Final = "dead-letters.jsonl"
TRAINING_EXAMPLES: Final = "training-examples.jsonl"
MODEL_EVENTS: Final = "model-events.jsonl"
MODEL: Final = "model.json"
SCORECARD: Final = "scorecard.json"
SUMMARY: Final = "summary.json"
FILES: Final = {
    topics.SEGMENT_CHANGES: SEGMENT_CHANGES,
    topics.CHURN_RISK: CHURN_RISK,
    topics.PURCHASE_PROPENSITY: PURCHASE_PROPENSITY,
    topics.CUSTOMER_VALUE: CUSTOMER_VALUE,
    topics.USER_PROFILES: PROFILES,
    topics.LATE_EVENTS: LATE_EVENTS,
    topics.DEAD_LETTERS: DEAD_LETTERS,
    topics.TRAINING_EXAMPLES: TRAINING_EXAMPLES,
    topics.MODEL_EVENTS: MODEL_EVENTS,
}
"""The file of JSON lines for each output topic."""
_BUFFER: Final = 1 << 20


class ResultFolder:
    """A folder of results in the making.

    As a context manager: leaving it without an exception puts the folder in its place, replacing an earlier result;
    leaving it with one removes what was written.

    Parameters
    ----------
    place
        Where the result shall be. It may be absent, empty, or an earlier finished result.

    Raises
    ------
    OutputFolderError
        The place holds something else, or cannot be written.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        if place.exists() and not place.is_dir():
            raise OutputFolderError(f"{place} is a file.", "Name a folder with --out.")
        if place.is_dir() and any(place.iterdir()) and not (place / SUMMARY).is_file():
            raise OutputFolderError(
                f"{place} is not empty and holds no earlier result.", "Name another folder with --out, or empty it."
            )
        # Named before it is made: whenever an interrupt comes, it is known what to take away.
        self._made = place.parent / f".{place.name}.unfinished-{secrets.token_hex(4)}"
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            self._made.mkdir(mode=0o700)
            for topic, name in FILES.items():
                self._files[topic] = (self._made / name).open("wb", buffering=_BUFFER)
        except OSError as error:
            self._remove()
            raise OutputFolderError(
                f"{self.place.parent} cannot be written: {error.strerror}.", "Name a folder you may write with --out."
            ) from error
        except BaseException:
            self._remove()
            raise
        return self

    def output(self, told: Told) -> None:
        """Append a message to the file of its topic."""
        self._files[told.topic].write(told.line)

    def example(self, body: dict[str, Any], user_id: str) -> None:
        """Append a training example."""
        self._files[topics.TRAINING_EXAMPLES].write(codec.encode(body, newline=True))

    def model_record(self, topic: str, body: dict[str, Any]) -> None:
        """Append what happened to a model."""
        if topic in self._files:
            self._files[topic].write(codec.encode(body, newline=True))

    def dead_letter(self, rejection: Rejection, row: Row) -> None:
        """Append a rejected record: as it was where it is JSON, else its bytes as text."""
        record = row.raw.decode("utf-8", "backslashreplace") if isinstance(row.raw, bytes) else row.raw
        body = {"reason": rejection.reason, "message": rejection.message, "source": row.source, "record": record}
        self._files[topics.DEAD_LETTERS].write(codec.encode(body, newline=True))

    def part(self, name: str) -> Path:
        """Where a file or folder of the result is in the making."""
        return self._made / name

    def document(self, name: str, body: dict[str, Any]) -> None:
        """Write one JSON document."""
        (self._made / name).write_bytes(codec.encode(body, newline=True))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for file in self._files.values():
                file.close()
            if kind is None:
                self._put_in_place()
        except OSError as problem:
            raise OutputFolderError(
                f"{self.place} cannot be written: {problem.strerror}.", "Make room or name another folder with --out."
            ) from problem
        finally:
            shutil.rmtree(self._made, ignore_errors=True)

    def _remove(self) -> None:
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._made, ignore_errors=True)

    def _put_in_place(self) -> None:
        self._made.chmod(0o755)
        old = self.place.parent / f".{self.place.name}.replaced-{secrets.token_hex(4)}"
        try:
            if self.place.exists():
                self.place.replace(old)
            self._made.replace(self.place)
        finally:
            if not self.place.exists() and old.exists():  # interrupted in between: the earlier result stays
                old.replace(self.place)
            shutil.rmtree(old, ignore_errors=True)


def require_result(folder: Path) -> Path:
    """A finished result folder.

    Raises
    ------
    OutputFolderError
        It is missing or was not finished.
    """
    if not (folder / SUMMARY).is_file():
        raise OutputFolderError(
            f"{folder} is not a finished backfill: {SUMMARY} is missing.",
            f"Run `ebbtide backfill FILE --out {folder}` first.",
        )
    return folder
