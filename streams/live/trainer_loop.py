"""The trainer's process, or its part of a worker's: examples and marks in, daily cuts out.

It owns the single partition of ``training-examples`` without a consumer group: where to go on from stands in the last
cut. A second trainer writes the same cuts once more, which does no harm.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from models.scorecards import scorecard_records
from models.trainer import Trainer
from streams.codec import encode
from streams.live.exits import Exits
from streams.live.feed import Feed
from streams.live.outbox import Message, Producer
from streams.live.reach import Reach
from streams.live.tail import Tail
from streams.model_records import TOPIC_OF, learn, model_record, new_trainer, record_key, trainer_from
from streams.settings import Settings
from streams.topics import MODEL_CUTS, TRAINING_EXAMPLES, topic_name

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
JUDGE_EVERY_MS: Final = 2_000
"""Scorecards are summed up at most this often, wall time; that of a run's last cut always is."""


class TrainerLoop:
    """Drives a :class:`models.trainer.Trainer` over Kafka.

    Parameters
    ----------
    settings
        Brokers, prefix, partitions, horizon.
    on_progress
        Told after every portion; metrics look at the trainer then.
    on_scorecards
        Told the ``model-scorecard`` records that were just published.
    reach
        Knows of outages.
    """

    def __init__(
        self,
        settings: Settings,
        exits: Exits,
        *,
        on_progress: Callable[[Trainer], None] = lambda trainer: None,
        on_scorecards: Callable[[Sequence[dict[str, Any]]], None] = lambda records: None,
        reach: Reach | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.final_day: int | None = None
        """The end of the run, once its final cut is published."""
        self.finished = asyncio.Event()
        """Set with the final cut."""
        self.trainer: Trainer | None = None
        self._settings = settings
        self._on_progress = on_progress
        self._on_scorecards = on_scorecards
        self._unjudged: dict[str, Any] | None = None
        """The newest cut whose scorecards are not published yet."""
        self._judged_ms = 0
        self._reach = reach or Reach(settings.brokers)
        self._now_ms = now_ms
        self._began_ms = now_ms()
        self._examples = topic_name(TRAINING_EXAMPLES, settings)
        self._cuts = topic_name(MODEL_CUTS, settings)
        self._producer = Producer(settings, reach=self._reach)
        self._feed = Feed(
            settings, self._examples, exits, self._learn, after=self._after, wait_s=TICK_S, reach=self._reach
        )

    async def start(self) -> None:
        """Find the last cut and begin behind it."""
        await self._producer.start()
        last = await self._last_cut()
        settings = self._settings
        asked = settings.partitions, settings.horizon_days, settings.propensity_horizon_days
        if last is None:
            self.trainer, first = new_trainer(*asked), 0
        else:
            self.trainer = trainer_from(last, *asked)
            first = int(last["next_offset"])
            self._unjudged = last
            self._note_final(last)
            log.info("Going on from cut %s, at offset %d of %s.", last["version"], first, self._examples)
        await self._feed.start(first)

    async def stop(self) -> None:
        """End; what was not cut is learned again after the next start."""
        await self._feed.stop()
        await self._producer.stop()

    def _time_ms(self) -> int:
        """Wall time without outages: partitions that could not mark are not idle."""
        return self._began_ms + self._reach.counted_ms(self._began_ms, self._now_ms())

    async def _learn(self, record: Any) -> None:
        assert self.trainer is not None
        body = model_record(record.value, self._feed.where)
        await self._publish(learn(self.trainer, body, record.offset, self._time_ms()))

    async def _after(self, records: int) -> None:
        assert self.trainer is not None
        if not records:
            await self._publish(self.trainer.tick(self._time_ms()))
        if self._now_ms() - self._judged_ms >= JUDGE_EVERY_MS:
            await self._judge()
        self._on_progress(self.trainer)

    async def _judge(self) -> None:
        """Publish the scorecards of the newest cut: while years of days are caught up on, not of each."""
        assert self.trainer is not None
        if (cut := self._unjudged) is None:
            return
        cards = scorecard_records(cut, self.trainer.account)
        self._unjudged, self._judged_ms = None, self._now_ms()
        await self._send(cards)
        self._on_scorecards(cards)

    async def _publish(self, records: Sequence[dict[str, Any]]) -> None:
        await self._send(records)
        for record in records:
            if record["type"] == "cut":
                self._unjudged = record
                if record["final"]:
                    await self._judge()
            self._note_final(record)

    async def _send(self, records: Sequence[dict[str, Any]]) -> None:
        """Send each record to the topic of its type, what happened to the models before the cut that shows it."""
        by_topic: dict[str, list[Message]] = {}
        for record in records:
            name = topic_name(TOPIC_OF[record["type"]], self._settings)
            by_topic.setdefault(name, []).append(Message(record_key(record), encode(record)))
        for name in sorted(by_topic, key=lambda name: name == self._cuts):
            await self._producer.send(name, 0, by_topic[name])

    def _note_final(self, record: dict[str, Any]) -> None:
        if record["type"] == "cut" and record["final"]:
            self.final_day = int(record["day"])
            self.finished.set()

    async def _last_cut(self) -> dict[str, Any] | None:
        last: dict[str, Any] | None = None
        tail = Tail(self._settings, self._cuts, reach=self._reach)
        await tail.start()
        try:
            async for portion in tail.portions(0.2):
                for record in portion:
                    body = model_record(record.value, f"{self._cuts}, partition 0, offset {record.offset}")
                    if body["type"] == "cut":
                        last = body
                if await tail.caught_up():
                    return last
        finally:
            await tail.stop()
        return last
