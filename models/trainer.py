"""The trainer: turns labelled examples and marks into one daily sequence of model cuts.

Pure: records come in with their offsets and the time, records to publish come back. Learning happens in the order
(label time, user hash, id), below the lowest mark only, so the model depends on the log and not on how the
partitions happened to interleave, on repeats, or on restarts.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from models.accounts import Account, account_of
from models.errors import SnapshotError, TrainingRecordError
from models.examples import TrainingExample, decode_example, decode_mark, decode_rollback
from models.head_spec import CHURN, AnyHead, HeadSpec
from models.heads import Head, head_from_state, head_of
from models.marks import NOTHING, Marks, Snapshot
from models.model_events import rolled_back
from models.scorecard import Scorecard
from models.serving import NO_VERSION, floor_day
from models.snapshots import DAY_MS, cut_record, verify


class _Pending(NamedTuple):
    """An example that waits for the marks to pass it; sorts by the order of learning."""

    label_ms: int
    user_hash: int
    id: str
    offset: int
    marks: Snapshot
    """As they were when it was read: what a restart that reads it again starts from."""
    example: TrainingExample


class Trainer:
    """Learns from ``training-examples`` and cuts the models at the end of each event-time day.

    Feed it every record in offset order; publish what it returns, in order, each to the topic of its type. Each cut's
    ``next_offset`` is where to read on from after a restart with :meth:`from_cut`.

    Which partitions are waited for is said in :class:`models.marks.Marks`. An example that comes later than its
    turn, because its partition was passed over, is learned on arrival and counted as ``late``.

    Parameters
    ----------
    partitions
        Number of partitions of the inputs.
    heads
        What is learned; examples of no head, or of another horizon, are counted as ``foreign`` and left out.
    idle_ms
        Wall time without a mark after which a partition is passed over.

    Attributes
    ----------
    counts
        ``repeats``, ``late``, ``foreign``, ``rollbacks``; what became of the rest each head counts.

    Examples
    --------
    >>> trainer = Trainer(1, [head_of(HeadSpec("churn", ("recency",), 30))])
    >>> day = 86_400_000
    >>> mark = {"partition": 0, "partitions": 1, "watermark": 3 * day + 1, "drained": False}
    >>> trainer.mark({**mark, "clock": "log", "until": None}, offset=0, now_ms=0)
    [{'type': 'same', 'day': 259200000, 'version': 'none'}]
    """

    def __init__(self, partitions: int, heads: Sequence[AnyHead], *, idle_ms: int = 600_000) -> None:
        if partitions < 1:
            raise ValueError(f"partitions must be at least 1, not {partitions}")
        self._partitions = partitions
        self._marks = Marks(partitions, idle_ms)
        self.heads: dict[str, AnyHead] = {head.spec.name: head for head in heads}
        self._horizons = {
            head.spec.name: head.spec.horizon_days for head in heads if head.spec.listens_to == head.spec.name
        }
        self.counts: Counter[str] = Counter()
        self.version = NO_VERSION
        """Of the last cut."""
        self._pending: list[_Pending] = []
        self._pending_ids: set[str] = set()
        self._ahead: list[dict[str, int]] = [{} for _ in range(partitions)]
        """Per partition: id -> label_ms of what was learned though no mark of its own covers it yet."""
        self._low = NOTHING
        """Everything seen with label_ms below this was learned."""
        self._next_day: int | None = None
        self._final_at = NOTHING
        self._frontier_at = NOTHING
        self._learned_since_cut = 0
        self._last_final: dict[str, Any] | None = None
        self._next_position = 0
        self._resumed_at = 0
        self._resumed_through = NOTHING

    @classmethod
    def from_cut(
        cls,
        record: Mapping[str, Any],
        partitions: int,
        specs: Sequence[HeadSpec],
        *,
        idle_ms: int = 600_000,
        whole_run: bool = False,
    ) -> Self:
        """The trainer as it was at a cut; go on with the record at the cut's ``next_offset``.

        It ends with the same models as one that never stopped. A head that the cut does not know begins anew; one of
        another feature catalogue is brought over (:func:`models.schema.moved`). ``whole_run`` is the scorecards'.

        Raises
        ------
        SnapshotError
            As :func:`models.snapshots.verify`, or if the cut counts other partitions or does not hold together.
        """
        cut = verify(dict(record), horizons={spec.name: spec.horizon_days for spec in specs})
        marks = cut["resume"].get("marks")
        if not isinstance(marks, list) or len(marks) != partitions:
            raise SnapshotError(
                f"Model cut {cut['version']} was made over another number of partitions than {partitions}.",
                "Start a new model after changing the number of partitions.",
            )
        try:
            stored = cut["heads"]
            heads = [
                head_from_state(spec, stored[spec.name], whole_run=whole_run) if spec.name in stored else head_of(spec)
                for spec in specs
            ]
            trainer = cls(partitions, heads, idle_ms=idle_ms)
            trainer._resume(cut)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise SnapshotError(
                f"Model cut {cut['version']} does not hold together ({error}).", "Restore it from a copy, or retrain."
            ) from error
        return trainer

    # -- inputs ------------------------------------------------------------------------------------

    def example(self, body: Mapping[str, Any], offset: int) -> list[dict[str, Any]]:
        """Take in one example; it is learned when the marks pass it, or at once if they have. Gives back events.

        Raises
        ------
        TrainingRecordError
            If the record cannot be read; nothing was changed.
        """
        example = decode_example(body, offset, self._partitions)
        self._check_length(example, offset)
        again = offset < self._resumed_at
        self._next_position = max(self._next_position, offset + 1)
        if again and example.label_ms <= self._resumed_through:
            return []
        if example.horizon_days != self._horizons.get(example.head):
            self.counts["foreign"] += not again
        elif self._is_repeat(example):
            self.counts["repeats"] += not again
        elif example.label_ms < self._low:
            self.counts["late"] += 1
            return self._learn(example)
        else:
            entry = _Pending(example.label_ms, example.user_hash, example.id, offset, self._marks.known, example)
            heapq.heappush(self._pending, entry)
            self._pending_ids.add(example.id)
        return []

    def rollback(self, body: Mapping[str, Any], offset: int) -> list[dict[str, Any]]:
        """Go back to the models of an earlier cut, and cut at once; gives back the records to publish.

        What was learned since that cut is let go; scorecards and the order of learning stay as they are.

        Raises
        ------
        TrainingRecordError
            The record cannot be read, or its models do not fit; nothing was changed.
        """
        asked = decode_rollback(body, offset)
        again = offset < self._resumed_at
        self._next_position = max(self._next_position, offset + 1)
        if again or self._next_day is None:
            return []
        try:
            models = {n: self.heads[n].models_of(state) for n, state in asked.heads.items() if n in self.heads}
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise TrainingRecordError(
                f"The models of the rollback at training-examples offset {offset} do not hold together: {error}.",
                "Roll back to another version (ebbtide model list).",
            ) from error
        for name, stored in models.items():
            self.heads[name].go_back(stored)
        self.counts["rollbacks"] += 1
        self._learned_since_cut += 1
        day_ms = self._next_day - DAY_MS
        # Its own cut is behind it: who goes on from there does not go back once more.
        before, cut = self.version, self._cut(day_ms, offset + 1, final=False)
        return [rolled_back(asked, day_ms, before, cut["version"]), cut]

    def mark(self, body: Mapping[str, Any], offset: int, now_ms: int) -> list[dict[str, Any]]:
        """Take in one partition's mark; gives back the records to publish.

        Parameters
        ----------
        now_ms
            Wall time, to tell idle partitions.

        Raises
        ------
        TrainingRecordError
            If the record cannot be read; nothing was changed.
        """
        partition, mark = decode_mark(body, offset, self._partitions)
        self._next_position = max(self._next_position, offset + 1)
        covered = self._marks.put(partition, mark, now_ms)
        if self._ahead[partition]:
            kept = {id_: label_ms for id_, label_ms in self._ahead[partition].items() if label_ms >= covered}
            self._ahead[partition] = kept
        return self._advance(now_ms, offset)

    def tick(self, now_ms: int) -> list[dict[str, Any]]:
        """Let wall time pass: partitions may have become idle. Gives back the records to publish."""
        return self._advance(now_ms, self._next_position)

    # -- what can be asked -------------------------------------------------------------------------

    @property
    def churn(self) -> Head:
        """The churn head."""
        head = self.heads[CHURN]
        assert isinstance(head, Head)
        return head

    def count(self, what: str) -> int:
        """How many examples became that: the trainer's own :attr:`counts` and those of its heads."""
        return self.counts[what] + sum(head.counts[what] for head in self.heads.values())

    @property
    def scorecards(self) -> dict[str, Scorecard]:
        """By head: how good its scores were as they were served."""
        return {name: head.scorecard for name, head in self.heads.items() if isinstance(head, Head)}

    @property
    def drift_alarms(self) -> dict[str, Counter[str]]:
        """By head: how many drift alarms there were since the start, by signal."""
        return {name: head.drift.alarms for name, head in self.heads.items() if isinstance(head, Head)}

    def account(self, head: str) -> Account | None:
        """What became of a head's scheduled scores, by the last mark of every partition."""
        return account_of(head, [None if mark is None else mark.tally for mark in self._marks.known])

    @property
    def pending(self) -> int:
        """Examples that wait for the marks."""
        return len(self._pending)

    def holding_back(self, now_ms: int) -> list[int]:
        """The partitions whose mark, or lack of one, the next cut waits for."""
        return self._marks.not_beyond(-1 if self._next_day is None else self._next_day, now_ms)

    def final_cut(self) -> dict[str, Any]:
        """The cut that ended the run; if none did, the model as it stands, cut at what was learned."""
        if self._last_final is not None:
            return self._last_final
        return self._record(max(self._low - 1, 0), self._next_position, final=True)

    # -- going on ----------------------------------------------------------------------------------

    def _advance(self, now_ms: int, position: int) -> list[dict[str, Any]]:
        """Learn what the marks now cover, cutting at each midnight on the way."""
        self._marks.begin(now_ms)
        low, until = self._marks.lowest(now_ms), self._marks.until
        if low is not None and until is not None:
            low = min(low, until)
        if self._next_day is None and low is not None and low >= 0:
            # The midnight at or before the lowest first mark: nobody waits for an earlier cut.
            self._next_day = floor_day(self._marks.lowest_first)
        records: list[dict[str, Any]] = []
        if low is not None and low > self._low:
            while self._next_day is not None and self._next_day < low:
                day_ms = self._next_day
                records += self._learn_below(day_ms + 1)
                self._next_day += DAY_MS
                records += self._closed(day_ms)
                records.append(self._cut(day_ms, position, final=False))
            records += self._learn_below(low)
        if until is not None and until > self._final_at and self._marks.all_reached(until):
            records += self._learn_below(until + 1)
            self._final_at = until
            self._next_day = floor_day(until) + DAY_MS
            records += self._closed(until)
            records.append(self._cut(until, position, final=True))
        frontier = self._marks.frontier(self._next_day, None if until == self._final_at else until)
        if frontier is not None and frontier > self._frontier_at:
            self._frontier_at = frontier
            records.append({"type": "frontier", "day": frontier})
        return records

    # -- learning ----------------------------------------------------------------------------------

    def _is_repeat(self, example: TrainingExample) -> bool:
        return (
            example.label_ms < self._marks.covered(example.partition)
            or example.label_ms <= self._final_at
            or example.id in self._pending_ids
            or example.id in self._ahead[example.partition]
        )

    def _learn_below(self, bound: int) -> list[dict[str, Any]]:
        """Learn what has a label below an instant; what happened to the models comes back."""
        events: list[dict[str, Any]] = []
        while self._pending and self._pending[0].label_ms < bound:
            entry = heapq.heappop(self._pending)
            self._pending_ids.discard(entry.id)
            events += self._learn(entry.example)
        self._low = max(self._low, bound)
        return events

    def _learn(self, example: TrainingExample) -> list[dict[str, Any]]:
        """Have every head that listens test and learn it."""
        if example.label_ms >= self._marks.covered(example.partition):
            self._ahead[example.partition][example.id] = example.label_ms
        events: list[dict[str, Any]] = []
        for head in self.heads.values():
            if head.spec.listens_to == example.head:
                before = head.learned
                events += head.take(example)
                self._learned_since_cut += head.learned - before
        return events

    def _closed(self, day_ms: int) -> list[dict[str, Any]]:
        """Let the heads close a day; whatever happens to a model then is worth a cut."""
        events = [event for head in self.heads.values() for event in head.close_day(day_ms)]
        self._learned_since_cut += len(events)
        return events

    def _check_length(self, example: TrainingExample, offset: int) -> None:
        head = self.heads.get(example.head)
        if head is None or example.features is None or example.schema != head.spec.schema:
            return
        if len(example.features) != len(head.spec.columns):
            raise TrainingRecordError(
                f"The example at training-examples offset {offset} has {len(example.features)} features, and its "
                f"schema {len(head.spec.columns)}.",
                "Check that workers and trainer run the same Ebbtide.",
            )

    # -- cuts --------------------------------------------------------------------------------------

    def _cut(self, day_ms: int, position: int, *, final: bool) -> dict[str, Any]:
        if not final and not self._learned_since_cut:
            return {"type": "same", "day": day_ms, "version": self.version}
        record = self._record(day_ms, position, final=final)
        self._learned_since_cut = 0
        self._last_final = record if final else None
        self.version = record["version"]
        return record

    def _record(self, day_ms: int, position: int, *, final: bool) -> dict[str, Any]:
        """The cut at a day; ``position`` is the offset of the record that it was made on."""
        earliest = min(self._pending, key=lambda entry: entry.offset, default=None)
        marks = self._marks.known if earliest is None else earliest.marks
        return cut_record(
            day_ms=day_ms,
            final=final,
            heads={name: head.state() for name, head in self.heads.items()},
            next_offset=position if earliest is None else earliest.offset,
            resume={
                "position": position,
                "marks": [None if mark is None else mark.encode() for mark in marks],
                "ahead": [dict(sorted(ids.items())) for ids in self._ahead],
                "counts": dict(sorted(self.counts.items())),
            },
        )

    def _resume(self, cut: Mapping[str, Any]) -> None:
        """Stand where the cut was made, with the marks as they were at its ``next_offset``."""
        resume = cut["resume"]
        self.version = cut["version"]
        self.counts.update(resume["counts"])
        self._marks.restore(resume["marks"])
        self._ahead = [{str(id_): int(at) for id_, at in ids.items()} for ids in resume["ahead"]]
        if len(self._ahead) != self._partitions:
            raise ValueError("marks and ids differ in the number of partitions")
        self._low = int(cut["day"]) + 1
        self._next_day = floor_day(int(cut["day"])) + DAY_MS
        self._final_at = int(cut["day"]) if cut["final"] else NOTHING
        self._next_position = int(cut["next_offset"])
        self._resumed_at, self._resumed_through = int(resume["position"]), int(cut["day"])
