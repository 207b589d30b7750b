"""Outcomes that mean nothing: permuted within maturity weeks, learned and served as ever, held against themselves.

If anything about an outcome could be known when its score was taken, scores would rank permuted outcomes too. They are
compared week by week: base rates differ between weeks, and a model may well know how last month's was.
"""

from __future__ import annotations

import base64
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np

from models.head_spec import CHURN
from models.serving import floor_day
from streams.model_records import learn, new_cuts, new_trainer
from tests.support.offline_runs import Body

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
WEEK_MS: Final = 7 * DAY_MS


class Served(NamedTuple):
    """A score, the outcome it is held against, and the stratum (maturity week) within which it is."""

    probability: float
    outcome: bool
    stratum: object


class Ranking(NamedTuple):
    """AUC over the pairs within strata, its standard error if outcomes are exchangeable there, and the pairs."""

    auc: float
    standard_error: float
    pairs: int

    @property
    def errors_from_half(self) -> float:
        """How many standard errors from one half."""
        return (self.auc - 0.5) / self.standard_error


def ranking(served: Iterable[Served]) -> Ranking:
    """Every pair of a true and a false outcome of one stratum; ties half.

    Given the scores of a stratum, all orders of its outcomes are as likely: the exact variance of the rank sum (with
    ties) holds. Scores of a later stratum may depend on outcomes of earlier ones; the differences are martingale
    differences all the same, so variances add.
    """
    strata: dict[object, list[Served]] = defaultdict(list)
    for one in served:
        strata[one.stratum].append(one)
    won = variance = 0.0
    pairs = 0
    for scores in strata.values():
        p = np.array([one.probability for one in scores])
        y = np.array([one.outcome for one in scores])
        n, positives = len(y), int(y.sum())
        if not 0 < positives < n:
            continue
        _, group, ties = np.unique(p, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(ties) - (ties - 1) / 2)[group]
        own = positives * (n - positives)
        won += float(ranks[y].sum()) - positives * (positives + 1) / 2
        variance += own / 12 * (n + 1 - float((ties**3 - ties).sum()) / (n * (n - 1)))
        pairs += own
    return Ranking(won / pairs, math.sqrt(variance) / pairs, pairs)


def learnable(examples: Iterable[Body]) -> list[Body]:
    """The examples of the churn head that are learned from."""
    return [body for body in examples if body["features"] is not None and body.get("head", CHURN) == CHURN]


def label_week(body: Body) -> int:
    """Number of the week in which a label is decided."""
    return instant(body["label_at"]) // WEEK_MS


def instant(text: str) -> int:
    """RFC 3339 as epoch ms."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def permuted(examples: Sequence[Body], seed: int) -> list[Body]:
    """The examples, each with the outcome of another one of its maturity week."""
    dice = random.Random(seed)
    weeks: dict[int, list[int]] = defaultdict(list)
    for number, body in enumerate(examples):
        weeks[label_week(body)].append(number)
    result = [dict(body) for body in examples]
    for numbers in weeks.values():
        outcomes = [examples[number]["churned"] for number in numbers]
        dice.shuffle(outcomes)
        for number, outcome in zip(numbers, outcomes, strict=True):
            result[number]["churned"] = outcome
    return result


def with_leak(examples: Sequence[Body], seed: int) -> list[Body]:
    """The examples, their first feature replaced by the outcome under some noise."""
    dice = np.random.default_rng(seed)
    result = []
    for body in examples:
        features = np.frombuffer(base64.b64decode(body["features"]), dtype="<f4").copy()
        features[0] = body["churned"] + 0.5 * dice.normal()
        result.append({**body, "features": base64.b64encode(features.tobytes()).decode()})
    return result


def learned_and_served(
    examples: Sequence[Body], horizon_days: int, *, name: str = "", min_labels: int = 1_000, too_late: bool = False
) -> list[Served]:
    """Through trainer and cuts as a run of one partition has them: a score by the cut it is due, a label when it is.

    Parameters
    ----------
    examples
        Bodies of ``training-examples`` with features; the probability in each is replaced by what is served here.
    name
        Of the data set: strata of several can be pooled.
    too_late
        A deliberate mistake: every score is taken by the last model of all.
    """
    trainer, cuts = new_trainer(1, horizon_days), new_cuts(horizon_days)
    for head in trainer.heads.values():
        head.spec = replace(head.spec, min_labels=min_labels)  # type: ignore[misc]
    waiting = sorted((dict(body) for body in examples), key=lambda body: instant(body["label_at"]))
    by_score = sorted(waiting, key=lambda body: instant(body["as_of"]))
    served: list[Served] = []
    sent = offset = 0
    next_day = floor_day(instant(by_score[0]["as_of"])) - DAY_MS

    def through(day: int) -> None:
        """Every label up to a midnight, then the mark that makes its cut."""
        nonlocal sent, offset, next_day
        while next_day <= day:
            while sent < len(waiting) and instant(waiting[sent]["label_at"]) <= next_day:
                _add(learn(trainer, waiting[sent], offset, 0))
                sent, offset = sent + 1, offset + 1
            mark = {"type": "mark", "partition": 0, "partitions": 1, "watermark": next_day + 1}
            _add(learn(trainer, {**mark, "drained": False, "clock": "log", "until": None}, offset, 0))
            offset, next_day = offset + 1, next_day + DAY_MS

    def _add(records: list[dict[str, Any]]) -> None:
        for record in records:
            if record["type"] in {"cut", "same"}:
                cuts.add(record)

    if too_late:
        through(floor_day(instant(waiting[-1]["label_at"])) + DAY_MS)
    for body in by_score:
        as_of = instant(body["as_of"])
        through(floor_day(as_of - HOUR_MS))
        cut, _ = cuts.cut_at(next_day if too_late else as_of)
        body["cold_start"], body["probability"] = cut.cold_start, None
        if not cut.cold_start:
            features = np.frombuffer(base64.b64decode(body["features"]), dtype="<f4").tolist()
            body["probability"] = cut.probability(features)
            served.append(Served(body["probability"], bool(body["churned"]), (name, label_week(body))))
    return served
