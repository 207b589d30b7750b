"""Scores with outcomes to hold figures against."""

from __future__ import annotations

import random

Labels = list[tuple[float, bool]]
"""(probability, outcome)"""


def labels(n: int, seed: int = 1, grain: int = 20) -> Labels:
    """Scores on a coarse grid, so that ties abound, and outcomes that follow them loosely."""
    draw = random.Random(seed)
    scores = [draw.randrange(grain + 1) / grain for _ in range(n)]
    return [(p, draw.random() < 0.2 + 0.6 * p) for p in scores]


def split(pairs: Labels) -> tuple[list[float], list[bool]]:
    """Probabilities and outcomes, apart."""
    return [p for p, _ in pairs], [y for _, y in pairs]
