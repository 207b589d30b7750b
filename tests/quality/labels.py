"""Customers of a cut, what they did then, and the scores they had been told: from the raw log and the result folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from tests.quality.figures import Labels, Scores


class Judged(NamedTuple):
    """Everybody with a purchase in the look-back: user, whether they churned, days of silence."""

    users: list[str]
    churned: Labels
    silence_days: Scores


def instant(text: str) -> datetime:
    """Midnight (UTC) of a day as a person types it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def customers(log: Path, cut: str, horizon_days: int, look_back_days: int) -> Judged:
    """Who is judged at a cut, and their labels, recomputed from the raw file.

    Churned: no line with quantity above 0 in (cut, cut + horizon].
    """
    at = instant(cut)
    bought = (
        pl.scan_parquet(log)
        .filter(
            (pl.col("event_type") == "purchase")
            & pl.col("user_id").is_not_null()
            & (pl.col("quantity").fill_null(1) > 0)
            & (pl.col("price").fill_null(0) >= 0)
        )
        .select("user_id", at=pl.col("ts").str.to_datetime(time_zone="UTC"))
    )
    known = bought.filter((pl.col("at") <= at) & (pl.col("at") > at - timedelta(days=look_back_days)))
    ahead = bought.filter((pl.col("at") > at) & (pl.col("at") <= at + timedelta(days=horizon_days)))
    found = (
        known.group_by("user_id")
        .agg(last=pl.max("at"))
        .join(ahead.select("user_id", returned=pl.lit(value=True)).unique(), on="user_id", how="left")
        .sort("user_id")
        .collect()
    )
    silence = (pl.lit(at) - pl.col("last")).dt.total_milliseconds() / 86_400_000
    return Judged(
        found["user_id"].to_list(),
        found["returned"].is_null().to_numpy(),
        found.select(silence.alias("days"))["days"].to_numpy(),
    )


def as_served(folder: Path, users: list[str], cut: str) -> Scores:
    """The last risk told of each user at or before a cut; nan where that is none, or without a probability."""
    last = (
        pl.scan_ndjson(
            folder / "churn-risk.jsonl",
            schema={"user_id": pl.String, "as_of": pl.String, "seq": pl.Int64, "probability": pl.Float64},
        )
        .with_columns(at=pl.col("as_of").str.to_datetime(time_zone="UTC"))
        .filter(pl.col("at") <= instant(cut))
        .group_by("user_id")
        .agg(pl.col("probability").sort_by("at", "seq").last())
        .collect()
    )
    told = dict(last.iter_rows())
    found = [told.get(user) for user in users]
    return np.array([np.nan if one is None else one for one in found], dtype=np.float64)
