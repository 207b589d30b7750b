"""The small job on Ebbtide's live shell: the worker as shipped, metrics included, with an engine that only adds up.

``python -m tests.bench.rivals.ebbtide_totals ASSIGNMENT``. It reads Ebbtide's three inputs, of which the prefix is the
assignment's, and keeps its promises: every profile holds the applied offsets that make redelivery harmless.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from streams.core.events import Event
from streams.core.ports import ChurnScorer, Output, Step
from streams.live import serve
from streams.live.seams import PendingProfiles
from streams.live.worker import Worker
from streams.settings import Settings
from streams.topics import SEGMENT_CHANGES
from tests.bench.rivals.assignment import Assignment, Marks
from tests.bench.rivals.totals_job import told

GRACE_MS: Final = 600_000
MICROS_A_CENT: Final = 10_000
NO_TIME: Final = -1
_STORED: Final = struct.Struct(">qqqqqBBB")
"""Count, cents, and the applied offset and topic epoch of each input."""


class AddingEngine:
    """Count and sum per user; what the live shell asks of an engine besides, and no more.

    Parameters
    ----------
    profiles
        What is stored.
    marks
        Told how many events a step has applied.
    """

    def __init__(self, profiles: PendingProfiles, marks: Marks) -> None:
        self.watermark = NO_TIME
        self.newest = NO_TIME
        self.clock = NO_TIME
        self.applied_until = NO_TIME
        self.epochs = [0, 0, 0]
        self.stages: Counter[str] = Counter()
        self._profiles = profiles
        self._marks = marks
        self._users: dict[str, list[int]] = {}

    def process(self, events: list[Event], model: ChurnScorer, *, head_bound: int | None = None) -> Step:
        """Add up events."""
        self._marks.applying()
        step = Step()
        users, outputs, changed, epochs = self._users, step.outputs, step.changed, self.epochs
        for event in events:
            user_id, kind = event.user_id, event.kind
            user = users.get(user_id)
            if user is None:
                stored = self._profiles.get(user_id)
                user = users[user_id] = [0, 0, -1, -1, -1, 0, 0, 0] if stored is None else list(_STORED.unpack(stored))
            if user[5 + kind] == epochs[kind] and event.offset <= user[2 + kind]:
                step.facts.skipped += 1
                continue
            user[2 + kind], user[5 + kind] = event.offset, epochs[kind]
            user[0] += 1
            for line in event.lines:
                user[1] += (line.price or 0) // MICROS_A_CENT * line.quantity
            changed[user_id] = None
            step.facts.accepted += 1
            if (body := told(user_id, user[0], user[1])) is not None:
                outputs.append(Output(SEGMENT_CHANGES, event.id, user_id, event.ts, body))
        self.newest = max(self.newest, max(event.ts for event in events))
        bound = self.newest if head_bound is None else min(self.newest, head_bound)
        self.watermark = max(self.watermark, bound - GRACE_MS)
        self._marks.applied(step.facts.accepted)
        return step

    def advance(self, clock_ms: int, model: ChurnScorer, *, watermark: int | None = None) -> Step:
        """Silence changes nothing."""
        self.clock = max(self.clock, clock_ms)
        self.watermark = max(self.watermark, NO_TIME if watermark is None else watermark)
        return Step()

    def encoded(self, user_id: str, writer: int = 0) -> bytes | None:
        """What is to be stored of a user."""
        user = self._users.get(user_id)
        return None if user is None else _STORED.pack(*user)

    def portrait(self, user_id: str) -> Output | None:
        """There are none: no step names any."""
        return None

    def untell(self, discarded: Iterable[tuple[str, str, str | None]]) -> Step:
        """Nothing is held, so nothing is discarded."""
        return Step()

    def restore_all(self, profiles: Iterable[tuple[bytes, bytes]]) -> None:
        """Users are read when an event of theirs comes."""
        self.stages["counted"] += sum(1 for _ in profiles)


class AddingWorker(Worker):
    """The worker as shipped, but for its engine; stops when all is applied."""

    assignment: Assignment
    marks: Marks

    async def run(self) -> int:
        """Work, and watch."""
        watching = asyncio.create_task(self._watch())
        try:
            return await super().run()
        finally:
            watching.cancel()

    def _engine(self, partition: int, profiles: PendingProfiles) -> AddingEngine:
        return AddingEngine(profiles, self.marks)

    async def _watch(self) -> None:
        # It reads whole batches ahead: what that takes is counted from when its partitions are taken.
        while self.ownership is None or not self.ownership.ready.is_set():
            await asyncio.sleep(0.005)
        self.marks.applying()
        while self.marks.count < self.assignment.total:
            await asyncio.sleep(0.05)
        self.stop()


def main(path: str) -> int:
    """Run until all is applied; the exit code."""
    assignment = Assignment.read(path)
    settings = Settings(
        brokers=assignment.brokers,
        topic_prefix=assignment.prefix,
        partitions=assignment.partitions,
        group_id=assignment.group,
        state_dir=Path(assignment.state),
        http_port=0,
    )
    AddingWorker.assignment, AddingWorker.marks = assignment, Marks(assignment)
    vars(serve)["Worker"] = AddingWorker  # all else is what `ebbtide worker` runs
    code = serve.serve_worker(settings, "wall", None, with_trainer=False)
    AddingWorker.marks.ended()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
