"""Backfills inside a test, what they leave, and the labels that risks are held against."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from streams.cli import app as program
from streams.codec import decode
from streams.core.instants import parse_instant
from streams.core.policy import Policy
from streams.policies.reader import read_policy
from streams.replay.backfill import run_backfill
from streams.replay.files import open_log
from streams.replay.offline import RunOptions

STARTED_MS = 1_800_000_000_000
DAY_MS = 86_400_000


class Ran:
    """A finished result folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summary: dict[str, Any] = json.loads((folder / "summary.json").read_bytes())

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The messages of ``<name>.jsonl``."""
        with (self.folder / f"{name}.jsonl").open("rb") as lines:
            for line in lines:
                yield decode(line)

    def profiles(self) -> dict[str, dict[str, Any]]:
        """Portraits by user."""
        return {body["user_id"]: body for body in self.lines("profiles")}


def instant(text: str) -> int:
    """Epoch ms of an instant as a person types it."""
    found = parse_instant(text)
    assert found is not None
    return found


def backfill(
    paths: Sequence[Path],
    folder: Path,
    *,
    horizon_days: int = 30,
    policy: Policy | None = None,
    until: str | None = None,
    score_at: Sequence[str] = (),
    look_back_days: int = 540,
    dedup_rows: bool = False,
    handover: bool = False,
) -> Ran:
    """Run a backfill in this process."""
    options = RunOptions(
        horizon_days=horizon_days,
        policy=policy or read_policy(None),
        until=None if until is None else instant(until),
        score_at=tuple(instant(text) for text in score_at),
        look_back_days=look_back_days,
        dedup_rows=dedup_rows,
        stored_profiles=handover,
    )
    run_backfill([open_log(path) for path in paths], folder, options, started_ms=STARTED_MS)
    return Ran(folder)


def ebbtide(*arguments: object) -> int:
    """The exit code of a command run in this process."""
    with pytest.raises(SystemExit) as ended:
        program.main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


class Discrimination(NamedTuple):
    """How well a churn score ranks, and how well silence alone does."""

    auc: float
    recency_auc: float
    customers: int
    scored: int


def discrimination(ran: Ran, log: Path, at: str, *, horizon_days: int, look_back_days: int) -> Discrimination:
    """AUC of the last risk told of each customer by an instant, against what the raw file says happened then.

    Customers: who bought within the look-back. Label 1: no purchase with positive quantity in (t, t + H].
    """
    cut = datetime.fromisoformat(at).replace(tzinfo=UTC)
    bought = (
        pl.scan_parquet(log)
        .filter(
            (pl.col("event_type") == "purchase")
            & pl.col("user_id").is_not_null()
            & (pl.col("quantity").fill_null(1) > 0)
            & (pl.col("price").fill_null(0) >= 0)
        )
        .select("user_id", t=pl.col("ts").str.to_datetime(time_zone="UTC"))
        .collect()
    )
    back = timedelta(days=look_back_days)
    customers = bought.filter((pl.col("t") <= cut) & (pl.col("t") > cut - back)).group_by("user_id").agg(pl.max("t"))
    ahead = bought.filter((pl.col("t") > cut) & (pl.col("t") <= cut + timedelta(days=horizon_days)))
    returned = set(ahead["user_id"])
    told = last_probabilities(ran, at)
    silence = {user: (cut - last).total_seconds() for user, last in customers.iter_rows()}
    scored = [user for user in silence if user in told]
    labels = [user not in returned for user in scored]
    return Discrimination(
        roc_auc_score(labels, [told[user] for user in scored]),
        roc_auc_score(labels, [silence[user] for user in scored]),
        len(silence),
        len(scored),
    )


def last_probabilities(ran: Ran, at: str) -> dict[str, float]:
    """The last probability told of each user by an instant."""
    last = datetime.fromisoformat(at).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        body["user_id"]: body["probability"]
        for body in ran.lines("churn-risk")
        if body["as_of"] <= last and body["probability"] is not None
    }


def shop_rows(*, seed: int = 7, users: int = 40, days: int = 120) -> list[dict[str, Any]]:
    """A small shop's log in time order: clicks, searches, orders of some lines, a few refunds; the same every time."""
    dice = random.Random(seed)
    begin = instant("2024-01-01")
    rows: list[dict[str, Any]] = []
    for user in range(users):
        at, orders = begin + dice.randrange(30 * DAY_MS), 0
        pace = dice.choice((2, 5, 9, 40))
        while at < begin + days * DAY_MS:
            who = {"user_id": f"u{user}", "session_id": f"s{user}-{at}"}
            rows.append({"event_type": "click", **who, "ts": at, "action": dice.choice(("view", "view", "cart"))})
            if dice.random() < 0.3:
                rows.append({"event_type": "search", **who, "ts": at + 5_000, "query": "tea"})
            if dice.random() < 0.5:
                orders += 1
                line = {"order_id": f"o{user}-{orders}", "price": dice.randrange(100, 9_000) / 100, "item_id": "i"}
                for number in range(dice.randrange(1, 4)):
                    quantity = -1 if dice.random() < 0.05 else dice.randrange(1, 4)
                    rows.append(
                        {"event_type": "purchase", **who, **line, "ts": at + 60_000 + number, "quantity": quantity}
                    )
            at += dice.randrange(pace * DAY_MS) + 1
    return sorted(rows, key=lambda row: (row["ts"], ("click", "search", "purchase").index(row["event_type"])))
