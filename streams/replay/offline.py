"""The offline run: a finished log through shards and the trainer, into files or shadow topics.

The same engine, trainer and serving rule as the live worker; a source takes the place of the consumer, and the turns of
:mod:`streams.replay.pacing` that of slices. Nothing here decides anything about a user, nor knows who holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from models.scorecards import run_document, scorecard_records
from streams.core.messages import example_body, mark_body
from streams.core.ports import Rejection
from streams.core.state import NO_TIME
from streams.core.tally import Tally
from streams.model_records import SCHEMAS, TOPIC_OF, new_trainer
from streams.replay import result_folder as names
from streams.replay.handover import Handover, NoHandover, Times
from streams.replay.pacing import Pacing, Turn
from streams.replay.reading import Reading
from streams.replay.run_options import Progress, RunOptions
from streams.replay.run_summary import RunAccount
from streams.replay.shards import OneShard, Shards
from streams.replay.sources import Row, Source
from streams.replay.turn_results import Told, TurnResult
from streams.topics import MODEL_CUTS, MODEL_SCORECARD, TRAINING_EXAMPLES

__all__ = ["OfflineRun", "Progress", "RunOptions", "Sink"]


class Sink(Protocol):
    """Where the results of a run go."""

    def output(self, told: Told) -> None:
        """Take a segment change, risk, late event or portrait."""

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
    shards
        Who holds the users; this process by default.
    handover
        Where is left what a live installation can go on from; nowhere by default. It wants
        ``RunOptions.stored_profiles``.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        options: RunOptions,
        on_progress: Callable[[Progress], None],
        shards: Shards | None = None,
        handover: Handover | None = None,
    ) -> None:
        self._options = options
        self._handover = handover or NoHandover()
        self._source = source
        self._sink = sink
        self._shards = shards or OneShard(options)
        self._on_progress = on_progress
        self._progress = Progress(total=source.total)
        self._reading = Reading(source, sink, options)
        self._pacing = Pacing(options, lambda: self._reading.read)
        self._account = RunAccount(options)
        self._trainer = new_trainer(1, options.horizon_days, options.propensity_days, whole_run=True)
        self._exchanged = 0
        """Records that went to the trainer: the offset each would have had in ``training-examples``."""
        self._model: dict[str, Any] | None = None
        self._clock = NO_TIME

    def run(self) -> dict[str, Any]:
        """Read everything, write everything, and give the summary."""
        for turn, result in self._shards.results(self._pacing.turns(self._reading.events())):
            self._account.turn(turn, result)
            self._write(result)
            self._learn(turn, result)
            self._report(turn)
            self._clock = turn.clock
        return self._close()

    # -- turn by turn ------------------------------------------------------------------------------------------------

    def _write(self, result: TurnResult) -> None:
        for told in result.told:
            self._sink.output(told)

    def _learn(self, turn: Turn, result: TurnResult) -> None:
        """Give the trainer the examples of a turn, and the mark that they are all there are."""
        for example in result.examples:
            body = example_body(example, 0, SCHEMAS[example.head])
            self._sink.example(body, example.user_id)
            self._handover.example(body, example.label_ms)
            self._account.written[TRAINING_EXAMPLES] += 1
            self._published(self._trainer.example(body, self._exchanged))
            self._exchanged += 1
        if turn.asked:
            return
        tally = Tally(counts=self._account.tally)
        drained = turn.until is not None
        mark = mark_body(0, 1, turn.watermark, drained=drained, clock="log", until=turn.until, tally=tally)
        self._published(self._trainer.mark(mark, self._exchanged, 0))
        self._exchanged += 1

    def _published(self, records: Iterable[dict[str, Any]]) -> None:
        """What the trainer gives back: cuts serve from now on, the rest is told."""
        for record in records:
            topic = TOPIC_OF[record["type"]]
            if topic == MODEL_CUTS:
                self._shards.serve(record)
                self._handover.model_record(record)
                if record["type"] == "cut":
                    self._model = record
            else:
                self._sink.model_record(topic, record)
                self._account.written[topic] += 1

    def _report(self, turn: Turn) -> None:
        progress = self._progress
        progress.rows, progress.event_time, progress.users = turn.rows, turn.newest, self._account.users
        self._on_progress(progress)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _close(self) -> dict[str, Any]:
        self._handover.end(self._times(), self._account.tally)
        for page in self._shards.closing():
            self._account.closing(page)
            for closed in page.users:
                if closed.portrait is not None:
                    self._sink.output(closed.portrait)
                if closed.stored is not None:
                    self._handover.profile(closed.user_id, closed.stored, portrait=closed.portrait is not None)
        self._handover.close()
        final, account = self._model, self._trainer.account
        self._sink.document(names.MODEL, final or {"type": "none"})
        self._sink.document(names.SCORECARD, run_document(self._trainer.scorecards, final, account))
        for card in scorecard_records(final, account) if final else ():
            self._sink.model_record(MODEL_SCORECARD, card)
        summary = self._account.summary(self._source, self._reading, self._shards.stages(), final)
        self._sink.document(names.SUMMARY, summary)
        return summary

    def _times(self) -> Times:
        options, pacing = self._options, self._pacing
        return Times(
            horizon_days=options.horizon_days,
            propensity_days=options.propensity_days,
            policy_version=options.policy.version,
            policy_fingerprint=options.policy.fingerprint,
            grace_ms=options.grace_ms,
            watermark=pacing.watermark,
            newest=pacing.newest,
            clock=self._clock,
            # The last turn fires deadlines through the end of the run, or its newest event: all of it is in.
            applied_until=self._clock,
        )
