"""Scorecards by head: from a finished backfill, or the topic ``model-scorecard``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.codec import CodecError, decode
from streams.core.errors import InputFileError
from streams.model_records import model_record
from streams.replay.result_folder import SCORECARD, require_result
from streams.topics import MODEL_SCORECARD

if TYPE_CHECKING:
    from streams.settings import Settings

Cards = dict[str, dict[str, Any]]
"""Head -> its record, as ``model-scorecard`` has it; of a finished run with more under ``overall``."""


def from_folder(folder: Path) -> Cards:
    """The scorecards of a finished run.

    Raises
    ------
    OutputFolderError, InputFileError
        The folder is no finished result, of an earlier Ebbtide, or the file in it is damaged.
    """
    path = require_result(folder) / SCORECARD
    again = "Run the backfill again."
    try:
        body = decode(path.read_bytes())
    except (OSError, CodecError) as error:
        raise InputFileError(f"{path} cannot be read: {error}.", again) from error
    heads = body.get("heads") if isinstance(body, dict) else None
    if not isinstance(heads, dict):
        raise InputFileError(f"{path} has no scorecards by head: an earlier Ebbtide wrote it.", again)
    return {str(name): card for name, card in heads.items()}


def from_topic(settings: Settings) -> Cards:
    """The newest scorecard of every head; {} before the first cut.

    Raises
    ------
    BrokerError, TopicError
        The broker is away, the topic missing, or somebody else writes to it.
    """
    from streams.replay.finished_topics import FinishedTopics

    cards: Cards = {}
    for record in FinishedTopics(settings, [MODEL_SCORECARD]).records():
        body = model_record(record.value, f"{record.topic}, partition {record.partition}, offset {record.offset}")
        cards[str(body["head"])] = body
    return cards
