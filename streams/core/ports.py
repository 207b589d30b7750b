"""The seams of the engine: what it is given, what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from streams.core.events import Event, Position
from streams.core.tally import CHURN, Counts

Explanation = tuple[float, float, Sequence[float], Sequence[float]]
"""A probability and its logit taken apart: the probability; the logit of the average customer (the base); what each
group of features adds to it; and each feature's training mean."""


class HeadScorer(Protocol):
    """The frozen model of one head."""

    @property
    def cold_start(self) -> bool:
        """True until enough labels with both classes were learned: no probability is served."""

    def probability(self, features: Sequence[float]) -> float:
        """The answer to the head's question, for one feature vector in the order of its catalogue."""


class SpendScorer(Protocol):
    """A frozen model of what customers spend, how they go on, and what they give back."""

    @property
    def cold_start(self) -> bool:
        """True until enough was learned to serve."""

    def spend_if_purchase(self, features: Sequence[float]) -> float:
        """Expected gross spend within the horizon of who buys within it, in currency units."""

    def buying_horizons(self, features: Sequence[float], p_purchase: float, days: int) -> float:
        """Expected number of horizons with a purchase within so many days; ``p_purchase`` is that of the first."""

    def net_share(self, gross: float, refunded: float) -> float:
        """What is kept (0 to 1) of money to come, of a customer with this gross spend and refunds so far."""


class Cut(Protocol):
    """A frozen model: everything learned up to the end of one event-time day."""

    @property
    def version(self) -> str:
        """Name of this cut, a function of its content (repeats on every run over the same log)."""

    @property
    def day_ms(self) -> int:
        """The instant up to which labels were learned (a midnight, UTC)."""

    @property
    def cold_start(self) -> bool:
        """True until 1,000 labels with both classes were learned: no probability is served."""

    @property
    def propensity(self) -> HeadScorer | None:
        """Scores the propensity to buy; None where the cut knows nothing of it."""

    @property
    def spend(self) -> SpendScorer | None:
        """Says what customers will spend; None where the cut knows nothing of it."""

    def probability(self, features: Sequence[float]) -> float:
        """Probability of churn, for one feature vector in catalogue order."""

    def explained(self, features: Sequence[float], groups: Sequence[int]) -> Explanation:
        """The probability, and what it is made of; ``groups`` names the group of each feature, from 0 on."""


class ChurnScorer(Protocol):
    """Hands out the cut to score with."""

    def cut_at(self, instant_ms: int) -> tuple[Cut, bool]:
        """The newest cut at least one hour older than the instant, and whether it is stale.

        Stale: the cut that the instant asks for (the last midnight at least one hour before it) is
        not there yet. Never stale under ``--clock log``, where the shell waits for it.
        """


class Output(msgspec.Struct, frozen=True, gc=False):
    """One message for the world: ``topic`` without prefix, the CloudEvents id, and the JSON body."""

    topic: str
    id: str
    user_id: str
    as_of_ms: int
    body: dict[str, Any]


class Example(msgspec.Struct, frozen=True, gc=False):
    """A score whose label is known: the body for ``training-examples``.

    ``label_ms`` = as_of + horizon orders the learning; ``features`` is None for the three in four
    that only serve the scorecard.
    """

    id: str
    user_id: str
    user_hash: int
    as_of_ms: int
    label_ms: int
    outcome: bool
    """What the head asks for: churned, or bought."""
    probability: float | None
    model_version: str
    cold_start: bool
    stage: str
    tier: str | None
    features: bytes | None
    """float32, little-endian, in catalogue order of the head."""
    head: str = "churn"
    spend: int | None = None
    """Gross millionths bought in (as_of, label]; None where nobody asks."""
    spaced: bool = False
    """Whether champion and challenger are compared on it: no two of a user within one horizon."""

    @property
    def churned(self) -> bool:
        """The outcome, where the head is that of churn."""
        return self.outcome


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that was not accepted: reason code, one plain sentence, where it was."""

    reason: str
    message: str
    position: Position


@dataclass(slots=True)
class Facts:
    """What happened in a step, for metrics; the core never touches a metric object."""

    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    outliers: int = 0
    unknown_actions: int = 0
    settled_early: int = 0
    deadlines_fired: int = 0
    refolds: int = 0
    opened: int = 0
    returned: int = 0
    churned: int = 0
    erased: int = 0
    contradictions: int = 0
    skipped: int = 0
    """Records at or below a profile's applied offset: redelivered, already in."""
    bootstrapped: int = 0
    """Records at or before the instant through which a bootstrap brought everything."""
    by_input: dict[tuple[int, str], int] = field(default_factory=dict)
    """(kind, outcome) -> how often; outcomes are accepted, duplicate, rejected, skipped, bootstrapped."""
    transitions: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """(dimension, previous, current) -> how often."""
    scores: dict[str, int] = field(default_factory=dict)
    """band, ``cold`` or ``stale`` -> how often."""
    tallies: dict[str, Counts] = field(default_factory=dict)
    """User -> what became of their scheduled scores, by head."""

    def tally(self, user_id: str, head: str, state: str, count: int = 1) -> None:
        """Scheduled scores of a user came to a state (:data:`streams.core.tally.STATES`)."""
        if count:
            heads = self.tallies.get(user_id)
            if heads is None:
                heads = self.tallies[user_id] = {}
            counts = heads.get(head)
            if counts is None:
                counts = heads[head] = {}
            counts[state] = counts.get(state, 0) + count
            if head == CHURN:
                setattr(self, state, getattr(self, state) + count)

    def count(self, kind: int, outcome: str) -> None:
        """Count the outcome of one record."""
        self.by_input[kind, outcome] = self.by_input.get((kind, outcome), 0) + 1


class Seen(NamedTuple):
    """Somebody with an accepted event, or brought over to a new policy, and what that did to the life-cycle stage."""

    at_ms: int
    """The log's time then: the newest event time so far."""
    user_id: str
    change: tuple[str, str] | None
    """Previous and current stage as told; None where it is the same, the first, or none any more."""


@dataclass(slots=True)
class Step:
    """What one call of the engine gives back."""

    outputs: list[Output] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    rejected: list[tuple[Event, Rejection]] = field(default_factory=list)
    changed: dict[str, None] = field(default_factory=dict)
    """Users whose stored profile changed, in order of first change."""
    portraits: dict[str, None] = field(default_factory=dict)
    """Users whose published portrait changed (a subset of ``changed``, or ended)."""
    seen: list[Seen] = field(default_factory=list)
    """In order: what the output circuit breaker watches."""
    facts: Facts = field(default_factory=Facts)
