"""Simulated shops in which models compete, by the year, and the arithmetic of a contest over all of them at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.contest import BOUND, ENOUGH, FULL_DAY
from models.eprocess import AT_ONCE, HALF_BEGUN, STAKES

Numbers = npt.NDArray[np.float64]

NEVER: Final = 2**31
_AT_A_TIME: Final = 50


@dataclass(frozen=True)
class Model:
    """What a model gets wrong, in logits, beside what no model can know.

    Parameters
    ----------
    bias
        The same for everybody.
    of_user
        Standard deviation of an error that stays with a user for good.
    of_moment
        Standard deviation of an error that is drawn anew for each score.
    share
        Share of the users whom the errors concern.
    """

    bias: float = 0.0
    of_user: float = 0.0
    of_moment: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class Shop:
    """Users who are each compared once in a cycle.

    Parameters
    ----------
    per_day
        Spaced examples of a day.
    cycle_days
        Days until the same user is compared again: at a horizon of 30 days every 84 on average.
    known, hidden
        Standard deviations of what models can know of a user's logit, and of what they cannot; both stay.
    """

    per_day: int
    cycle_days: int = 84
    base: float = -0.5
    known: float = 1.0
    hidden: float = 1.0


def daily_means(
    shop: Shop, champion: Model, challengers: tuple[Model, ...], *, years: int, days: int, seed: int
) -> Numbers:
    """(year, challenger, day): what the contest bets on, for so many independent shops of so many days."""
    rng = np.random.default_rng(seed)
    means = np.empty((years, len(challengers), days))
    for first in range(0, years, _AT_A_TIME):
        size = (min(_AT_A_TIME, years - first), shop.cycle_days, shop.per_day)
        known, hidden = rng.normal(0.0, shop.known, size), rng.normal(0.0, shop.hidden, size)
        # What a calibrated model says where the hidden part is averaged over (MacKay's approximation).
        best = (shop.base + known) / math.sqrt(1.0 + math.pi / 8.0 * shop.hidden**2)
        models = (champion, *challengers)
        lasting = [_lasting(rng, model, size) for model in models]
        for start in range(0, days, shop.cycle_days):
            width = min(shop.cycle_days, days - start)
            outcome = rng.random((size[0], width, size[2])) < _sigmoid((shop.base + known + hidden)[:, :width])
            logits = [best[:, :width] + error[:, :width] + _passing(rng, m, outcome.shape) for m, error in lasting]
            if_true, if_false = ([np.logaddexp(0.0, sign * z) for z in logits] for sign in (-1.0, 1.0))
            for n in range(len(challengers)):
                true, false = if_true[0] - if_true[n + 1], if_false[0] - if_false[n + 1]
                bounded = np.where(outcome, true, false) / np.maximum(BOUND, np.maximum(abs(true), abs(false)))
                day = bounded.sum(axis=2) / max(shop.per_day, FULL_DAY)
                means[first : first + size[0], n, start : start + width] = day
    return means


def takeover_days(means: Numbers) -> npt.NDArray[np.int64]:
    """(year): days until the first takeover, ``NEVER`` if none; by plain products, without logarithms."""
    years, challengers, days = means.shape
    stakes = np.array([stake for stake, _ in STAKES])
    shares = np.array([share for _, share in STAKES])
    wealth = np.tile(AT_ONCE * shares, (years, challengers, 1))
    waiting, first = 1.0 - AT_ONCE, np.full(years, NEVER)
    for day in range(days):
        wealth *= 1.0 + stakes * means[:, :, day, None]
        still = (1.0 - AT_ONCE) / (1.0 + (day + 1) / HALF_BEGUN)
        wealth += (waiting - still) * shares
        waiting = still
        over = (wealth.sum(axis=2) + waiting >= ENOUGH * challengers).any(axis=1)
        first[over & (first == NEVER)] = day + 1
    return first


def at_most(share: float, hits: int, trials: int) -> float:
    """Probability of so few hits, or fewer, if each trial hit with this share: below 0.05, the share is refuted."""
    return math.fsum(
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(k + 1)
            - math.lgamma(trials - k + 1)
            + k * math.log(share)
            + (trials - k) * math.log1p(-share)
        )
        for k in range(hits + 1)
    )


def _lasting(rng: np.random.Generator, model: Model, size: tuple[int, ...]) -> tuple[Model, Any]:
    concerned = 1.0 if model.share >= 1.0 else rng.random(size) < model.share
    return model, concerned * (model.bias + model.of_user * rng.normal(0.0, 1.0, size))


def _passing(rng: np.random.Generator, model: Model, size: tuple[int, ...]) -> Any:
    return model.of_moment * rng.normal(0.0, 1.0, size) if model.of_moment else 0.0


def _sigmoid(logit: Numbers) -> Numbers:
    result: Numbers = 1.0 / (1.0 + np.exp(-logit))
    return result
