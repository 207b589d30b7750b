"""What the whole job must leave behind: a backfill of the same log, and what of it a framework can have said.

Rivals score with the models of this backfill, as Ebbtide's worker does with those of its trainer, so that ids agree.
A framework whose state is by key alone hears of a silent user's deadlines with that user's next event: it says the
same, later, and says nothing of deadlines behind a user's last event.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from streams.codec import decode, encode
from streams.core.ports import Rejection
from streams.policies.reader import read_policy
from streams.replay.files import open_log
from streams.replay.handover import NoHandover
from streams.replay.offline import OfflineRun, RunOptions
from streams.replay.sources import FileSource, Row
from streams.replay.turn_results import Told
from streams.topics import USER_PROFILES
from tests.bench.rivals.events_topic import partition_of
from tests.bench.rivals.portrait_job import HORIZON_DAYS, totals_of


class Said(NamedTuple):
    """One output."""

    id: str
    user_id: str
    as_of_ms: int


@dataclass
class Expected:
    """What a backfill said, and what it was made of. It is the backfill's sink."""

    said: list[Said] = field(default_factory=list)
    last_event: dict[str, int] = field(default_factory=dict)
    """By user, ms."""
    totals: dict[str, Any] = field(default_factory=dict)
    """By user, what the portrait says of events, orders and money so far."""
    cuts: list[Mapping[str, Any]] = field(default_factory=list)
    """Records of ``model-cuts``, in order."""

    def output(self, told: Told) -> None:
        if told.topic == USER_PROFILES:
            self.totals[told.user_id] = decode(told.line)["totals"]
        else:
            self.said.append(Said(told.id, told.user_id, told.as_of_ms))

    def example(self, body: dict[str, Any], user_id: str) -> None:
        self.said.append(Said(body["id"], user_id, -1))

    def model_record(self, topic: str, body: dict[str, Any]) -> None:
        """Nothing that rivals say."""

    def dead_letter(self, rejection: Rejection, row: Row) -> None:
        raise AssertionError(f"the reference log holds a record that is rejected: {rejection}")

    def document(self, name: str, body: dict[str, Any]) -> None:
        """Nothing that rivals say."""

    def write_cuts(self, path: Path) -> None:
        """The models to score with, a line each."""
        path.write_bytes(b"".join(encode(dict(cut), newline=True) for cut in self.cuts))

    def bounds(self, partitions: int | None) -> dict[str, int]:
        """By user, the instant through which something can be said: of the newest event in the user's partition, or,
        with None, of the user's own last one."""
        if partitions is None:
            return self.last_event
        newest: dict[int, int] = {}
        of = {user_id: partition_of(user_id, partitions) for user_id in self.last_event}
        for user_id, ts in self.last_event.items():
            newest[of[user_id]] = max(newest.get(of[user_id], ts), ts)
        return {user_id: newest[of[user_id]] for user_id in self.last_event}


class _Cuts(NoHandover):
    """Keeps the days of the model."""

    def __init__(self, cuts: list[Mapping[str, Any]]) -> None:
        self._cuts = cuts

    def model_record(self, record: Mapping[str, Any]) -> None:
        self._cuts.append(record)


def expect(lines: Iterable[bytes], folder: Path) -> Expected:
    """Backfill JSON lines; they are written to a file in ``folder`` first."""
    expected = Expected()
    path = folder / "expected.jsonl"
    with path.open("wb") as file:
        for line in lines:
            row = decode(line)
            expected.last_event[row["user_id"]] = row["ts"]
            file.write(line)
    options = RunOptions(HORIZON_DAYS, read_policy(None))
    source = FileSource([open_log(path)], time.time_ns() // 1_000_000)
    OfflineRun(source, expected, options, lambda progress: None, handover=_Cuts(expected.cuts)).run()
    return expected


def difference(expected: Expected, found: Iterable[str], partitions: int | None) -> str | None:
    """What is wrong with the outputs of a rival; None where they are the backfill's, repeats aside.

    Parameters
    ----------
    found
        Ids of what it said, portraits left out.
    partitions
        Of its engines, where they hear of silence; None where state is by key.
    """
    bounds = expected.bounds(partitions)
    told = set(found)
    allowed = {said.id for said in expected.said if said.as_of_ms <= bounds[said.user_id]}
    wanted = {said.id for said in expected.said if 0 <= said.as_of_ms < bounds[said.user_id]}
    if missing := wanted - told:
        return f"{len(missing)} of {len(wanted)} outputs are missing, {min(missing)} for one"
    if beyond := told - allowed:
        return f"{len(beyond)} of {len(told)} outputs are none of the backfill's, {min(beyond)} for one"
    return None


def difference_of_state(expected: Expected, profiles: Mapping[str, bytes]) -> str | None:
    """What is wrong with the profiles that a rival stored; None where their totals are the backfill's.

    Parameters
    ----------
    profiles
        By user, the last value in its changelog.
    """
    found = totals_of(profiles)
    if len(found) != len(expected.totals):
        return f"its changelog holds {len(found)} users, not {len(expected.totals)}"
    wrong = [user_id for user_id, totals in expected.totals.items() if found.get(user_id) != totals]
    return f"the totals of {len(wrong)} users are wrong, {min(wrong)} for one" if wrong else None
