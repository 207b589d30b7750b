"""(a) The engine alone, stage by stage: what a worker does to a record, without Kafka, network and disk."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from streams.codec import encode
from streams.replay.files import open_log
from tests.bench import stages
from tests.bench.benchmark import Asked, Skipped
from tests.bench.measuring import BenchmarkFailed, Result, Run, cores, finished
from tests.bench.reference_logs import W1, W3
from tests.bench.sampling import Stack, module_of, sampled
from tests.support.shared_logs import FOLDER, present

ABOUT: Final = "(a) the engine alone, per stage of the pipeline, on w1, w2 and w3"
W2: Final = "complete_journey_dev"
WHOLE: Final = "all of a worker's stages"
NO_WALL_TIME: Final = 0.0
"""Stages are charged CPU alone."""
TRAINER: Final = "trainer (a process of its own)"
_SCORING: Final = {
    "risk",
    "propensity",
    "propensity_features",
    "value",
    "features",
    "feature_vector",
    "bends",
    "rhythm",
}
_WORDING: Final = {"reasons", "told_facts", "families", "phrases", "sayings", "wording", "causes", "evidence"}
_TELLING: Final = {"decisions", "composing", "messages", "portrait", *_SCORING, *_WORDING}
_FOLDING: Final = {"fold", "windows", "tiles", "purchases", "lifecycle", "schedule", "remembering", "labels"}
_STORING: Final = {"state", "stored_profile", "profile_cache", "migrations"}
_DUE: Final = {"deadlines"}
TELLING: Final = "engine: scores and decisions"
PARTS: Final = {
    TELLING: _TELLING,
    "engine: fold": _FOLDING,
    "engine: states packed and unpacked": _STORING,
    "engine: deadline queues": _DUE,
}
"""Parts of the engine by the modules they are in; a sample belongs to the first of these that is on its stack. All of
``models`` is scoring."""
REST: Final = "engine: the rest"
_ENTRIES: Final = ("PartitionEngine.process (", "PartitionEngine.advance (")


def measure(asked: Asked) -> Iterator[Result]:
    """Every stage on every log; on w1 also the parts of the engine, by samples."""
    for log, path in logs_of(asked, asked.events_of()).items():
        repeats = repeats_on(asked, log)
        found: dict[str, list[Run]] = {}
        for number in range(1, repeats + 1):
            asked.heard(f"engine {log}: run {number} of {repeats}")
            for candidate, run in one_run(path).items():
                found.setdefault(candidate, []).append(run)
        results = [Result("engine", candidate, log, tuple(runs)) for candidate, runs in found.items()]
        if log.startswith(W1.id):
            results += _parts(asked, log, path, results)
        yield from results


def one_run(path: Path) -> dict[str, Run]:
    """The stages in a process of their own; each stage's CPU, and that of all of them with what they made."""
    process, printed = finished([sys.executable, "-m", stages.__name__, path], cores()[:1], 1)
    told = json.loads(printed)
    return runs_of(told, process.peak_mb)


def runs_of(told: Mapping[str, Any], peak_mb: float) -> dict[str, Run]:
    """A run for each stage, and one for all those of a worker, of what :mod:`tests.bench.stages` printed."""
    seconds, counts, sizes, events = told["seconds"], told["counts"], told["bytes"], told["events"]
    whole = sum(seconds[stage] for stage in stages.OF_A_WORKER)
    more = {
        "users": float(told["users"]),
        "stored_bytes_per_user": told["stored_bytes"] / told["users"],
        "profiles_per_event": counts["profiles"] / events,
        "outputs_per_event": counts["outputs"] / events,
        "changelog_bytes_per_event": sizes["profiles"] / events,
        "output_bytes_per_event": (sizes["outputs"] + sizes["portraits"] + sizes["examples"]) / events,
    }
    runs = {WHOLE: Run(events, NO_WALL_TIME, whole, peak_mb, more)}
    runs |= {stage: Run(events, NO_WALL_TIME, seconds[stage], 0.0) for stage in stages.OF_A_WORKER}
    return runs | {TRAINER: Run(events, NO_WALL_TIME, seconds["trainer"], 0.0)}


def _parts(asked: Asked, log: str, path: Path, results: list[Result]) -> Iterator[Result]:
    """The engine's CPU, shared out by samples."""
    engine = next(result for result in results if result.candidate == "engine")
    asked.heard(f"engine {log}: sampled")
    try:
        found = sampled([sys.executable, "-m", stages.__name__, path], asked.scratch / f"engine-{log}.folded")
    except Skipped as why:
        asked.heard(f"engine {log}: not split further, {why}")
        return
    counted = parts(found)
    total = sum(counted.values())
    if not total:
        raise BenchmarkFailed(f"no sample of {log} lies within the engine: its entries are called otherwise by now")
    seconds, events = engine.figure("cpu_s"), engine.runs[0].events
    for part in (*PARTS, REST):
        share = seconds * counted[part] / total
        yield Result("engine", part, log, (Run(events, NO_WALL_TIME, share, 0.0),))


def parts(found: Mapping[Stack, int]) -> Counter[str]:
    """Samples within ``PartitionEngine`` by part of the engine.

    Examples
    --------
    >>> within = ("PartitionEngine.process (streams/core/engine.py)", "Fold.apply (streams/core/fold.py)")
    >>> parts({within: 3, ("decode (streams/codec.py)",): 5})
    Counter({'engine: fold': 3})
    """
    counted: Counter[str] = Counter()
    for stack, samples in found.items():
        within = [at for at, frame in enumerate(stack) if frame.startswith(_ENTRIES)]
        if within:
            counted[_part(stack[within[0] :])] += samples
    return counted


def _part(frames: Sequence[str]) -> str:
    if any("(models/" in frame for frame in frames):
        return TELLING
    modules = {module_of(frame) for frame in frames}
    return next((part for part, its in PARTS.items() if modules & its), REST)


def repeats_on(asked: Asked, log: str) -> int:
    """How often to run on a log: most on w1, by which all is compared."""
    return asked.repeats_of(3 if log.startswith(W1.id) else 1)


def logs_of(asked: Asked, events: int) -> dict[str, Path]:
    """The reference logs as files, by id: w1 alone in a short run, w2 where it is beside this checkout."""
    if asked.short:
        return {W1.scaled(events).id: asked.file_of(W1.scaled(events))}
    logs = {log.id: asked.file_of(log) for log in (W1.scaled(events), W3.scaled(events))}
    return logs | {f"w2-{events}": w2_lines(asked, events)} if present() else logs


def w2_lines(asked: Asked, events: int) -> Path:
    """The first events of complete_journey_dev as records of the input topics would be, with ``event_type`` first."""
    path = asked.scratch / f"{W2}-{events}.jsonl"
    if not path.is_file():
        asked.heard(f"writing {path.name}")
        log = open_log(FOLDER / f"{W2}.parquet")
        with path.open("wb") as file:
            for record in islice(log.records(), events):
                file.write(encode(_row(record.raw), newline=True))
    return path


def _row(raw: object) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BenchmarkFailed(f"{W2} holds a row that is no object: {raw!r}")
    return {"event_type": raw["event_type"], **raw}
