"""A set of outputs, wherever it lies: a result folder, the topics that workers write, or a replay's shadow topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from streams import codec, topics
from streams.core.errors import InputFileError, OutputFolderError
from streams.replay.result_folder import FILES, require_result

if TYPE_CHECKING:
    from streams.settings import Settings

COMPARED: Final = (
    topics.SEGMENT_CHANGES,
    topics.CHURN_RISK,
    topics.PURCHASE_PROPENSITY,
    topics.CUSTOMER_VALUE,
    topics.LATE_EVENTS,
    topics.USER_PROFILES,
)
LIVE: Final = "topics"
"""How the outputs of the workers are named; ``topics:NAME`` those of a replay."""

Message = tuple[str, dict[str, Any] | None]
"""Key (the output's id; for a portrait its user) and body; None is a tombstone."""


class OutputSet(Protocol):
    """Messages by topic, in the order they were written; may be read any number of times."""

    def messages(self, topic: str) -> Iterator[Message]:
        """Every message of one of :data:`COMPARED`, repeats and tombstones too."""


class FolderOutputs:
    """The outputs in a result folder.

    Raises
    ------
    OutputFolderError
        It is missing or was not finished.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise OutputFolderError(
                f"{folder} is not a folder.", "Give a result folder, `topics`, or `topics:NAME` for a replay's."
            )
        self._folder = require_result(folder)

    def messages(self, topic: str) -> Iterator[Message]:
        """Every line of the topic's file.

        Raises
        ------
        InputFileError
            The file is missing, or a line of it is not a JSON object.
        """
        path = self._folder / FILES[topic]
        try:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    body = _object(line, f"{path}, line {number}", "Run the backfill again.")
                    yield key_of(topic, body), body
        except OSError as error:
            raise InputFileError(
                f"{path} cannot be read: {error.strerror}.", "Give a finished result folder."
            ) from error


class TopicOutputs:
    """The outputs in Kafka, as they stood when this was made.

    Parameters
    ----------
    settings
        Brokers and prefix.
    suffix
        Of shadow topics.

    Raises
    ------
    TopicError, BrokerError
        A topic is missing; the broker is away.
    """

    def __init__(self, settings: Settings, suffix: str = "") -> None:
        from streams.replay.finished_topics import FinishedTopics

        self._suffix = suffix
        self._topics = {topic: FinishedTopics(settings, [topic], suffix=suffix) for topic in COMPARED}

    def messages(self, topic: str) -> Iterator[Message]:
        """Every record of the topic.

        Raises
        ------
        InputFileError
            A record is none of ours.
        """
        for record in self._topics[topic].records():
            where = f"{topic}{self._suffix}, partition {record.partition}, offset {record.offset}"
            if record.value is None:
                yield (record.key or b"").decode("utf-8", "replace"), None
            else:
                body = _object(record.value, where, "Look at what else writes to the topic.")
                yield key_of(topic, body), body


def open_outputs(named: str, settings: Callable[[], Settings]) -> OutputSet:
    """The set that a person names: a folder, ``topics``, or ``topics:NAME``.

    Parameters
    ----------
    named
        As typed; a folder that is called so is meant by ``./topics``.
    settings
        Asked only where Kafka is.
    """
    place, _, name = named.partition(":")
    if place != LIVE:
        return FolderOutputs(Path(named))
    from streams.replay.shadow_topics import suffix_of

    return TopicOutputs(settings(), suffix_of(name) if name else "")


def key_of(topic: str, body: dict[str, Any]) -> str:
    """What a message is compared by: its id; a portrait replaces the one before, so its user."""
    return str(body.get("user_id" if topic == topics.USER_PROFILES else "id"))


def _object(raw: bytes, where: str, hint: str) -> dict[str, Any]:
    try:
        body = codec.decode(raw)
    except codec.CodecError as error:
        raise InputFileError(f"{where}: {error}.", hint) from error
    if not isinstance(body, dict):
        raise InputFileError(f"{where} is not a JSON object.", hint)
    return body
