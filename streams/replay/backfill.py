"""Backfill: event logs in files, through an offline run, into a result folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.replay.files import EventLog
from streams.replay.handover import FOLDER as HANDOVER
from streams.replay.handover import HandoverWriter
from streams.replay.offline import OfflineRun, Progress, RunOptions
from streams.replay.ray_crew import RayCrew
from streams.replay.result_folder import ResultFolder
from streams.replay.shards import OneShard, Shards
from streams.replay.sources import FileSource
from streams.replay.worker_shards import WorkerShards


def run_backfill(
    logs: Sequence[EventLog],
    out: Path,
    options: RunOptions,
    *,
    started_ms: int,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    shards: Shards | None = None,
) -> dict[str, Any]:
    """Run logs through the engine into a result folder.

    Parameters
    ----------
    logs
        Opened logs; they are merged by event time.
    out
        The result folder; an earlier result there is replaced when this one is whole.
    options
        What to do; with ``stored_profiles`` it leaves what ``ebbtide bootstrap`` goes on from.
    started_ms
        The wall clock at the start: an event later than this is from the future.
    on_progress
        Hears how far the run is, every few thousand rows.
    shards
        Who holds the users; this process by default. The results are the same.

    Returns
    -------
    dict
        The body of ``summary.json``.

    Raises
    ------
    OutputFolderError, InputFileError
        The folder cannot be written; a log broke while it was read.
    WorkersError
        The workers that hold the users could not be had, or ended again and again.
    """
    source = FileSource(logs, started_ms)
    with ResultFolder(out) as folder:
        if not options.stored_profiles:
            return OfflineRun(source, folder, options, on_progress, shards).run()
        with HandoverWriter(folder.part(HANDOVER)) as handover:
            return OfflineRun(source, folder, options, on_progress, shards, handover).run()


@contextmanager
def shards_of(
    workers: int, options: RunOptions, notify: Callable[[str], None], *, ray_address: str | None = None
) -> Iterator[Shards]:
    """Who holds the users of a run: this process, or so many workers on Ray.

    Parameters
    ----------
    workers
        How many; one, without an address, is this process.
    options
        Of the run.
    notify
        Is told when a worker ended and was begun anew.
    ray_address
        Of a Ray cluster; None for this machine.

    Raises
    ------
    WorkersError
        Ray is not installed.
    """
    if workers == 1 and ray_address is None:
        yield OneShard(options)
        return
    with (
        RayCrew(workers, options, ray_address) as crew,
        tempfile.TemporaryDirectory(prefix="ebbtide-backfill-", ignore_cleanup_errors=True) as folder,
    ):
        yield WorkerShards(crew, workers, options, Path(folder), notify)
