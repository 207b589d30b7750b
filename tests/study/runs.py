"""The runs of the study, over processes: one candidate on one set, from nothing to its judgement."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from models.study.candidates import candidates
from models.study.contenders import bytes_of
from models.study.examples import StudySet
from models.study.judgement import Judgement, judge
from models.study.prequential import prequential
from tests.study.boosters import fits
from tests.study.gather import HABITS, gathered
from tests.support.shared_logs import FOLDER


class Task(NamedTuple):
    """One run: a set, a candidate on one user in so many, and the features it sees (None: the catalogue's)."""

    set_name: str
    candidate: str
    one_user_in: int
    features: tuple[str, ...] | None


class Place(NamedTuple):
    """Where sets are kept, and one user in how many they hold, beyond what each set says."""

    kept: Path
    share: int


@lru_cache(maxsize=4)
def _set(place: Place, name: str, one_user_in: int) -> StudySet:
    if one_user_in > 1:
        return _set(place, name, 1).one_user_in(one_user_in)
    return gathered(name, FOLDER, place.kept, place.share, tell=lambda text: None)


def _catalogue(study: StudySet) -> tuple[str, ...]:
    return tuple(name for name in study.features if name not in HABITS)


def run(place: Place, task: Task) -> tuple[Task, Judgement]:
    study = _set(place, task.set_name, task.one_user_in)
    chosen = _catalogue(study) if task.features is None else task.features
    columns = study.columns_of(chosen)
    candidate = next(one for one in candidates(fits()) if one.name == task.candidate)
    contender = candidate.make([study.features[column] for column in columns])
    run = prequential(study, contender, columns, clock=time.process_time)
    return task, judge(study, run, bytes_of(contender))


def results(
    place: Place, tasks: Sequence[Task], processes: int, resume: bool = False
) -> Iterator[tuple[Task, Judgement]]:
    """Every task and what came of it, as they end; each is written down at once.

    ``resume`` takes what an earlier, interrupted study wrote down, and runs the rest.
    """
    log = place.kept / "runs.jsonl"
    done = dict(_written(log)) if resume else {}
    yield from ((task, done[task]) for task in tasks if task in done)
    left = [task for task in tasks if task not in done]
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        log.open("a" if resume else "w", encoding="utf-8") as written,
    ):
        for number, ended in enumerate(as_completed([pool.submit(run, place, task) for task in left]), 1):
            task, found = ended.result()
            print(json.dumps([*task, found.body()]), file=written, flush=True)
            what = task.candidate if task.features is None else f"{len(task.features)} features"
            overall = found.prequential
            print(
                f"[{number}/{len(left)}] {task.set_name} {what}: log loss {overall.log_loss:.4f}, "
                f"AUC {overall.auc or float('nan'):.4f}, {found.learn_us:,.0f} µs/example",
                flush=True,
            )
            yield task, found


def _written(log: Path) -> Iterator[tuple[Task, Judgement]]:
    if log.is_file():
        for line in log.read_text(encoding="utf-8").splitlines():
            name, candidate, share, features, body = json.loads(line)
            task = Task(name, candidate, share, None if features is None else tuple(features))
            yield task, Judgement.of_body(body)
