"""What customers really spent, from the raw log, and how well money was ranked and met."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Amounts = npt.NDArray[np.float64]
DAY_MS = 86_400_000
OUTLIER = 50_000.0
"""Lines worth more, either way, are left out of money, as the policy says."""


class Purse(NamedTuple):
    """One customer's lines in order of time, and running sums of what they bought and of what they gave back."""

    at: list[int]
    gross: Amounts
    net: Amounts
    bought: list[int]
    """Instants of lines with a quantity above 0."""

    def spent(self, after: int, through: int) -> float:
        """Gross, in (after, through]."""
        return float(self.gross[bisect_right(self.at, through)] - self.gross[bisect_right(self.at, after)])

    def kept(self, after: int, through: int) -> float:
        """Net of refunds, in (after, through]."""
        return float(self.net[bisect_right(self.at, through)] - self.net[bisect_right(self.at, after)])

    def last_bought(self, at: int) -> int:
        """Instant of the last purchase at or before; -1 before the first."""
        index = bisect_right(self.bought, at)
        return self.bought[index - 1] if index else -1

    def own_mean(self, at: int, horizon_days: int) -> float:
        """Gross spend to date per horizon since the first purchase; the time since counts as one horizon at least."""
        horizons = (at - self.bought[0]) / (horizon_days * DAY_MS)
        return self.spent(-1, at) / max(horizons, 1.0)


def purses(log: Path) -> dict[str, Purse]:
    """Every customer's money, by the rules of the house: quantity above 0 buys, below 0 gives back."""
    price, quantity = pl.col("price").fill_null(0.0), pl.col("quantity").fill_null(1)
    value = price * quantity
    lines = (
        pl.scan_parquet(log)
        .filter((pl.col("event_type") == "purchase") & pl.col("user_id").is_not_null() & (price >= 0) & (quantity != 0))
        .select(
            "user_id",
            at=pl.col("ts").str.to_datetime(time_zone="UTC").dt.epoch("ms"),
            value=pl.when(value.abs() > OUTLIER).then(0.0).otherwise(value),
            bought=quantity > 0,
        )
        .sort("user_id", "at", maintain_order=True)
        .collect()
    )
    found = {}
    for (user,), own in lines.group_by("user_id", maintain_order=True):
        values, bought, at = own["value"].to_numpy(), own["bought"].to_numpy(), own["at"].to_numpy()
        if not bought.any():
            continue
        gross = np.concatenate([[0.0], np.cumsum(np.where(bought, values, 0.0))])
        found[str(user)] = Purse(at.tolist(), gross, np.concatenate([[0.0], np.cumsum(values)]), at[bought].tolist())
    return found


def gini(scores: Amounts, actual: Amounts) -> float:
    """Gini of the actual spend when customers are ranked by score, over that of the best ranking; ties share alike.

    >>> gini(np.array([3.0, 2.0, 1.0]), np.array([9.0, 1.0, 0.0]))
    1.0
    >>> gini(np.array([1.0, 1.0, 1.0]), np.array([9.0, 1.0, 0.0]))
    0.0
    """
    return _area(scores, actual) / _area(actual, actual)


def _area(scores: Amounts, actual: Amounts) -> float:
    order = np.argsort(-scores, kind="stable")
    _, group = np.unique(-scores[order], return_inverse=True)
    shared = (np.bincount(group, weights=actual[order]) / np.bincount(group))[group]
    n = len(actual)
    return float(np.cumsum(shared).sum() / (n * actual.sum()) - (n + 1) / (2 * n))
