"""How good the propensity to buy is on real logs: ``python -m tests.quality.propensity``.

``EBBTIDE_TEST_LOGS`` says where the logs are. For every cut, everybody who was active in the look-back is judged by the
last score told at or before it, against whether the raw file has a purchase within the horizon; beside it stand the two
recencies that a marketer would rank by. Exits 1 where the mean AUC over a log's cuts is not 0.01 above the better one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

DAY_MS: Final = 86_400_000
MARGIN: Final = 0.01


@dataclass(frozen=True, slots=True)
class Case:
    """A log, how far the propensity looks ahead, who counts as active, and when everybody is judged."""

    log: str
    horizon_days: int
    look_back_days: int
    cuts: tuple[str, ...]


CASES: Final = (
    Case(
        "complete_journey_dev",
        7,
        90,
        ("2017-06-30", "2017-07-31", "2017-08-31", "2017-09-30", "2017-10-31", "2017-11-15", "2017-12-15"),
    ),
    Case(
        "taobao_users_dev",
        1,
        9,
        ("2017-11-30", "2017-11-30T12:00", "2017-12-01", "2017-12-01T12:00", "2017-12-02", "2017-12-02T12:00"),
    ),
)


class Judged(NamedTuple):
    """One cut."""

    users: int
    scored: float
    base_rate: float
    since_seen: float
    since_order: float
    auc: float
    brier: float
    bias: float


def auc(scores: Sequence[float], bought: Sequence[bool]) -> float:
    """The chance that who bought was scored above who did not; ties count half.

    >>> auc([0.1, 0.4, 0.4, 0.9], [False, False, True, True])
    0.875
    """
    positives = sum(bought)
    negatives, wins = len(bought) - positives, 0.0
    below = 0
    for _, tied in groupby(sorted(zip(scores, bought, strict=True)), key=lambda pair: pair[0]):
        outcomes = [outcome for _, outcome in tied]
        hits = sum(outcomes)
        misses = len(outcomes) - hits
        wins += hits * (below + misses / 2)
        below += misses
    return wins / (positives * negatives)


def _instants(log: Path) -> Iterator[tuple[str, list[int], list[int]]]:
    """Per user: every sign of life, and every purchase, ms."""
    bought = (
        (pl.col("event_type") == "purchase")
        & (pl.col("quantity").fill_null(1) > 0)
        & (pl.col("price").fill_null(0) >= 0)
    )
    rows = (
        pl.scan_parquet(log)
        .filter(pl.col("user_id").is_not_null() & ((pl.col("event_type") != "purchase") | bought))
        .select("user_id", t=pl.col("ts").str.to_datetime(time_zone="UTC").dt.epoch("ms"), bought=bought)
        .collect()
        .sort("t")
    )
    for (user,), events in rows.group_by("user_id", maintain_order=True):
        yield str(user), events["t"].to_list(), events.filter(pl.col("bought"))["t"].to_list()


def _told(results: Path) -> dict[str, list[tuple[int, float]]]:
    """Per user: instant and probability of every score told, in order."""
    told: dict[str, list[tuple[int, float]]] = {}
    with (results / "purchase-propensity.jsonl").open("rb") as lines:
        for line in lines:
            body = json.loads(line)
            if body["probability"] is not None:
                at = round(datetime.fromisoformat(body["as_of"]).timestamp() * 1000)
                told.setdefault(body["user_id"], []).append((at, body["probability"]))
    return told


def judged(
    case: Case,
    cut: int,
    users: Sequence[tuple[str, list[int], list[int]]],
    told: Mapping[str, list[tuple[int, float]]],
) -> Judged:
    """Everybody active in the look-back of a cut. Who was never scored counts as the least likely to buy."""
    outcomes, scores, seen, ordered, scored = [], [], [], [], 0
    for user, lived, bought in users:
        last = bisect_right(lived, cut)
        if not last or lived[last - 1] <= cut - case.look_back_days * DAY_MS:
            continue
        after = bisect_right(bought, cut)
        outcomes.append(after < len(bought) and bought[after] <= cut + case.horizon_days * DAY_MS)
        seen.append(float(lived[last - 1]))
        ordered.append(float(bought[after - 1]) if after else float("-inf"))
        known = told.get(user, [])
        at = bisect_right(known, (cut, 2.0))
        scored += at > 0
        scores.append(known[at - 1][1] if at else 0.0)
    count = len(outcomes)
    base = sum(outcomes) / count
    return Judged(
        count,
        scored / count,
        base,
        auc(seen, outcomes),
        auc(ordered, outcomes),
        auc(scores, outcomes),
        sum((p - y) ** 2 for p, y in zip(scores, outcomes, strict=True)) / count,
        sum(scores) / count - base,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main() -> int:
    """Print the table; 1 where the bar is missed."""
    logs = Path(os.environ.get("EBBTIDE_TEST_LOGS", "../shared/data"))
    missed = 0
    print("| log | days | cut | users | scored | base rate | AUC since seen | since order | Ebbtide | Brier | bias |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        log = logs / f"{case.log}.parquet"
        if not log.exists():
            print(f"{log} is not there; left out", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            command = ["backfill", str(log), "--out", str(out), "--propensity-days", str(case.horizon_days)]
            subprocess.run([sys.executable, "-m", "streams.cli", *command], check=True, capture_output=True)
            told = _told(out)
        users = list(_instants(log))
        found = []
        for text in case.cuts:
            cut = round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
            one = judged(case, cut, users, told)
            found.append(one)
            figures = (
                f"{one.since_seen:.3f} | {one.since_order:.3f} | {one.auc:.3f} | {one.brier:.3f} | {one.bias:+.3f}"
            )
            print(
                f"| {case.log} | {case.horizon_days} | {text} | {one.users:,} | {one.scored:.0%} | {one.base_rate:.3f} "
                f"| {figures} |"
            )
        seen, ordered, ours = (
            _mean([getattr(one, name) for one in found]) for name in ("since_seen", "since_order", "auc")
        )
        missed += ours < max(seen, ordered) + MARGIN
        print(f"| {case.log} | {case.horizon_days} | mean | | | | {seen:.3f} | {ordered:.3f} | **{ours:.3f}** | | |")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
