"""Whoever holds the users of an offline run, it comes to the same to the byte: outputs in order, examples, model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from streams.core.errors import WorkersError
from streams.core.instants import parse_instant
from streams.replay.run_options import RunOptions
from streams.replay.shards import OneShard, Shards
from streams.replay.worker_shards import WorkerShards
from tests.support.backfills import shop_rows
from tests.support.crews import Fate, LocalCrew, nobody_dies
from tests.support.offline_runs import Body, Kept, ListedRows, run_offline

MIN_LABELS = 30
HIRES = Callable[[RunOptions], Shards]


@cache
def rows() -> list[Body]:
    return shop_rows(seed=11, users=24, days=60)


def run(shards: HIRES, log: list[Body] | None = None, **options: Any) -> Kept:
    with pytest.MonkeyPatch.context() as patches:
        asked = {"horizon_days": 14, "hold_least_users": 2, **options}
        return run_offline(
            ListedRows(rows() if log is None else log), patches, min_labels=MIN_LABELS, shards=shards, **asked
        )


def written(kept: Kept) -> tuple[bytes, list[tuple[Any, ...]]]:
    return kept.everything(), [(rejection, row) for rejection, row in kept.letters]


@pytest.fixture(scope="module")
def alone() -> Kept:
    """What one shard in one process comes to."""
    return run(OneShard)


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def workers(tmp_path: Path, notes: list[str]) -> Callable[..., HIRES]:
    """Makes shards over workers within this process; the crews are kept."""
    crews: list[LocalCrew] = []

    def make(count: int, *, dies: Fate = nobody_dies, partitions: int = 64, **named: Any) -> HIRES:
        def hires(options: RunOptions) -> Shards:
            crews.append(LocalCrew(options, dies))
            folder = tmp_path / f"run-{len(crews)}"
            folder.mkdir()
            return WorkerShards(crews[-1], count, options, folder, notes.append, partitions=partitions, **named)

        return hires

    return make


Workers = Callable[..., HIRES]


def test_the_log_serves_models_so_that_there_is_something_to_differ(alone: Kept) -> None:
    versions = {record["version"] for record in alone.model_records if record["type"] == "cut"}
    assert len(versions) > 10
    assert alone.documents["summary.json"]["highest_share_of_changes"] is not None


@pytest.mark.parametrize(("count", "partitions"), [(1, 1), (1, 7), (2, 2), (2, 64), (3, 7)])
def test_any_number_of_workers_and_partitions_comes_to_the_same(
    alone: Kept, workers: Workers, count: int, partitions: int
) -> None:
    assert written(run(workers(count, partitions=partitions))) == written(alone)


def test_a_worker_without_users_is_no_harm(alone: Kept, workers: Workers) -> None:
    assert written(run(workers(5, partitions=3))) == written(alone)


@pytest.mark.parametrize(
    "options",
    [
        {"until": parse_instant("2024-02-20T13:30:00Z")},
        {"until": parse_instant("2024-03-20")},
        {"score_at": (parse_instant("2024-02-01"), parse_instant("2024-02-20T13:30:00Z"))},
        {"dedup_rows": True},
        {"stored_profiles": True},
    ],
    ids=["until", "until behind the log", "score-at", "dedup-rows", "stored-profiles"],
)
def test_options_mean_the_same(workers: Workers, options: dict[str, Any]) -> None:
    log = [row for row in rows() for _ in range(1 + (row["ts"] % 7 == 0))] if "dedup_rows" in options else None
    assert written(run(workers(2, partitions=5), log, **options)) == written(run(OneShard, log, **options))


def test_rejected_rows_are_told_once_and_in_order(workers: Workers) -> None:
    bad = {"price": "no price"}
    log = [{**row, **(bad if number % 9 == 0 else {})} for number, row in enumerate(rows())]
    one, two = run(OneShard, log), run(workers(2, partitions=5), log)
    assert len(one.letters) > 50
    assert written(two) == written(one)


@pytest.mark.parametrize("log", [[], [{"event_type": "click", "user_id": "u", "ts": 1, "action": "view"}]])
def test_a_log_without_an_event_ends_well(workers: Workers, log: list[Body]) -> None:
    assert written(run(workers(2, partitions=5), log)) == written(run(OneShard, log))


# -- workers that die ------------------------------------------------------------------------------------------------


def every(calls: int) -> Fate:
    return lambda number, method: number % calls == 0


@pytest.mark.parametrize("calls", [51, 70])
def test_workers_that_die_again_and_again_change_nothing(
    alone: Kept, workers: Workers, notes: list[str], calls: int
) -> None:
    assert written(
        run(workers(2, dies=every(calls), partitions=4, keep_every_s=0.0, keeping_share=0.0, retries=5))
    ) == written(alone)
    assert len(notes) > 3


def test_a_worker_without_kept_partitions_does_everything_again(
    alone: Kept, workers: Workers, notes: list[str]
) -> None:
    fate: Fate = lambda number, method: number == 150  # noqa: E731 - named for its type
    assert written(run(workers(2, dies=fate, partitions=5, keep_every_s=1e9))) == written(alone)
    assert [note for note in notes if "begun anew" in note] == notes
    assert len(notes) == 1


@pytest.mark.parametrize("method", ["kept", "closing", "stages", "serve", "begin_anew"])
def test_a_worker_may_die_of_whatever_it_is_asked(alone: Kept, workers: Workers, notes: list[str], method: str) -> None:
    died: list[int] = []

    def dies(number: int, asked: str) -> bool:
        first = asked == method or (not died and number == 30 and method in {"serve", "begin_anew"})
        if first and len(died) < 2:
            died.append(number)
            return True
        return False

    assert written(run(workers(2, dies=dies, partitions=4, keep_every_s=0.0, keeping_share=0.0))) == written(alone)
    assert len(notes) == len(died) == 2


def test_a_worker_that_only_dies_ends_the_run_with_what_to_do(workers: Workers, notes: list[str]) -> None:
    with pytest.raises(WorkersError, match=r"ended 4 times over the same part of the log: it was killed.*--workers"):
        run(workers(2, dies=lambda number, method: number > 60 and method == "take", partitions=3))
    assert len(notes) == 3
