"""Seeded streams of labels, stationary or not, and a champion that learns along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.churn import BayesianLogistic
from models.drift import Alarm, DriftWatch

Floats = npt.NDArray[np.float64]
SHIFT_AT = 5_000
"""Labels before an injected shift."""


class Stream(NamedTuple):
    """Vectors and what came."""

    vectors: npt.NDArray[np.float32]
    outcomes: list[bool]


def shifted_stream(
    seed: int, *, after: int = 1_000, shift: float = 1.0, features: int = 8, intercept: float | None = None
) -> Stream:
    """A logistic world whose logit moves by ``shift`` at label :data:`SHIFT_AT`.

    The base rates of the seeds 0 to 19 span those of the shops whose logs we have, from 15% to 82%.
    """
    random = np.random.default_rng(seed)
    weights = random.normal(0.0, 0.4, features)
    vectors = random.normal(size=(SHIFT_AT + after, features)).astype(np.float32)
    logits = vectors @ weights + (-1.75 + 3.25 * (seed % 20) / 19.0 if intercept is None else intercept)
    logits[SHIFT_AT:] += shift
    return Stream(vectors, (random.random(len(logits)) < 1.0 / (1.0 + np.exp(-logits))).tolist())


def names(count: int) -> list[str]:
    """Feature names."""
    return [f"x{column}" for column in range(count)]


def alarms_of(
    stream: Stream, *, until: Callable[[Alarm], bool] = lambda alarm: False, widen: bool = True
) -> tuple[list[Alarm], list[float]]:
    """Test, watch, then learn, label by label: the alarms until one that ends it, and the log loss of each label."""
    columns = names(stream.vectors.shape[1])
    champion, watch = BayesianLogistic(columns), DriftWatch(columns)
    alarms: list[Alarm] = []
    losses: list[float] = []
    for label, (vector, outcome) in enumerate(zip(stream.vectors, stream.outcomes, strict=True)):
        probability = champion.probability(vector)
        losses.append(-float(np.log(probability if outcome else 1.0 - probability)))
        for alarm in watch.observe(vector, probability, outcome, label):
            alarms.append(alarm)
            if widen and alarm.factor > 1.0:
                champion.widen(alarm.factor)
            if until(alarm):
                return alarms, losses
        champion.learn_vector(vector, outcome)
    return alarms, losses


def overlapping_labels(seed: int, *, users: int, weeks: int, horizon_weeks: int) -> Iterator[tuple[float, bool, bool]]:
    """(probability, outcome, spaced) of a panel that never changes, in the order of time.

    Every user orders at a rate of their own, the same for ever, which the probability knows exactly; each week one in
    four is scored. Labels look ``horizon_weeks`` ahead, so those of one user overlap.
    """
    random = np.random.default_rng(seed)
    stays = 1.0 / (1.0 + np.exp(-random.normal(0.85, 1.0, users)))
    weekly = 1.0 - stays ** (1.0 / horizon_weeks)
    orders = (random.random((weeks + horizon_weeks, users)) < weekly).cumsum(axis=0)
    last = np.full(users, -horizon_weeks)
    for week in range(weeks):
        scored = random.random(users) < 0.25
        away = orders[week + horizon_weeks - 1] == (orders[week - 1] if week else 0)
        spaced = scored & (week - last >= horizon_weeks)
        last[spaced] = week
        for user in np.flatnonzero(scored):
            yield float(stays[user]), bool(away[user]), bool(spaced[user])


def stationary_labels(
    seed: int, *, season: float = 0.0, carry: float = 0.0, block: int = 50_000
) -> Iterator[tuple[Floats, float, bool]]:
    """(vector, probability, outcome), for ever, of a world that never changes and a champion that knows it.

    Four features; ``season`` is the amplitude of a wave of 2,000 labels (a week) in the first, in standard deviations,
    ``carry`` its autocorrelation from label to label. Base rates of the seeds differ.
    """
    random = np.random.default_rng(seed)
    intercept, last, began = (-1.7, -0.8, 0.0, 1.5)[seed % 4], 0.0, 0
    while True:
        vectors = random.normal(size=(block, 4))
        if carry:
            fresh = (vectors[:, 0] * np.sqrt(1.0 - carry * carry)).tolist()
            for row, value in enumerate(fresh):
                last = carry * last + value
                vectors[row, 0] = last
        vectors[:, 0] += season * np.sin(2.0 * np.pi * np.arange(began, began + block) / 2_000.0)
        probabilities = 1.0 / (1.0 + np.exp(-(intercept + vectors @ np.array([0.7, 0.5, 0.0, 0.0]))))
        outcomes = random.random(block) < probabilities
        yield from zip(vectors, probabilities.tolist(), outcomes.tolist(), strict=True)
        began += block
