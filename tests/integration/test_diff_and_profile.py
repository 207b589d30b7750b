"""``ebbtide diff`` and ``ebbtide profile`` on result folders, as a person reads them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.backfills import Ran, backfill, ebbtide, shop_rows
from tests.support.checkout import CHECKOUT
from tests.support.event_logs import write_log

MAIN = "from streams.cli import main; main()"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("shop")
    return backfill([write_log(folder / "log.jsonl", shop_rows())], folder / "out")


@pytest.fixture
def copy(ran: Ran, tmp_path: Path) -> Path:
    """The same result in another place, to be changed."""
    return Path(shutil.copytree(ran.folder, tmp_path / "copy"))


def edit(path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Rewrite a file of JSON lines."""
    bodies = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies))


# -- diff --------------------------------------------------------------------------------------------------------------


def test_a_copy_is_the_same(ran: Ran, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ebbtide("diff", ran.folder, copy) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("the same\n")
    assert f"{ran.summary['outputs']['segment-changes']:,}" in shown


def test_a_repeat_is_no_difference(ran: Ran, copy: Path) -> None:
    edit(copy / "segment-changes.jsonl", lambda bodies: bodies + bodies[:3])
    assert ebbtide("diff", ran.folder, copy) == 0


def test_the_order_of_messages_is_no_difference(ran: Ran, copy: Path) -> None:
    edit(copy / "churn-risk.jsonl", lambda bodies: bodies[::-1])
    assert ebbtide("diff", ran.folder, copy) == 0


def test_a_missing_message_is_named(ran: Ran, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = next(ran.lines("segment-changes"))["id"]
    edit(copy / "segment-changes.jsonl", lambda bodies: bodies[1:])
    assert ebbtide("diff", ran.folder, copy) == 1
    assert f"segment-changes: only in A: {gone}\n" in capsys.readouterr().out
    assert ebbtide("diff", copy, ran.folder) == 1
    assert f"segment-changes: only in B: {gone}\n" in capsys.readouterr().out


def test_another_body_under_the_same_id_is_told_by_field(
    ran: Ran, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        bodies[4]["totals"]["orders"] = 999
        return bodies

    edit(copy / "profiles.jsonl", change)
    assert ebbtide("diff", ran.folder, copy) == 1
    shown = capsys.readouterr().out
    assert "totals.orders: " in shown
    assert "!= 999" in shown
    assert "they differ" in shown


def test_where_a_cause_was_read_is_no_difference_unless_asked(ran: Ran, copy: Path) -> None:
    def elsewhere(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [body | {"mode": "live", "cause": body["cause"] | {"partition": 3, "offset": 7}} for body in bodies]

    edit(copy / "segment-changes.jsonl", elsewhere)
    assert ebbtide("diff", ran.folder, copy) == 0
    assert ebbtide("diff", ran.folder, copy, "--positions") == 1


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "summary.json").unlink(), "is not a finished backfill"),
        (lambda folder: (folder / "churn-risk.jsonl").unlink(), "churn-risk.jsonl cannot be read"),
        (lambda folder: (folder / "profiles.jsonl").write_text("{"), "profiles.jsonl, line 1: not JSON"),
        (lambda folder: (folder / "profiles.jsonl").write_text("[]"), "line 1 is not a JSON object"),
        (shutil.rmtree, "is not a folder"),
    ],
    ids=["unfinished", "without a file", "cut", "no object", "missing"],
)
def test_what_cannot_be_compared_is_one_line(
    ran: Ran, copy: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], told: str
) -> None:
    spoil(copy)
    assert ebbtide("diff", ran.folder, copy) == 1
    captured = capsys.readouterr()
    assert told in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)


# -- profile -----------------------------------------------------------------------------------------------------------


def someone(ran: Ran) -> dict[str, Any]:
    """A customer with more than one order, changes and a risk."""
    return max(ran.profiles().values(), key=lambda body: int(body["totals"]["orders"]))


def test_a_customer_is_shown_as_plain_text(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    body = someone(ran)
    assert ebbtide("profile", body["user_id"], "--from", ran.folder) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith(f"{body['user_id']}: {body['lifecycle']['stage']} since ")
    assert f"RFM {body['value']['rfm']}" in captured.out
    assert "\x1b" not in captured.out
    assert "│" not in captured.out


def test_windows_and_totals_are_those_of_the_portrait(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    body = someone(ran)
    ebbtide("profile", body["user_id"], "--from", ran.folder)
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line}
    for name, sums in [*body["windows"].items(), ("ever", body["totals"])]:
        assert rows[name] == [
            f"{sums['orders']:,}",
            f"{sums['amount']:,.2f}",
            f"{sums['clicks']:,}",
            f"{sums['searches']:,}",
        ]


def test_the_last_changes_are_shown_with_their_rule(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    user = someone(ran)["user_id"]
    changes = [body for body in ran.lines("segment-changes") if body["user_id"] == user][-5:]
    ebbtide("profile", user, "--from", ran.folder)
    shown = capsys.readouterr().out
    assert changes
    for change in changes:
        assert change["rule"] in shown
        assert change["as_of"][:10] in shown


def test_the_last_risk_is_shown_with_its_reasons(ran: Ran, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user = someone(ran)["user_id"]
    warm = {
        "probability": 0.73,
        "band": "high",
        "reasons": [{"family": "rhythm", "feature": "overdue", "text": "no order for 40 days; usually every 9 days"}],
        "changed": {
            "since": "2024-03-25T10:00:00.000Z",
            "probability": 0.61,
            "by": [
                {"family": "rhythm", "change": 0.4, "text": "last order 40 days ago; 33 days ago at the last score"}
            ],
        },
        "model": {"name": "churn", "version": "20240401-abc"},
    }
    edit(copy / "churn-risk.jsonl", lambda bodies: [body | warm for body in bodies])
    assert ebbtide("profile", user, "--from", copy) == 0
    shown = capsys.readouterr().out
    assert "last risk: 73% high" in shown
    assert "+ no order for 40 days; usually every 9 days" in shown
    assert "since the score before, 61% (2024-03-25 10:00):" in shown
    assert "+ last order 40 days ago; 33 days ago at the last score" in shown


def test_a_cold_model_is_said_to_be_cold(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    ebbtide("profile", someone(ran)["user_id"], "--from", ran.folder)
    assert "the model is still cold" in capsys.readouterr().out


def test_json_is_the_body_as_it_stands_there(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    body = someone(ran)
    assert ebbtide("profile", body["user_id"], "--from", ran.folder, "--json") == 0
    shown = capsys.readouterr().out
    assert json.loads(shown) == body
    assert shown.encode() in (ran.folder / "profiles.jsonl").read_bytes()


@pytest.mark.parametrize("user", ["nobody", "u", "click", ""])
def test_an_unknown_user_is_1_and_one_line(ran: Ran, capsys: pytest.CaptureFixture[str], user: str) -> None:
    assert ebbtide("profile", user, "--from", ran.folder) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert f"knows no user {user!r}" in captured.err


def test_an_unfinished_folder_is_1_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ebbtide("profile", "u1", "--from", tmp_path / "none") == 1
    assert "is not a finished backfill" in capsys.readouterr().err


def test_a_person_at_a_terminal_sees_a_panel(ran: Ran) -> None:
    """A pseudo-terminal stands in for the person."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "profile", someone(ran)["user_id"], "--from", str(ran.folder)],
        cwd=CHECKOUT,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        stdout=theirs,
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    assert process.wait() == 0
    assert "╭" in shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side is closed: how a pseudo-terminal ends on Linux
        return b""
