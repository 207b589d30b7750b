"""A backfill by several workers leaves the folder that one process leaves; without Ray it says what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.codec import encode
from streams.policies.reader import read_policy
from streams.replay import ray_crew
from streams.replay.backfill import run_backfill, shards_of
from streams.replay.files import open_log
from streams.replay.run_options import RunOptions
from streams.replay.shards import OneShard
from streams.replay.worker_shards import WorkerShards
from tests.bench.reference_logs import W3, rows
from tests.support.backfills import STARTED_MS, ebbtide
from tests.support.crews import LocalCrew
from tests.support.result_folders import digests
from tests.support.shared_logs import real_log

OPTIONS = RunOptions(horizon_days=7, policy=read_policy(None), stored_profiles=True)


def disordered(folder: Path) -> Path:
    """A small reference log, out of order and with repeats."""
    log = folder / "w3.jsonl"
    with log.open("wb") as lines:
        lines.writelines(encode(row, newline=True) for row in rows(W3.scaled(5_000)))
    return log


def same_either_way(log: Path, folder: Path, workers: int, partitions: int) -> None:
    shared = WorkerShards(LocalCrew(OPTIONS), workers, OPTIONS, folder, print, partitions=partitions)
    for name, shards in (("one", OneShard(OPTIONS)), ("many", shared)):
        run_backfill([open_log(log)], folder / name, OPTIONS, started_ms=STARTED_MS, shards=shards)
    assert digests(folder / "many") == digests(folder / "one")


def test_a_log_out_of_order_with_repeats_leaves_the_same_folder(tmp_path: Path) -> None:
    same_either_way(disordered(tmp_path), tmp_path, 2, 64)


@pytest.mark.data
def test_a_real_log_leaves_the_same_folder(tmp_path: Path) -> None:
    same_either_way(real_log("rees46_sample"), tmp_path, 3, 7)


def test_without_ray_several_workers_end_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_crew, "find_spec", lambda name: None)
    log = tmp_path / "log.jsonl"
    log.write_text('{"event_type": "click", "user_id": "u", "ts": 1700000000000, "action": "view"}\n')
    assert ebbtide("backfill", log, "--out", tmp_path / "out", "--workers", 2) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: A backfill with several workers needs Ray, which is not installed. Install it: ")
    assert "pip install 'ebbtide[ray]'" in told
    assert not (tmp_path / "out").exists()


def test_one_worker_needs_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_crew, "find_spec", lambda name: None)
    with shards_of(1, OPTIONS, print) as shards:
        assert isinstance(shards, OneShard)
