"""Target `events`: decode → clean → align → engine → what is stored and sent, one record per input."""

from __future__ import annotations

import random
from collections import Counter, deque

from tests.fuzz.partition_under_fire import PartitionUnderFire
from tests.fuzz.records import DICTIONARY, mutated, seeds, unlayout

TRAIL = 9_000
"""Inputs that led to a failure and are kept with it: a world is fed at most so many."""


class Events:
    """See the module."""

    name = "events"
    dictionary = DICTIONARY

    def __init__(self) -> None:
        self.world = PartitionUnderFire()
        self.trail: deque[bytes] = deque(maxlen=TRAIL)

    @property
    def outcomes(self) -> Counter[str]:
        """Records by outcome and reason."""
        return self.world.outcomes

    def seeds(self) -> list[bytes]:
        """What to begin with."""
        return seeds()

    def run(self, data: bytes) -> None:
        """Feed one input."""
        self.trail.append(data)
        kind, step_ms, at_once, missing, value = unlayout(data)
        self.world.feed(kind, None if missing else value, step_ms=step_ms, at_once=at_once)

    def finish(self) -> None:
        """Apply what still waits."""
        self.world.apply()

    def mutate(self, data: bytes, choose: random.Random) -> bytes | None:
        """Another well-formed input, or None."""
        return mutated(data, choose)
