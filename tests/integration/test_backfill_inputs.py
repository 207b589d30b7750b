"""``ebbtide backfill`` on what people give it: every format alike, refusals in one line, never half a result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streams.replay.result_folder import ResultFolder
from tests.support.backfills import Ran, backfill, ebbtide, shop_rows
from tests.support.checkout import CHECKOUT
from tests.support.event_logs import FORMATS, write_bytes, write_lines, write_log

ROWS = shop_rows()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log.jsonl", ROWS, row_group_size=100)


def hashes_but_ids(ran: Ran) -> dict[str, Any]:
    """What must agree between files whose rows are alike but whose bytes, and so whose ids, are not."""
    summary = ran.summary
    kept = {name: summary[name] for name in ("records", "outputs", "users_by_stage", "observations", "watermark")}
    portraits = {
        user: {name: value for name, value in body.items() if name != "id"} for user, body in ran.profiles().items()
    }
    return kept | {"portraits": portraits}


# -- the same log in other clothes -------------------------------------------------------------------------------------


def test_two_runs_give_the_same_hashes(log: Path, tmp_path: Path) -> None:
    one, two = (backfill([log], tmp_path / name) for name in ("one", "two"))
    assert one.summary["hashes"] == two.summary["hashes"]
    assert None not in one.summary["hashes"].values()


@pytest.mark.parametrize("suffix", [kind for kind in FORMATS if kind != ".jsonl"])
def test_every_format_gives_what_json_lines_give(log: Path, tmp_path: Path, suffix: str) -> None:
    other = write_log(tmp_path / f"other{suffix}", ROWS, row_group_size=100)
    assert hashes_but_ids(backfill([other], tmp_path / "other")) == hashes_but_ids(backfill([log], tmp_path / "plain"))


def test_named_events_give_the_same_hashes_in_every_format(tmp_path: Path) -> None:
    named = [row | {"event_id": f"e{number}"} for number, row in enumerate(ROWS)]
    found = [
        backfill([write_log(tmp_path / f"log{suffix}", named, row_group_size=100)], tmp_path / f"out{suffix}")
        for suffix in FORMATS
    ]
    assert len({tuple(ran.summary["hashes"].values()) for ran in found}) == 1


def test_several_files_merged_are_the_one_they_were_cut_from(tmp_path: Path) -> None:
    named = [row | {"event_id": f"e{number:06d}"} for number, row in enumerate(ROWS)]
    whole = backfill([write_log(tmp_path / "whole.jsonl", named)], tmp_path / "whole")
    parts = [
        write_log(tmp_path / f"{part}.parquet", [row for row in named if row["event_type"] == part])
        for part in ("click", "search", "purchase")
    ]
    merged = backfill(parts, tmp_path / "merged")
    assert merged.summary["hashes"] == whole.summary["hashes"]
    assert [source["name"] for source in merged.summary["sources"]] == [part.name for part in parts]


def test_an_unsorted_file_is_sorted_first(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = [row | {"event_id": f"e{number:06d}"} for number, row in enumerate(ROWS)]
    ordered = backfill([write_log(tmp_path / "ordered.jsonl", named)], tmp_path / "ordered")
    write_log(tmp_path / "unsorted.jsonl", named[::-1])
    assert ebbtide("backfill", tmp_path / "unsorted.jsonl", "--out", tmp_path / "sorted") == 0
    assert "is not in time order" in capsys.readouterr().err
    assert Ran(tmp_path / "sorted").summary["hashes"] == ordered.summary["hashes"]


def test_until_leaves_out_what_is_later_and_ends_there(log: Path, tmp_path: Path) -> None:
    cut = write_log(tmp_path / "cut.jsonl", [row for row in ROWS if row["ts"] <= 1_709_251_200_000])
    whole = backfill([log], tmp_path / "whole", until="2024-03-01")
    short = backfill([cut], tmp_path / "short", until="2024-03-01")
    assert hashes_but_ids(whole) == hashes_but_ids(short)
    assert whole.summary["watermark"] == "2024-03-01T00:00:00.000Z"
    assert whole.summary["records"]["read"] < len(ROWS)


def test_until_beyond_the_log_lets_silence_speak(log: Path, tmp_path: Path) -> None:
    ran = backfill([log], tmp_path / "out", until="2025-06-01")
    assert {body["lifecycle"]["stage"] for body in ran.profiles().values()} <= {"churned", "dormant"}


@pytest.mark.parametrize("look_back_days", [30, 540])
def test_score_at_scores_everyone_with_a_purchase_in_the_look_back(
    log: Path, tmp_path: Path, look_back_days: int
) -> None:
    at = 1_711_929_600_000
    ran = backfill([log], tmp_path / "out", score_at=["2024-04-01"], look_back_days=look_back_days)
    asked = {
        body["user_id"]
        for body in ran.lines("churn-risk")
        if body["as_of"] == "2024-04-01T00:00:00.000Z" and not body["scheduled"]
    }
    bought = {
        row["user_id"]
        for row in ROWS
        if row["event_type"] == "purchase"
        and row["quantity"] > 0
        and at - look_back_days * 86_400_000 < row["ts"] <= at
    }
    assert asked == bought


def test_score_at_changes_nothing_else(log: Path, tmp_path: Path) -> None:
    plain = backfill([log], tmp_path / "plain")
    asked = backfill([log], tmp_path / "asked", score_at=["2024-02-10", "2024-04-01"])
    assert asked.summary["hashes"]["model"] == plain.summary["hashes"]["model"]
    assert asked.summary["hashes"]["profiles"] == plain.summary["hashes"]["profiles"]


def test_dedup_rows_takes_identical_rows_for_repeats(tmp_path: Path) -> None:
    once = backfill([write_log(tmp_path / "once.jsonl", ROWS)], tmp_path / "once")
    twice_log = write_log(tmp_path / "twice.jsonl", [row for row in ROWS for _ in range(2)])
    twice = backfill([twice_log], tmp_path / "twice", dedup_rows=True)
    assert twice.summary["records"] == once.summary["records"] | {"read": 2 * len(ROWS), "duplicates": len(ROWS)}
    assert {user: body["totals"] for user, body in twice.profiles().items()} == {
        user: body["totals"] for user, body in once.profiles().items()
    }


def test_without_dedup_rows_identical_rows_are_events_of_their_own(tmp_path: Path) -> None:
    twice = backfill([write_log(tmp_path / "twice.jsonl", [row for row in ROWS for _ in range(2)])], tmp_path / "out")
    assert twice.summary["records"]["duplicates"] == 0


# -- what cannot be read -----------------------------------------------------------------------------------------------


def refusal(capsys: pytest.CaptureFixture[str], out: Path, *arguments: object) -> str:
    """The one line that is told; nothing was printed and nothing stands where the result should."""
    before = sorted(out.parent.iterdir())
    assert ebbtide("backfill", *arguments, "--out", out) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert told.err.startswith("error: ")
    assert sorted(out.parent.iterdir()) == before
    return told.err


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def broken(kind: str, folder: Path) -> Path:
    """A file that is no event log."""
    if kind == "empty":
        return write_bytes(folder / "log.jsonl", b"")
    if kind == "binary":
        return write_bytes(folder / "log.bin", bytes(range(256)) * 40)
    if kind == "cut gzip":
        whole = write_log(folder / "whole.jsonl.gz", ROWS).read_bytes()
        (folder / "log.gz").write_bytes(whole[: len(whole) // 2])
        return folder / "log.gz"
    if kind == "cut Parquet":
        whole = write_log(folder / "whole.parquet", ROWS).read_bytes()
        (folder / "log.parquet").write_bytes(whole[: len(whole) // 2])
        return folder / "log.parquet"
    if kind == "no JSON":
        return write_lines(folder / "log.jsonl", [b"event_type,user_id,ts", b"click,u,2024-01-01"])
    if kind == "no user_id":
        return write_log(folder / "log.jsonl", [{"event_type": "click", "ts": 1_704_067_200_000}])
    if kind == "no ts column":
        return parquet(folder / "log.parquet", event_type=["click"], user_id=["u"])
    return parquet(folder / "log.parquet", event_type=["click"], user_id=["u"], ts=[[1, 2]])


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("empty", "is empty"),
        ("binary", "is not an event log"),
        ("cut gzip", "cut off"),
        ("cut Parquet", "cut off or damaged"),
        ("no JSON", "none of its first 2 lines is a JSON object"),
        ("no user_id", "has no column user_id"),
        ("no ts column", "has no column ts"),
        ("a ts of lists", "has a column ts of type"),
    ],
)
def test_what_is_no_event_log_is_refused_in_one_line(
    kind: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in refusal(capsys, tmp_path / "out", broken(kind, tmp_path))


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not exist" in refusal(capsys, tmp_path / "out", tmp_path / "none.jsonl")


def test_one_bad_file_among_good_ones_stops_before_anything_is_begun(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal(capsys, tmp_path / "out", log, broken("binary", tmp_path))


def test_a_file_without_permission_is_told(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path == log:
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)  # root may read all files, so a mode would not do
    assert "may not be read" in refusal(capsys, tmp_path / "out", log)


def test_a_place_that_cannot_be_written_is_told(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "cannot be written: Permission denied" in refusal(capsys, tmp_path / "out", log)


def test_a_file_in_the_place_of_the_folder_is_told(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is a file" in refusal(capsys, log, log)


def test_a_folder_with_something_else_is_not_touched(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "precious"
    place.mkdir()
    (place / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert "holds no earlier result" in refusal(capsys, place, log)
    assert [path.name for path in place.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--until", "yesterday"], "--until 'yesterday' is no time"),
        (["--score-at", "soon"], "--score-at 'soon' is no time"),
        (["--horizon-days", "0"], "Invalid value for '--horizon-days'"),
        (["--no-such"], "No such option"),
    ],
)
def test_wrong_use_is_2_and_one_line(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert ebbtide("backfill", log, "--out", tmp_path / "out", *arguments) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert told in captured.err
    assert not (tmp_path / "out").exists()


def test_an_unknown_setting_is_2_and_one_line(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBBTIDE_HORIZON", "30")
    assert ebbtide("backfill", log, "--out", tmp_path / "out") == 2
    captured = capsys.readouterr()
    assert "Unknown setting EBBTIDE_HORIZON" in captured.err
    assert (captured.out, captured.err.count("\n"), (tmp_path / "out").exists()) == ("", 1, False)


def test_a_policy_that_does_not_hold_together_is_2(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.toml").write_text("version = 1\n", encoding="utf-8")
    assert ebbtide("backfill", log, "--out", tmp_path / "out", "--policy", tmp_path / "bad.toml") == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n"), (tmp_path / "out").exists()) == ("", 1, False)


# -- what is dirty -----------------------------------------------------------------------------------------------------


def test_bad_rows_are_dead_letters_with_reasons_and_the_counts_add_up(tmp_path: Path) -> None:
    good = {"event_type": "click", "user_id": "u", "ts": "2024-01-01T00:00:00Z"}
    bought = good | {"event_type": "purchase", "item_id": "i", "quantity": 1}
    rows: list[dict[str, Any]] = [
        good,
        good | {"user_id": None},
        good | {"user_id": ["u"]},
        good | {"ts": "yesterday"},
        good | {"ts": 17},
        bought | {"price": -1},
        bought | {"price": "cheap"},
        bought | {"quantity": "many"},
        good | {"event_type": "sneeze"},
        good | {"ts": "2090-01-01T00:00:00Z"},
    ]
    log = write_log(tmp_path / "log.jsonl", rows)
    log.write_bytes(log.read_bytes() + b'["no","object"]\n{"event_type":"click","user_id":"u","ts":"2024-01')
    ran = backfill([log], tmp_path / "out")
    reasons = [body["reason"] for body in ran.lines("dead-letters")]
    records = ran.summary["records"]
    assert (records["read"], records["accepted"], records["rejected"]) == (12, 1, 11)
    assert sorted(reasons) == sorted(
        [
            *("missing_user", "bad_user", "bad_time", "bad_time", "bad_price", "bad_price", "bad_quantity"),
            *("unknown_type", "future", "not_an_object", "not_json"),
        ]
    )
    assert {body["source"]["row"] for body in ran.lines("dead-letters")} == set(range(1, 12))


def test_a_log_of_nothing_but_bad_rows_is_a_result_without_users(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", [{"event_type": "click", "user_id": None, "ts": 5}])
    ran = backfill([log], tmp_path / "out")
    assert (ran.summary["users"], ran.summary["records"]["rejected"]) == (0, 1)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_extra_columns_are_named_once_and_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    log = write_log(tmp_path / f"log{suffix}", [row | {"weather": "rain", "mood": 3} for row in ROWS])
    assert ebbtide("backfill", log, "--out", tmp_path / "out") == 0
    assert capsys.readouterr().err == f"{log}: columns that are ignored: mood, weather.\n"


def test_what_is_printed_is_plain_when_piped(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ebbtide("backfill", log, "--out", tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "\x1b" not in captured.out
    assert f"{len(ROWS):,} rows in " in captured.out


# -- interruption ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    ended, told = interrupted(tmp_path, sent)
    assert ended == code
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
    assert "Traceback" not in told


def test_a_killed_run_leaves_no_folder_that_looks_finished(tmp_path: Path) -> None:
    assert interrupted(tmp_path, signal.SIGKILL)[0] == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("summary.json"))


def test_an_interrupt_while_the_folder_is_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    really = Path.open

    def interrupting(path: Path, *arguments: Any, **named: Any) -> Any:
        opened.append(path)
        if len(opened) == 4:
            raise KeyboardInterrupt
        return really(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", interrupting)
    with pytest.raises(KeyboardInterrupt), ResultFolder(tmp_path / "out"):
        pytest.fail("entered")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_between_the_old_result_and_the_new_keeps_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = backfill([write_log(tmp_path / "small.jsonl", ROWS[:50])], tmp_path / "out").summary
    really = Path.replace

    def interrupting(path: Path, target: Path) -> Path:
        if ".unfinished-" in path.name:
            raise KeyboardInterrupt
        return really(path, target)

    monkeypatch.setattr(Path, "replace", interrupting)
    with pytest.raises(KeyboardInterrupt), ResultFolder(tmp_path / "out"):
        pass
    assert Ran(tmp_path / "out").summary == earlier
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "small.jsonl"]


def test_an_interrupted_run_keeps_the_earlier_result(tmp_path: Path) -> None:
    earlier = backfill([write_log(tmp_path / "small.jsonl", ROWS[:50])], tmp_path / "out").summary
    interrupted(tmp_path, signal.SIGINT)
    assert Ran(tmp_path / "out").summary == earlier


def test_a_second_run_replaces_the_first(log: Path, tmp_path: Path) -> None:
    backfill([write_log(tmp_path / "small.jsonl", ROWS[:50])], tmp_path / "out")
    again = backfill([log], tmp_path / "out")
    assert again.summary["records"]["read"] == len(ROWS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "out", "small.jsonl"]


def interrupted(folder: Path, sent: signal.Signals) -> tuple[int, str]:
    """Exit code and standard error of a long run that got a signal once it was writing."""
    log = write_log(folder / "log.jsonl", shop_rows(users=2_000, days=120))
    process = subprocess.Popen(
        [sys.executable, "-c", "from streams.cli import main; main()", "backfill", str(log), "--out", "out"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not list(folder.glob(".out.unfinished-*/profiles.jsonl")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode, told
