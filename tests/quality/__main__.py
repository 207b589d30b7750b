"""``make quality``: churn as served on real logs, judged at fixed cuts beside LightGBM; exit code 1 if a bar is missed.

Each log is run once through ``ebbtide backfill``, up to its last cut, with nothing given but its horizon: scores up to
an earlier cut are the same in a shorter run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from sklearn.metrics import roc_auc_score

from tests.quality import batch
from tests.quality.bars import SHOPS, Shop
from tests.quality.costs import Costs, costs_of
from tests.quality.figures import figures_of
from tests.quality.labels import as_served, customers
from tests.quality.report import CutResult, body_of, cost_table, refitted_table, table_of, verdicts_of
from tests.support.shared_logs import FOLDER, present

_WIDTH_OF_PIPES: Final = 200


def backfilled(shop: Shop, folder: Path) -> Path:
    """The result folder of a log, run now unless it is there."""
    out = folder / shop.name
    if not (out / "summary.json").is_file():
        command: list[str | Path] = [
            Path(sys.executable).with_name("ebbtide"),
            "backfill",
            FOLDER / f"{shop.name}.parquet",
        ]
        command += ["--out", out]
        settings = ["--horizon-days", str(shop.horizon_days), "--until", shop.cuts[-1]]
        subprocess.run([*command, *settings], check=True, stdout=subprocess.DEVNULL)
    return out


def judged(shop: Shop, folder: Path, refit: bool) -> list[CutResult]:
    """Every cut of a log."""
    log = FOLDER / f"{shop.name}.parquet"
    histories = batch.Histories(log, shop.horizon_days) if refit else None
    results = []
    for cut in shop.cuts:
        who = customers(log, cut, shop.horizon_days, shop.look_back_days)
        beside = None
        if histories is not None:
            beside = figures_of(batch.refitted(histories, shop, cut, who.users), who.churned)
        found = figures_of(as_served(folder, who.users, cut), who.churned)
        results.append(CutResult(shop, cut, found, float(roc_auc_score(who.churned, who.silence_days)), beside))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print and write; 0 if every bar holds."""
    parser = argparse.ArgumentParser(prog="make quality", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], metavar="LOG", help="names of logs, or parts of them")
    parser.add_argument("--kept", type=Path, help="folder of result folders to use again, or to leave there")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--lightgbm", action="store_true", help="refit LightGBM too (dependency group `study`)")
    asked = parser.parse_args(arguments)
    if not present():
        parser.error(f"the real event logs are not in {FOLDER}")
    if asked.lightgbm and not batch.installed():
        parser.error("LightGBM is not installed: make quality LIGHTGBM=1 installs requirements-study.lock first")
    chosen = [shop for shop in SHOPS if not asked.only or any(part in shop.name for part in asked.only)]
    told = Console(stderr=True)
    results: list[CutResult] = []
    costs: list[tuple[Shop, Costs]] = []
    with tempfile.TemporaryDirectory(prefix="ebbtide-quality-") as scratch:
        for shop in chosen:
            begun = time.monotonic()
            folder = backfilled(shop, asked.kept or Path(scratch))
            told.print(f"{shop.name}: backfill in {time.monotonic() - begun:.0f} s", style="dim")
            results += judged(shop, folder, asked.lightgbm)
            costs.append((shop, costs_of(folder)))
    screen = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", _WIDTH_OF_PIPES)))
    screen.print(table_of(results))
    if asked.lightgbm:
        screen.print(refitted_table(results))
    screen.print(cost_table(costs))
    verdicts = verdicts_of(results)
    for verdict in verdicts:
        if not verdict.holds or verdict is verdicts[0]:
            word = "pass" if verdict.holds else "FAIL"
            screen.print(f"{word}: {verdict.bar} {verdict.found:.4f}, bar {verdict.limit:.4f}", highlight=False)
    held = sum(verdict.holds for verdict in verdicts)
    screen.print(f"{held} of {len(verdicts)} bars hold", highlight=False)
    if asked.json:
        asked.json.write_text(json.dumps(body_of(results, costs), indent=1) + "\n", encoding="utf-8")
    return 0 if held == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
