"""A finished backfill of as many users as asked: that of a small log, its users given to others as well."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.core.tally import Counts
from streams.replay import result_folder as names
from streams.replay.files import open_log
from streams.replay.handover import FOLDER, HandoverWriter, Times
from streams.replay.offline import OfflineRun
from streams.replay.result_folder import ResultFolder
from streams.replay.run_options import RunOptions
from streams.replay.sources import FileSource
from streams.replay.turn_results import Told
from tests.support.partition_runs import POLICY


class _Ended:
    """Keeps the end of a run."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []
        self.examples: list[tuple[dict[str, Any], int]] = []
        self.profiles: list[tuple[str, bytes, bool]] = []
        self.times: Times | None = None
        self.tally: Counts = {}

    def model_record(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)

    def example(self, body: dict[str, Any], label_ms: int) -> None:
        self.examples.append((body, label_ms))

    def end(self, times: Times, tally: Counts) -> None:
        self.times, self.tally = times, tally

    def profile(self, user_id: str, value: bytes, *, portrait: bool) -> None:
        self.profiles.append((user_id, value, portrait))

    def close(self) -> None:
        return


class _Sink(ResultFolder):
    """Keeps portraits beside what it writes."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.portraits: list[Told] = []

    def output(self, told: Told) -> None:
        if told.topic == "user-profiles":
            self.portraits.append(told)
        else:
            super().output(told)


def grown(log: Path, users: int, place: Path) -> Path:
    """The result folder of a log, with ``users`` users; the n-th has the profile and portrait of one of the log's."""
    ended = _Ended()
    options = RunOptions(horizon_days=30, policy=POLICY, stored_profiles=True)
    source = FileSource([open_log(log)], time.time_ns() // 1_000_000)
    with _Sink(place) as sink, HandoverWriter(sink.part(FOLDER)) as writer:
        OfflineRun(source, sink, options, lambda progress: None, handover=ended).run()
        for record in ended.records:
            writer.model_record(record)
        for body, label_ms in ended.examples:
            writer.example(body, label_ms)
        assert ended.times is not None
        writer.end(ended.times, ended.tally)
        known = {told.user_id: told for told in sink.portraits}
        profiles = [(known[user_id], value) for user_id, value, portrait in ended.profiles if portrait]
        with sink.part(names.PROFILES).open("wb") as portraits:
            for number in range(users):
                told, value = profiles[number % len(profiles)]
                name = f"user-{number:07d}"
                portraits.write(told.line.replace(b'"%s"' % told.user_id.encode(), b'"%s"' % name.encode(), 1))
                writer.profile(name, value, portrait=True)
        writer.close()
    return place
