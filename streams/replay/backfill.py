"""Backfill: event logs in files, through an offline run, into a result folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from streams.replay.files import EventLog
from streams.replay.handover import FOLDER as HANDOVER
from streams.replay.handover import HandoverWriter
from streams.replay.offline import OfflineRun, Progress, RunOptions
from streams.replay.result_folder import ResultFolder
from streams.replay.sources import FileSource


def run_backfill(
    logs: Sequence[EventLog],
    out: Path,
    options: RunOptions,
    *,
    started_ms: int,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    handover: bool = True,
) -> dict[str, Any]:
    """Run logs through the engine into a result folder.

    Parameters
    ----------
    logs
        Opened logs; they are merged by event time.
    out
        The result folder; an earlier result there is replaced when this one is whole.
    options
        What to do.
    started_ms
        The wall clock at the start: an event later than this is from the future.
    on_progress
        Hears how far the run is, every few thousand rows.
    handover
        Whether to leave what ``ebbtide bootstrap`` can go on from.

    Returns
    -------
    dict
        The body of ``summary.json``.

    Raises
    ------
    OutputFolderError, InputFileError
        The folder cannot be written; a log broke while it was read.
    """
    source = FileSource(logs, started_ms)
    with ResultFolder(out) as folder:
        if not handover:
            return OfflineRun(source, folder, options, on_progress).run()
        with HandoverWriter(folder.part(HANDOVER)) as writer:
            options = replace(options, stored_profiles=True)
            return OfflineRun(source, folder, options, on_progress, handover=writer).run()
