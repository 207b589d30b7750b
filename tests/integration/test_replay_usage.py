"""Replay, diff and profile used wrongly, or with Kafka away: one line, an exit code, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.child_process import free_port
from streams.core.errors import TopicError
from streams.replay import finished_topics, shadow_topics
from streams.replay.shadow_topics import suffix_of
from tests.support.backfills import backfill, ebbtide, shop_rows
from tests.support.event_logs import write_log


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working folder of its own, and no broker at the port that settings name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EBBTIDE_BROKERS", f"127.0.0.1:{free_port()}")
    for module in (finished_topics, shadow_topics):
        described = module.describe

        def soon(*arguments: object, described: object = described, **named: object) -> object:
            return described(*arguments, **named, timeout_s=0.5)  # type: ignore[operator]

        monkeypatch.setattr(module, "describe", soon)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "2024-01-01"], "give --suffix NAME for shadow topics, or --out DIR for files"),
        (["--to", "2024-01-01", "--suffix", "a", "--out", "b"], "give --suffix NAME"),
        (["--to", "soon", "--out", "b"], "--to 'soon' is no time"),
        (["--from", "2024-02-01", "--to", "2024-01-01", "--out", "b"], "--from is later than --to"),
        (["--out", "b", "--policy", "none.toml"], "none.toml"),
    ],
)
def test_a_replay_used_wrongly_is_2_and_one_line(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ebbtide("replay", *arguments) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "--to", "2024-01-01", "--out", "replayed"],
        ["replay", "--to", "2024-01-01", "--suffix", "trial"],
        ["profile", "u1"],
        ["diff", "topics", "topics:trial"],
    ],
    ids=" ".join,
)
def test_a_broker_that_is_away_is_1_and_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ebbtide(*arguments) == 1
    captured = capsys.readouterr()
    assert "No Kafka broker answered" in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a b", "ü", "", "x" * 101, "a/b"])
def test_a_name_that_kafka_could_not_take_is_refused(name: str) -> None:
    with pytest.raises(TopicError, match="cannot be part of a topic's name"):
        suffix_of(name)


def test_a_folder_that_is_called_topics_is_reached_by_its_path(tmp_path: Path) -> None:
    ran = backfill([write_log(tmp_path / "log.jsonl", shop_rows(users=3))], tmp_path / "topics")
    assert ebbtide("diff", "./topics", ran.folder) == 0
