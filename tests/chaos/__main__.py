"""``python -m tests.chaos``: Apache Kafka, workers and trainers under load, and what can happen to them.

What is left behind is held against the fault-free run. Exit code 1: something was lost, repeated with another content,
hung, or ended without a reason; then everything is kept in the folder that is named.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from types import FrameType
from typing import NoReturn

from streams.core.errors import EbbtideError
from streams.core.events import DAY_MS
from streams.core.instants import format_instant
from tests.chaos.cluster import Cluster, Hang
from tests.chaos.judging import SHOWN, Check, judged, repeats
from tests.chaos.recovery import felt, seconds_to_recover, unless_overtaken
from tests.chaos.report import exits_table, felt_table, outage
from tests.chaos.schedule import GUEST, WORKERS, Kind, schedule
from tests.chaos.screen import Screen
from tests.chaos.shop_days import DaysLog
from tests.chaos.truth import fault_free, left_behind


def main(arguments: Sequence[str]) -> int:
    """Run and print the verdict; the exit code."""
    options = _parsed(arguments)
    plan = schedule(options.seed, options.minutes, session_timeout_s=10.0)
    folder = Path(tempfile.mkdtemp(prefix=f"ebbtide-chaos-{options.seed}-"))
    print(
        f"chaos: SEED={plan.seed} MINUTES={options.minutes:g} --clock {options.clock}: {len(plan.faults)} faults in "
        f"{plan.load_s:.0f} s of load; folder {folder}",
        flush=True,
    )
    lines: list[str] = []
    sound = False
    try:
        with Screen() as screen, Cluster(folder, plan, by_log=options.clock == "log", tell=screen.tell) as cluster:
            sound = _run(cluster, lines)
    except Hang as hang:
        lines += ["", f"VIOLATION: {hang}. The stacks of all processes are in their logs."]
    except EbbtideError as error:
        lines += ["", f"error: {error}"]
    except KeyboardInterrupt:
        lines += ["", "Interrupted; every process was ended."]
    (folder / "report.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    if sound and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"Logs, the log of Kafka and the details are in {folder}")
    return 0 if sound else 1


def _run(cluster: Cluster, lines: list[str]) -> bool:
    cluster.hurt()
    until_ms = cluster.finish()
    took_s = time.monotonic() - cluster.story.began_s
    horizon_days = cluster.plan.horizon_days
    truth = fault_free(DaysLog(cluster.days, cluster.feeder.days), until_ms, horizon_days, cluster.folder / "truth")
    left = left_behind(cluster.settings, until_ms, horizon_days, cluster.watch.committed)
    last_day = None if cluster.by_log else format_instant(until_ms - DAY_MS)
    checks = judged(left, truth, by_log=cluster.by_log, labels_before=last_day)
    story, chunks = cluster.story, cluster.watch.chunks()
    violations = story.violations + [f"committed went back: {words}" for words in cluster.watch.went_back]

    seconds: dict[str, list[float | None]] = {}
    following = [one.at_s for one in story.faults[1:]]
    for one, next_s in zip_longest(story.faults, following):
        recovered = seconds_to_recover(one.felt_from_s, chunks)
        seconds.setdefault(one.fault.kind, []).append(unless_overtaken(one.felt_from_s, recovered, next_s))
    lines += ["", *felt_table({str(kind): felt(seconds[kind]) for kind in Kind if kind in seconds})]
    for from_s, to_s in cluster.injector.away:
        seen = outage(from_s, to_s, cluster.watch.sights, (*WORKERS, GUEST))
        lines += ["", seen.told]
        violations += seen.wrong
    lines += ["", f"exits: {len(story.exits)}", *exits_table(story.exits)]
    again = repeats(left)
    outputs = sum(map(len, left.told.values()))
    load = f"{cluster.feeder.events:,} events of {cluster.feeder.days} days, {cluster.days.users} users"
    lines += [
        "",
        f"load: {load}; {len(left.settled):,} profiles, {outputs:,} outputs, {left.learned:,} examples learned",
        f"repeats (same id again): {', '.join(f'{count} {topic}' for topic, count in again.items())}",
        f"changelog records of zombies, none of which counted: {left.refused}",
        "",
    ]
    lines += _promises(checks, cluster.folder)
    lines += [f"VIOLATION: {words}" for words in violations]
    broken = len(violations) + sum(not check.kept for check in checks)
    again_total = sum(again.values())
    worst = max((one for many in seconds.values() for one in many if one is not None), default=0.0)
    verdict = "every promise was kept" if not broken else f"{broken} broken"
    lines.append(
        f"chaos: SEED={cluster.plan.seed}: {len(story.faults)} faults in {took_s / 60:.1f} min, {again_total} repeats, "
        f"worst recovery {worst:.0f} s: {verdict}"
    )
    return not broken


def _promises(checks: Sequence[Check], folder: Path) -> list[str]:
    lines = []
    details: dict[str, list[str]] = {}
    for check in checks:
        lines.append(f"  {'kept  ' if check.kept else 'BROKEN'} {check.promise} ({check.compared:,} compared)")
        if not check.kept:
            details[check.promise] = list(check.broken)
            lines += [f"           {words}" for words in check.broken[:SHOWN]]
    if details:
        (folder / "broken.json").write_text(json.dumps(details, indent=1, default=str))
    return lines


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="the same seed is the same schedule of faults")
    parser.add_argument("--minutes", type=float, default=40.0, help="the whole run (40), 3 at least")
    parser.add_argument("--clock", choices=("log", "wall"), default="log", help="of the workers")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a sound run too")
    options = parser.parse_args(arguments)
    if options.minutes < 3:
        parser.error("--minutes must be at least 3")
    if options.seed is None:
        options.seed = secrets.randbelow(1_000_000)
    return options


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", flush=True)
    sys.exit(main(sys.argv[1:]))
