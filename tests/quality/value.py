"""How good expected spend and the year's value are on real logs: ``python -m tests.quality.value``.

Money as told on ``customer-value`` is held against what the raw file says was spent in (as_of, as_of + H], gross:

- at cuts: the last told at or before the cut, for everybody with a purchase in the look-back;
- pooled: every scheduled one that was not cold and whose horizon ends within the log.

Beside it stand the customer's own mean (gross spend to date per horizon since the first purchase, at least one) and two
rankings by past spend (to date, and within the look-back). Exits 1 where a bar of online_retail_2011 or
complete_journey_dev is missed at a cut. The year's value is held against the part of the year that the log still has.
"""

from __future__ import annotations

import argparse
import base64
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.examples import TrainingExample
from models.head_spec import CHURN, VALUE, HeadSpec
from models.value_head import ValueHead
from models.value_scorer import ValueScorer
from streams import codec
from streams.core.features import SCHEMA
from streams.model_records import CATALOGUE_SCHEMA
from tests.quality.money import DAY_MS, Amounts, Purse, gini, purses
from tests.support.shared_logs import FOLDER, present

TOTAL: Final = (0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Case:
    """A log, its horizon and look-back, the cuts, where it ends, and whether it has bars."""

    log: str
    horizon_days: int
    look_back_days: int
    cuts: tuple[str, ...]
    ends: str
    year_from: str
    """The year's value is checked for scores of the 30 days from here on."""
    barred: bool = True


CASES: Final = (
    Case("online_retail_2011", 60, 180, ("2011-08-31", "2011-09-30"), "2011-12-09", "2011-05-15"),
    Case("complete_journey_dev", 30, 90, ("2017-09-30", "2017-11-15"), "2017-12-31", "2017-05-15"),
    Case("cdnow", 90, 450, ("1998-03-31",), "1998-06-30", "1997-09-01", barred=False),
)


def instant(text: str) -> int:
    """ms of an ISO 8601 instant, UTC if it says nothing else."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Figures:
    """One comparison of expected with actual spend."""

    name: str
    n: int
    actual: float
    ratio: float
    net_ratio: float
    mae: float
    mae_own: float
    gini: float
    gini_past: float
    gini_look_back: float

    @property
    def held(self) -> tuple[bool, bool, bool]:
        """Whether total, error and ranking are as good as the bars ask."""
        return TOTAL[0] <= self.ratio <= TOTAL[1], self.mae < self.mae_own, self.gini > self.gini_past


def compared(name: str, case: Case, told: Iterable[tuple[Purse, int, int, float, float]]) -> Figures:
    """Figures of (customer, instant of judgement, of the label's beginning, expected gross, expected net)."""
    rows = []
    for purse, at, begins, gross, net in told:
        ends = begins + case.horizon_days * DAY_MS
        past, recent = purse.spent(-1, at), purse.spent(at - case.look_back_days * DAY_MS, at)
        own = purse.own_mean(at, case.horizon_days)
        rows.append((gross, net, purse.spent(begins, ends), purse.kept(begins, ends), own, past, recent))
    columns: list[Amounts] = list(np.array(rows, dtype=np.float64).T)
    expected, expected_net, actual, kept, own_mean, to_date, in_look_back = columns
    return Figures(
        name,
        len(rows),
        float(actual.sum()),
        float(expected.sum() / actual.sum()),
        float(expected_net.sum() / kept.sum()),
        float(np.abs(expected - actual).mean()),
        float(np.abs(own_mean - actual).mean()),
        gini(expected, actual),
        gini(to_date, actual),
        gini(in_look_back, actual),
    )


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Bodies of a file of JSON lines."""
    with path.open("rb") as file:
        yield from map(codec.decode, file)


def at_cuts(case: Case, folder: Path, money: Mapping[str, Purse]) -> list[Figures]:
    """Customers of each cut, by the last value told at or before it."""
    instants = [instant(cut) for cut in case.cuts]
    last: list[dict[str, tuple[float, float]]] = [{} for _ in instants]
    for body in lines(folder / "customer-value.jsonl"):
        if not body["cold_start"]:
            at = instant(body["as_of"])
            for index, cut in enumerate(instants):
                if at <= cut:
                    last[index][body["user_id"]] = (body["expected_spend"], body["expected_net_spend"])
    found = []
    for name, at, told in zip(case.cuts, instants, last, strict=True):
        since = at - case.look_back_days * DAY_MS
        judged = [(user, purse) for user, purse in money.items() if purse.last_bought(at) > since]
        found.append(compared(name, case, ((purse, at, at, *told[user]) for user, purse in judged if user in told)))
    return found


def pooled(case: Case, folder: Path, money: Mapping[str, Purse]) -> Figures:
    """Every scheduled value with a known label."""
    latest = instant(case.ends) - case.horizon_days * DAY_MS
    told = (
        (money[body["user_id"]], at, at, body["expected_spend"], body["expected_net_spend"])
        for body in lines(folder / "customer-value.jsonl")
        if body["scheduled"] and not body["cold_start"] and (at := instant(body["as_of"])) <= latest
    )
    return compared("pooled", case, told)


def year_checked(case: Case, folder: Path, money: Mapping[str, Purse]) -> tuple[int, int, float, float, float]:
    """Net spend over the days that the log still has, beside what was expected of them.

    The value head learns the run's examples again, up to the beginning of a month; then everybody with a sampled score
    in that month is judged, by the served probability and the features that the example kept.

    Returns
    -------
    tuple
        Scores, days looked ahead, expected over actual; the same for times 365 / H, and for chances multiplied.
    """
    begins, horizon = instant(case.year_from), case.horizon_days
    days = (instant(case.ends) - begins) // DAY_MS - 30
    head = ValueHead(HeadSpec(VALUE, SCHEMA, horizon, source=CHURN))
    judged: list[tuple[str, int, float, list[float]]] = []
    for body in sorted(lines(folder / "training-examples.jsonl"), key=lambda one: (one["label_at"], one["user_hash"])):
        if body["head"] != CHURN or body["features"] is None or body["schema"] != CATALOGUE_SCHEMA:
            continue
        features = np.frombuffer(base64.b64decode(body["features"]), dtype="<f4")
        at, label = instant(body["as_of"]), instant(body["label_at"])
        if label <= begins:
            head.take(_example(body, features, at, label))
        elif begins <= at < begins + 30 * DAY_MS and body["probability"] is not None:
            judged.append((body["user_id"], at, 1.0 - body["probability"], features.tolist()))
    scorer = ValueScorer(cold_start=False, features=head.spec.features, models=head.models)
    chained = straight = multiplied = actual = 0.0
    for user, at, p, vector in judged:
        purse = money[user]
        gross = purse.spent(-1, at)
        kept = scorer.net_share(gross, gross - purse.kept(-1, at))
        worth = scorer.spend_if_purchase(vector) * kept
        chained += worth * scorer.buying_horizons(vector, p, days)
        straight += worth * p * days / horizon
        multiplied += worth * _geometric(p, days / horizon)
        actual += purse.kept(at, at + days * DAY_MS)
    if actual <= 0.0:
        raise SystemExit(f"{folder} holds no scores of the catalogue of today: run the backfill again")
    return len(judged), days, chained / actual, straight / actual, multiplied / actual


def _geometric(p: float, horizons: float) -> float:
    """Chances multiplied: whoever pauses once is gone."""
    whole = math.floor(horizons)
    return sum(p ** (k + 1) for k in range(whole)) + (horizons - whole) * p ** (whole + 1)


def _example(body: Mapping[str, Any], features: Any, at: int, label: int) -> TrainingExample:
    return TrainingExample(
        id=body["id"],
        user_hash=body["user_hash"],
        partition=0,
        as_of_ms=at,
        label_ms=label,
        outcome=bool(body["churned"]),
        probability=body["probability"],
        stage=body["stage"],
        tier=body["tier"],
        features=features,
        schema=body["schema"],
        horizon_days=body["horizon_days"],
        spend=body["spend"],
    )


def backfilled(case: Case, folder: Path) -> Path:
    """The result folder of a whole log, run now unless it is there."""
    out = folder / case.log
    if not (out / "summary.json").is_file():
        ebbtide = str(Path(sys.executable).with_name("ebbtide"))
        command = [ebbtide, "backfill", str(FOLDER / f"{case.log}.parquet"), "--out", str(out)]
        command += ["--horizon-days", str(case.horizon_days), "--until", f"{case.ends}T23:59:59Z"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 0 if every bar holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.value", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], metavar="LOG", help="names of logs, or parts of them")
    parser.add_argument("--kept", type=Path, help="folder of result folders to use again, or to leave there")
    asked = parser.parse_args(arguments)
    if not present():
        parser.error(f"the real event logs are not in {FOLDER}")
    missed = 0
    print("| log | at | n | expected/actual | net | MAE | own mean | Gini | past spend | in look-back |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    years = []
    with tempfile.TemporaryDirectory(prefix="ebbtide-value-") as scratch:
        for case in CASES:
            if asked.only and not any(part in case.log for part in asked.only):
                continue
            folder, money = backfilled(case, asked.kept or Path(scratch)), purses(FOLDER / f"{case.log}.parquet")
            for row in (*at_cuts(case, folder, money), pooled(case, folder, money)):
                print(
                    f"| {case.log} | {row.name} | {row.n:,} | {row.ratio:.3f} | {row.net_ratio:.3f} | {row.mae:.1f} | "
                    f"{row.mae_own:.1f} | {row.gini:.3f} | {row.gini_past:.3f} | {row.gini_look_back:.3f} |"
                )
                missed += case.barred and row.name != "pooled" and row.held.count(False)
            years.append((case, year_checked(case, folder, money)))
    print("\n| log | scores | days ahead | net, expected/actual | times days/H | chances multiplied |")
    print("|---|---|---|---|---|---|")
    for case, (n, days, chained, straight, multiplied) in years:
        print(f"| {case.log} | {n:,} | {days} | {chained:.3f} | {straight:.3f} | {multiplied:.3f} |")
    print(f"\n{missed} bars missed" if missed else "\nevery bar holds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
