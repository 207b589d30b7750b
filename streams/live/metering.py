"""What the live shell tells, written into the metrics of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.drift import ERRORS
from models.evaluation import BINS
from models.scorecards import OUTCOMES
from models.trainer import Trainer
from streams.core.events import INPUT_TOPICS
from streams.core.ports import Facts
from streams.live.observer import Observer
from streams.metrics import catalogue
from streams.metrics.registry import Metrics

COUNTED: Final = (
    (catalogue.LATE, "late"),
    (catalogue.DUPLICATES, "duplicates"),
    (catalogue.REDELIVERED, "skipped"),
    (catalogue.BOOTSTRAPPED, "bootstrapped"),
    (catalogue.OUTLIERS, "outliers"),
    (catalogue.SETTLED_EARLY, "settled_early"),
    (catalogue.REFOLDS, "refolds"),
    (catalogue.DEADLINES_FIRED, "deadlines_fired"),
    (catalogue.CONTRADICTIONS, "contradictions"),
)
OBSERVED: Final = ("opened", "returned", "churned", "erased")
STALE: Final = "stale"
JUDGED: Final = (
    (catalogue.AUC, "auc"),
    (catalogue.LOG_LOSS, "log_loss"),
    (catalogue.BRIER, "brier"),
    (catalogue.ECE, "ece"),
    (catalogue.LIFT, "top_decile_lift"),
    (catalogue.BASE_RATE, "base_rate"),
    (catalogue.MEAN_PROBABILITY, "mean_probability"),
    (catalogue.JUDGED_SCORES, "n"),
)
ALL: Final = "all"
GROUPED: Final = ("stage", "tier", "cold_start")


class Metering(Observer):
    """An observer that keeps the metrics.

    Parameters
    ----------
    metrics
        The process's metrics.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._learned = 0
        self._dropped: dict[str, int] = {}
        self._alarms: dict[tuple[str, str], int] = {}
        self._newest_ms = 0
        for head in OUTCOMES:
            self._judged(head, ALL, ALL, {})  # a worker without the trainer never knows; 0 would read as "worst"

    def read(self, topic: str, records: int) -> None:
        self._metrics.add(catalogue.RECORDS_READ, records, topic)

    def unknown_actions(self, events: int) -> None:
        self._metrics.add(catalogue.UNKNOWN_ACTIONS, events)

    def rejected(self, topic: str, reason: str) -> None:
        self._metrics.add(catalogue.REJECTED, 1, topic, reason)
        if reason != "too_late":  # the engine has counted that one
            self._metrics.add(catalogue.EVENTS, 1, topic, "rejected")

    def redrive_failed(self, *, parked: bool) -> None:
        self._metrics.add(catalogue.REDRIVE_FAILED, 1, "parked" if parked else "offered")

    def facts(self, facts: Facts) -> None:
        metrics = self._metrics
        for metric, name in COUNTED:
            metrics.add(metric, getattr(facts, name))
        for name in OBSERVED:
            metrics.add(catalogue.OBSERVATIONS, getattr(facts, name), name)
        for (kind, outcome), count in facts.by_input.items():
            metrics.add(catalogue.EVENTS, count, INPUT_TOPICS[kind], outcome)
        for (dimension, previous, current), count in facts.transitions.items():
            metrics.add(catalogue.SEGMENT_CHANGES, count, dimension, previous, current)
        for band, count in facts.scores.items():
            if band == STALE:
                metrics.add(catalogue.STALE_SCORES, count)
            else:
                metrics.add(catalogue.SCORES, count, band)

    def sent(self, topic: str, records: int) -> None:
        self._metrics.add(catalogue.OUTPUTS, records, topic)

    def holding(self, partition: int, holds: bool, outputs: int) -> None:
        self._metrics.set(catalogue.OUTPUTS_HELD, holds, str(partition))
        self._metrics.add(catalogue.HELD_OUTPUTS, outputs)

    def examples_sent(self, examples: int) -> None:
        self._metrics.add(catalogue.EXAMPLES_SENT, examples)

    def stage_seconds(self, stage: str, seconds: float) -> None:
        self._metrics.observe(catalogue.PIPELINE_SECONDS, seconds, stage)

    def partition(
        self, partition: int, watermark_ms: int, newest_ms: int, waiting: int, users: Mapping[str, int], now_ms: int
    ) -> None:
        metrics, label = self._metrics, str(partition)
        if newest_ms >= 0:
            metrics.set(catalogue.WATERMARK, watermark_ms / 1000.0, label)
            metrics.set(catalogue.NEWEST_EVENT, newest_ms / 1000.0, label)
            metrics.set(catalogue.EVENT_TIME_LAG, max(0.0, (now_ms - newest_ms) / 1000.0), label)
            self._newest_ms = max(self._newest_ms, newest_ms)
        metrics.set(catalogue.WAITING, waiting, label)
        metrics.set(catalogue.TABLE_USERS, sum(users.values()), label)
        for stage, count in users.items():
            metrics.set(catalogue.STAGE_USERS, count, stage, label)

    def lag(self, topic: str, partition: int, records: int) -> None:
        self._metrics.set(catalogue.CONSUMER_LAG, records, topic, str(partition))

    def restore(self, partition: int, remaining: int, read: int) -> None:
        self._metrics.set(catalogue.RESTORE_REMAINING, remaining, str(partition))
        self._metrics.add(catalogue.RESTORE_READ, read)

    def serving(self, version: str, day_ms: int) -> None:
        self._metrics.set_only(catalogue.MODEL, 1, "churn", version)
        if day_ms > 0 and self._newest_ms:
            self._metrics.set(catalogue.MODEL_AGE, max(0.0, (self._newest_ms - day_ms) / 1000.0))

    def learned(self, trainer: Trainer) -> None:
        metrics = self._metrics
        metrics.set(catalogue.EXAMPLES_PENDING, trainer.pending)
        learned = trainer.count("learned")
        metrics.add(catalogue.EXAMPLES_LEARNED, max(0, learned - self._learned))
        self._learned = learned
        for reason in ("repeats", "foreign", "foreign_schema"):
            count = trainer.count(reason)
            metrics.add(catalogue.EXAMPLES_DROPPED, max(0, count - self._dropped.get(reason, 0)), reason)
            self._dropped[reason] = count
        for name, alarms in trainer.drift_alarms.items():
            for signal in ERRORS:
                metrics.begin(catalogue.DRIFT_ALARMS, name, signal)
            for signal, count in alarms.items():
                told = self._alarms.get((name, signal), 0)
                metrics.add(catalogue.DRIFT_ALARMS, max(0, count - told), name, signal)
                self._alarms[name, signal] = count
        for head in OUTCOMES:
            if (account := trainer.account(head)) is not None:
                for state, scores in {**account.counts, "pending": account.pending}.items():
                    metrics.set(catalogue.SCHEDULED_SCORES, scores, head, state)

    def scorecards(self, records: Sequence[Mapping[str, Any]]) -> None:
        metrics = self._metrics
        for card in records:
            head = card["head"]
            self._judged(head, ALL, ALL, card["window"])
            if card["champion"] is not None:
                metrics.set(catalogue.CHAMPION, 1, head, card["champion"])
                metrics.set(catalogue.CHALLENGE, 0, head, card["champion"])
            for learner, case in card["challengers"].items():
                metrics.set(catalogue.CHAMPION, 0, head, learner)
                metrics.set(catalogue.CHALLENGE, case["e_value"] / case["needed"], head, learner)
            for by in GROUPED:
                for group, figures in card[f"by_{by}"].items():
                    self._judged(head, by, group, figures["window"])
            for number in range(BINS):
                bins = card["window"]["bins"]
                said, came = (
                    (bins[number]["mean_probability"], bins[number]["observed_ratio"])
                    if number < len(bins)
                    else (math.nan, math.nan)
                )
                metrics.set(catalogue.RELIABILITY_SAID, said, head, f"{number + 1:02d}")
                metrics.set(catalogue.RELIABILITY_CAME, came, head, f"{number + 1:02d}")

    def _judged(self, head: str, by: str, group: str, figures: Mapping[str, Any]) -> None:
        for metric, name in JUDGED:
            value = figures.get(name)
            self._metrics.set(metric, math.nan if value is None else value, head, by, group)

    def broker(self, reachable: bool, away_s: float) -> None:
        self._metrics.set(catalogue.BROKER_REACHABLE, reachable)
        self._metrics.set(catalogue.BROKER_AWAY, away_s)

    def released(self, partition: int) -> None:
        self._metrics.forget_partition(partition)
