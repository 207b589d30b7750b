"""``make study``: every candidate and every family of features over the real logs, and the tables of it.

Takes what :mod:`tests.study.gather` gathered. Writes ``study.json`` and ``study.md`` beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from models.study.candidates import CHAMPION, candidates
from models.study.families import Variation, variations
from models.study.report import Judged, body_of, candidate_table, family_table, set_table
from tests.study.boosters import fits
from tests.study.gather import HABITS, LOGS, gathered
from tests.study.runs import Place, Task, results
from tests.support.shared_logs import FOLDER


def study(
    sets: Sequence[str], place: Place, processes: int, only: Sequence[str], *, families: bool, resume: bool
) -> str:
    """Run it all, write it down, and give the tables for a terminal."""
    loaded = [gathered(name, FOLDER, place.kept, place.share) for name in sets]
    chosen = [one for one in candidates(fits()) if not only or one.name == CHAMPION or any(t in one.name for t in only)]
    chosen = [one._replace(one_user_in=max(1, one.one_user_in // place.share)) for one in chosen]
    shares = sorted({one.one_user_in for one in chosen} | {1})
    first = loaded[0]
    varied = variations(first.features, first.families, extra=HABITS) if families else []
    tasks = dict.fromkeys(
        [
            *(Task(name, CHAMPION, share, None) for share in shares for name in sets),
            *(Task(name, CHAMPION, 1, one.features) for one in varied for name in sets),
            *(Task(name, one.name, one.one_user_in, None) for one in chosen for name in sets),
        ]
    )
    found = dict(results(place, list(tasks), processes, resume))

    def of(candidate: str, share: int, features: tuple[str, ...] | None = None) -> Judged:
        return {name: found[Task(name, candidate, share, features)] for name in sets}

    judged = {one.name: of(one.name, one.one_user_in) for one in chosen}
    by_family: dict[Variation, Judged] = {one: of(CHAMPION, 1, one.features) for one in varied}
    tables = [
        candidate_table(chosen, judged, {share: of(CHAMPION, share) for share in shares}),
        set_table(chosen, judged),
    ]
    if varied:
        tables.append(family_table(varied, by_family))
    out = place.kept
    (out / "study.json").write_text(json.dumps(body_of(chosen, judged, varied, by_family), indent=1), encoding="utf-8")
    text = "\n\n".join(f"### {table.title}\n\n{table.markdown()}" for table in tables)
    (out / "study.md").write_text(text + "\n", encoding="utf-8")
    return "\n\n".join(table.plain() for table in tables) + f"\n\nwritten: {out / 'study.json'}, {out / 'study.md'}"


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make study", description=__doc__)
    parser.add_argument("--sets", default=",".join(LOGS), help="of: " + ", ".join(LOGS))
    parser.add_argument("--one-user-in", type=int, default=1, metavar="N", help="smaller shops, for a quicker look")
    parser.add_argument("--only", default="", help="candidates whose names hold one of these words, by semicolon")
    parser.add_argument("--without-families", action="store_true")
    parser.add_argument("--resume", action="store_true", help="take what an interrupted study has finished")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("out/study"))
    asked = parser.parse_args(arguments)
    sets = [name for name in asked.sets.split(",") if name]
    if unknown := [name for name in sets if name not in LOGS]:
        parser.error(f"unknown sets: {', '.join(unknown)}; there are {', '.join(LOGS)}")
    if not FOLDER.is_dir():
        parser.error("the real event logs are not beside this checkout")
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(library, "1")  # the processes that the pool starts load the libraries
    began = time.monotonic()
    place = Place(asked.out, asked.one_user_in)
    only = [word for word in asked.only.split(";") if word]
    print(study(sets, place, asked.processes, only, families=not asked.without_families, resume=asked.resume))
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
