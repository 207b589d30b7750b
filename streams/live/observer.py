"""What the live shell tells about itself; the metrics implement it. Nothing here is needed for anything to work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.trainer import Trainer
from streams.core.ports import Facts


class Observer:
    """Hears what happens, and by default does nothing with it. Override what is wanted."""

    def read(self, topic: str, records: int) -> None:
        """Records of an input topic were taken into a slice."""

    def rejected(self, topic: str, reason: str) -> None:
        """A record became a dead letter."""

    def redrive_failed(self, *, parked: bool) -> None:
        """A record that was sent again became a dead letter again, for the last time if ``parked``."""

    def facts(self, facts: Facts) -> None:
        """The engine took a step."""

    def sent(self, topic: str, records: int) -> None:
        """Records were acknowledged by an output topic (without its prefix)."""

    def holding(self, partition: int, holds: bool, outputs: int) -> None:
        """Whether a partition's outputs are held, and how many were since the last call."""

    def stage_seconds(self, stage: str, seconds: float) -> None:
        """A stage of the pipeline took this long: ``align``, ``engine``, ``outputs``, ``changelog``, ``store``."""

    def unknown_actions(self, events: int) -> None:
        """Clicks whose action nobody knows became ``other``."""

    def examples_sent(self, examples: int) -> None:
        """Labelled scores were acknowledged by ``training-examples``."""

    def serving(self, version: str, day_ms: int) -> None:
        """This cut serves the newest instant."""

    def partition(
        self, partition: int, watermark_ms: int, newest_ms: int, waiting: int, users: Mapping[str, int], now_ms: int
    ) -> None:
        """How a partition stands: W, newest event time, records that wait in memory, users per stage, wall clock."""

    def lag(self, topic: str, partition: int, records: int) -> None:
        """Records that the broker has and the owner has not applied."""

    def restore(self, partition: int, remaining: int, read: int) -> None:
        """A restore went on: changelog records still to be read, and read since the last call."""

    def learned(self, trainer: Trainer) -> None:
        """The trainer in this process took in examples or marks."""

    def scorecards(self, records: Sequence[Mapping[str, Any]]) -> None:
        """The trainer in this process published how good the scores of each head were."""

    def broker(self, reachable: bool, away_s: float) -> None:
        """Whether any broker answers, and for how long none has."""

    def released(self, partition: int) -> None:
        """A partition is no longer ours: its figures end here."""
