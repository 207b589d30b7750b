"""The offline run: a finished log through the engine and the trainer, into files or shadow topics.

The same engine, trainer and serving rule as the live worker; a source takes the place of the consumer and a dict that
of the store. Nothing here decides anything about a user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Protocol

from models.scorecards import run_document, scorecard_records
from models.snapshots import model_hash
from streams import codec
from streams.core.alignment import boundaries, cut_day
from streams.core.breaker import HighestShare, Trip
from streams.core.cleaning import CleaningPolicy, clean, cleaning_policy
from streams.core.engine import GRACE_MS, PartitionEngine
from streams.core.events import DAY_MS, HOUR_MS, Event
from streams.core.instants import format_instant
from streams.core.messages import example_body, mark_body
from streams.core.policy import Policy
from streams.core.ports import Output, Rejection, Step
from streams.core.schedule import PROPENSITY_DAYS
from streams.core.state import NO_TIME
from streams.core.tally import Counts, Tally, add
from streams.model_records import SCHEMAS, TOPIC_OF, new_cuts, new_trainer
from streams.replay import result_folder as names
from streams.replay.content_hash import ContentHash
from streams.replay.score_times import scores_at
from streams.replay.sources import Row, Source
from streams.topics import MODEL_CUTS, MODEL_SCORECARD

SLICE: Final = 4_096


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What an offline run is asked to do. Instants in ms since the epoch."""

    horizon_days: int
    policy: Policy
    dedup_rows: bool = False
    until: int | None = None
    score_at: tuple[int, ...] = ()
    look_back_days: int = 540
    grace_ms: int = GRACE_MS
    hold_least_users: int = 50
    propensity_days: int = PROPENSITY_DAYS


@dataclass(slots=True)
class Progress:
    """How far a run is; given to the caller now and then."""

    rows: int = 0
    total: int = 0
    event_time: int = NO_TIME
    users: int = 0


@dataclass(slots=True)
class _Counts:
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    late: int = 0
    outliers: int = 0
    opened: int = 0
    churned: int = 0
    returned: int = 0
    erased: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    outputs: Counter[str] = field(default_factory=Counter)
    first: int = NO_TIME
    last: int = NO_TIME


class Sink(Protocol):
    """Where the results of a run go."""

    def output(self, output: Output, line: bytes) -> None:
        """Take a segment change, risk, late event or portrait; ``line`` is its body as JSON with a line feed."""

    def example(self, body: dict[str, Any], user_id: str) -> None:
        """Take a training example."""

    def model_record(self, topic: str, body: dict[str, Any]) -> None:
        """Take what happened to a model, or how good it was."""

    def dead_letter(self, rejection: Rejection, row: Row) -> None:
        """Take a record that was not accepted."""

    def document(self, name: str, body: dict[str, Any]) -> None:
        """Write a document that describes the whole run."""


class OfflineRun:
    """One run from a source into a sink.

    Parameters
    ----------
    source
        A finished log.
    sink
        Where results go; the caller decides what becomes of them if the run fails.
    options
        What to do.
    on_progress
        Hears how far the run is, every few thousand rows.
    """

    def __init__(
        self, source: Source, sink: Sink, options: RunOptions, on_progress: Callable[[Progress], None]
    ) -> None:
        self._source = source
        self._sink = sink
        self._options = options
        self._on_progress = on_progress
        self._progress = Progress(total=source.total)
        self._counts = _Counts()
        self._engine = PartitionEngine(
            options.policy,
            {},
            horizon_days=options.horizon_days,
            propensity_days=options.propensity_days,
            mode="replay",
            grace_ms=options.grace_ms,
            redelivered=False,
        )
        self._trainer = new_trainer(1, options.horizon_days, options.propensity_days, whole_run=True)
        self._cuts = new_cuts(options.horizon_days, options.propensity_days)
        self._cleaning: CleaningPolicy = cleaning_policy(options.policy)
        self._asked = sorted(set(options.score_at))
        self._highest = HighestShare(options.hold_least_users)
        self._outputs = ContentHash()
        self._profiles = ContentHash()
        self._rows_seen: set[bytes] = set()
        self._tally: Counts = {}
        self._exchanged = 0
        """Records that went to the trainer: the offset each would have had in ``training-examples``."""
        self._model: dict[str, Any] | None = None
        self._stop_at = NO_TIME
        """The next instant before which a cut, or somebody who asked, has to be served."""

    def run(self) -> dict[str, Any]:
        """Read everything, write everything, and give the summary."""
        batch: list[Event] = []
        for event in self._events():
            if event.ts >= self._stop_at:
                self._process(batch)
                batch = []
                self._go_to(event.ts)
            elif len(batch) == SLICE:
                self._process(batch)
                batch = []
            batch.append(event)
        self._process(batch)
        self._finish()
        return self._summary()

    # -- reading -----------------------------------------------------------------------------------------------------

    def _events(self) -> Iterator[Event]:
        counts, until, dedup = self._counts, self._options.until, self._options.dedup_rows
        for row in self._source.rows():
            if until is not None and row.ts_ms is not None and row.ts_ms > until:
                # Rows come by time: whatever follows is later still.
                break
            counts.read += 1
            if counts.read % SLICE == 0:
                self._report()
            if dedup and self._seen(row):
                counts.duplicates += 1
                continue
            event = self._cleaned(row)
            if event is not None:
                if counts.first == NO_TIME:
                    counts.first = event.ts
                counts.last = max(counts.last, event.ts)
                yield event

    def _cleaned(self, row: Row) -> Event | None:
        if row.fault is not None or row.kind is None:
            reason, message = row.fault or ("unknown_type", "no event_type")
            self._reject(Rejection(reason, message, row.position), row)
            return None
        cleaned = clean(
            row.raw,
            row.kind,
            position=row.position,
            record_id=row.record_id,
            published_ms=row.published_ms,
            policy=self._cleaning,
            from_file=row.from_file,
        )
        if isinstance(cleaned, Event):
            return cleaned
        self._reject(cleaned, row)
        return None

    def _seen(self, row: Row) -> bool:
        raw = row.raw if isinstance(row.raw, bytes) else codec.encode(row.raw, sort_keys=True)
        digest = blake2b(raw, digest_size=16).digest()
        if digest in self._rows_seen:
            return True
        self._rows_seen.add(digest)
        return False

    def _reject(self, rejection: Rejection, row: Row) -> None:
        self._counts.rejected += 1
        self._counts.reasons[rejection.reason] += 1
        self._sink.dead_letter(rejection, row)

    # -- going on ----------------------------------------------------------------------------------------------------

    def _go_to(self, ts: int) -> None:
        """Stop at every cut boundary before an instant: release labels, learn, cut."""
        grace = self._options.grace_ms
        for boundary in boundaries(self._engine.watermark, ts, grace):
            self._asked_before(boundary)
            watermark = boundary - 1 - grace
            self._take(self._engine.advance(boundary - 1, self._cuts, watermark=watermark))
            self._mark(watermark)
        self._asked_before(ts)
        self._stop_at = cut_day(ts) + HOUR_MS + DAY_MS
        if self._asked:
            self._stop_at = min(self._stop_at, self._asked[0] + 1)

    def _asked_before(self, ts: int) -> None:
        while self._asked and self._asked[0] < ts:
            at = self._asked.pop(0)
            self._take(self._engine.advance(at, self._cuts))
            for output in scores_at(self._engine, at, self._options.look_back_days, self._cuts):
                self._emit(output)

    def _process(self, batch: list[Event]) -> None:
        if batch:
            self._take(self._engine.process(batch, self._cuts))

    def _take(self, step: Step) -> None:
        counts, facts = self._counts, step.facts
        counts.accepted += facts.accepted
        counts.duplicates += facts.duplicates
        counts.late += facts.late
        counts.outliers += facts.outliers
        counts.opened += facts.opened
        counts.churned += facts.churned
        counts.returned += facts.returned
        counts.erased += facts.erased
        for tallied in facts.tallies.values():
            add(self._tally, tallied)
        self._highest.saw(step.seen)
        for output in step.outputs:
            self._emit(output)
        for example in step.examples:
            body = example_body(example, 0, SCHEMAS[example.head])
            self._sink.example(body, example.user_id)
            counts.outputs["training-examples"] += 1
            self._published(self._trainer.example(body, self._exchanged))
            self._exchanged += 1
        if step.rejected:
            raise AssertionError(f"an event in time order was rejected: {step.rejected[0][1]}")

    def _emit(self, output: Output) -> None:
        self._outputs.add(self._sent(output))

    def _sent(self, output: Output) -> bytes:
        line = codec.encode(output.body, newline=True)
        self._sink.output(output, line)
        self._counts.outputs[output.topic] += 1
        return line

    def _mark(self, watermark: int, *, until: int | None = None) -> None:
        tally = Tally(counts=self._tally)
        mark = mark_body(0, 1, watermark, drained=until is not None, clock="log", until=until, tally=tally)
        self._published(self._trainer.mark(mark, self._exchanged, 0))
        self._exchanged += 1

    def _published(self, records: Iterable[dict[str, Any]]) -> None:
        """What the trainer gives back: cuts serve from now on, the rest is told."""
        for record in records:
            if TOPIC_OF[record["type"]] == MODEL_CUTS:
                self._cuts.add(record, own=True)
                if record["type"] == "cut":
                    self._model = record
            else:
                self._sink.model_record(TOPIC_OF[record["type"]], record)
                self._counts.outputs[TOPIC_OF[record["type"]]] += 1

    def _finish(self) -> None:
        until = self._options.until
        engine = self._engine
        if engine.newest == NO_TIME and until is None:
            return
        end = engine.newest if until is None else until
        if engine.newest != NO_TIME:
            self._go_to(end)
        self._asked_before(end + 1)
        # Without --until the log just ends: W stays the grace behind its newest event.
        watermark = max(engine.watermark, 0) if until is None else end + 1
        self._take(engine.advance(end, self._cuts, watermark=watermark))
        self._mark(watermark, until=watermark if until is None else until)
        self._report()

    # -- closing -----------------------------------------------------------------------------------------------------

    def _report(self) -> None:
        progress = self._progress
        progress.rows = self._counts.read
        progress.event_time = self._engine.newest
        progress.users = len(self._engine)
        self._on_progress(progress)

    def _summary(self) -> dict[str, Any]:
        engine, counts = self._engine, self._counts
        pending = 0
        for user_id in sorted(engine.users()):
            portrait = engine.portrait(user_id)
            if portrait is not None:
                self._profiles.add(self._sent(portrait) + (engine.settled(user_id) or b""))
                pending += engine.pending(user_id)
        final = self._model
        self._sink.document(names.MODEL, final or {"type": "none"})
        self._sink.document(names.SCORECARD, run_document(self._trainer.scorecards, final, self._trainer.account))
        for card in scorecard_records(final, self._trainer.account) if final else ():
            self._sink.model_record(MODEL_SCORECARD, card)
        until = self._options.until
        watermark = engine.watermark if until is None or engine.watermark == NO_TIME else until
        summary = {
            "sources": self._source.describe(),
            "horizon_days": self._options.horizon_days,
            "policy_version": self._options.policy.version,
            "records": {
                "read": counts.read,
                "accepted": counts.accepted,
                "duplicates": counts.duplicates,
                "rejected": counts.rejected,
                "late": counts.late,
            },
            "rejected_by_reason": dict(sorted(counts.reasons.items())),
            "outliers": counts.outliers,
            "outputs": dict(sorted(counts.outputs.items())),
            "users": len(engine),
            "users_by_stage": {stage: count for stage, count in sorted(engine.stages.items()) if count},
            "observations": {
                "opened": counts.opened,
                "churned": counts.churned,
                "returned": counts.returned,
                "erased": counts.erased,
                "pending": pending,
            },
            "highest_share_of_changes": _figures(self._highest.highest),
            "watermark": _instant(watermark),
            "event_time": {"from": _instant(counts.first), "to": _instant(counts.last)},
            "hashes": {
                "profiles": self._profiles.hex(),
                "outputs": self._outputs.hex(),
                "model": None if final is None else model_hash(final),
            },
        }
        self._sink.document(names.SUMMARY, summary)
        return summary


def _figures(highest: Trip | None) -> dict[str, Any] | None:
    """The minute that came nearest to having its outputs held, had all of it been one partition."""
    if highest is None:
        return None
    return {
        "minute": format_instant(highest.minute_ms),
        "users": highest.users,
        "changed": highest.changed,
        "share": round(highest.share, 6),
    }


def _instant(ms: int) -> str | None:
    return None if ms == NO_TIME else format_instant(ms)
