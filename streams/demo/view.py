"""What is shown of a running demo: plain values, made by the reducer and read by the screen and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One message of ``segment-changes``, as it is shown."""

    at_ms: int
    user_id: str
    dimension: str
    previous: str | None
    current: str | None
    cause: str
    """``silence``, ``policy``, or the input topic of the event."""
    evidence: dict[str, Any]


@dataclass(slots=True)
class Customer:
    """The newest word on one user."""

    user_id: str
    stage: str | None = None
    tier: str | None = None
    came_back: bool = False
    """Ordered at least twice."""
    probability: float | None = None
    rank: float | None = None
    """What ranks customers before there is a model: silence over the usual gap."""
    band: str | None = None
    reasons: tuple[str, ...] = ()
    seqs: dict[str, int] = field(default_factory=dict)

    def newer(self, dimension: str, seq: int) -> bool:
        """Whether a message is newer than what was heard in its dimension; if so it is now the newest."""
        if seq <= self.seqs.get(dimension, -1):
            return False
        self.seqs[dimension] = seq
        return True


@dataclass(frozen=True, slots=True)
class Model:
    """The newest cut and its scorecard; figures are None where undefined."""

    version: str = "none"
    learned: int = 0
    cold: bool = True
    scored: int = 0
    base_rate: float | None = None
    auc: float | None = None
    log_loss: float | None = None
    brier: float | None = None
    ece: float | None = None
    bins: tuple[tuple[float, float], ...] = ()
    """(mean probability, share that churned), rising."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the worker is, by its own figures; records."""

    published: int = 0
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    unknown_actions: int = 0
    lag: int = 0
    newest_ms: int | None = None
    """Newest event time."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is shown, at one instant."""

    progress: Progress
    per_second: float
    stages: tuple[tuple[str, int], ...]
    changes: tuple[Change, ...]
    """The newest first."""
    riskiest: tuple[Customer, ...]
    """Of those who ordered twice or more and are not past their limit."""
    model: Model
    outputs: dict[str, int]
    dead_letters: dict[str, int]
    """By reason."""
    late: int
