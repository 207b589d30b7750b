"""What is known of one user: in a result folder, or in the ``user-profiles`` topic."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streams import codec, topics
from streams.core.errors import InputFileError, UnknownUserError
from streams.replay.result_folder import FILES, require_result

if TYPE_CHECKING:
    from streams.settings import Settings

CHANGES_KEPT: Final = 5


@dataclass(slots=True)
class Known:
    """A user's portrait, and what was last said of it where that is at hand."""

    raw: bytes
    """The portrait's body as it stands there."""
    portrait: dict[str, Any]
    changes: list[dict[str, Any]] = field(default_factory=list)
    """The last segment changes, oldest first."""
    risk: dict[str, Any] | None = None
    """The last churn-risk message."""


def from_folder(user_id: str, folder: Path, *, changes: int = CHANGES_KEPT) -> Known:
    """Look a user up in a result folder.

    Raises
    ------
    UnknownUserError
        The run has not seen the user, or has forgotten it.
    OutputFolderError, InputFileError
        The folder is not a finished result, or a file in it is damaged.
    """
    require_result(folder)
    known: Known | None = None
    for line, body in _lines_about(user_id, folder / FILES[topics.USER_PROFILES]):
        known = Known(line.rstrip(b"\n"), body)
    if known is None:
        raise UnknownUserError(
            f"{folder} knows no user {user_id!r}.", f"Its users are in {folder / FILES[topics.USER_PROFILES]}."
        )
    told = deque((body for _, body in _lines_about(user_id, folder / FILES[topics.SEGMENT_CHANGES])), maxlen=changes)
    known.changes = list(told)
    for _, body in _lines_about(user_id, folder / FILES[topics.CHURN_RISK]):
        known.risk = body
    return known


def from_topic(user_id: str, settings: Settings) -> Known:
    """Look a user up in ``user-profiles``: the last portrait in the one partition that the user belongs to.

    Raises
    ------
    UnknownUserError
        There is none, or the user was forgotten (a tombstone).
    BrokerError
        The broker is away, or the topic is missing.
    """
    from streams.replay.finished_topics import FinishedTopics
    from streams.replay.outgoing import partition_of

    key = user_id.encode()
    raw: bytes | None = None
    topic = FinishedTopics(settings, [topics.USER_PROFILES], partition=lambda count: partition_of(key, count))
    for record in topic.records():
        if record.key == key:
            raw = record.value
    name = f"{settings.topic_prefix}{topics.USER_PROFILES}"
    if raw is None:
        raise UnknownUserError(
            f"{name} at {settings.brokers} knows no user {user_id!r}.",
            "A portrait follows its events by up to a minute; to look into a backfill give --from DIR.",
        )
    return Known(raw, _object(raw, f"{name}, user {user_id!r}"))


def _lines_about(user_id: str, path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The lines of a file whose message is about a user; only those that may be are decoded."""
    wanted = codec.encode(user_id)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if wanted in line:
                    body = _object(line, f"{path}, line {number}")
                    if body.get("user_id") == user_id:
                        yield line, body
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}.", "Give a finished result folder.") from error


def _object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        body = codec.decode(raw)
    except codec.CodecError as error:
        raise InputFileError(f"{where}: {error}.", "Make it anew.") from error
    if not isinstance(body, dict):
        raise InputFileError(f"{where} is not a JSON object.", "Make it anew.")
    return body
