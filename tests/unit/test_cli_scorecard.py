"""What ``ebbtide scorecard`` shows: figures with their meaning, a plot, groups, and where every score went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.accounts import Account
from models.scorecard import Scorecard
from models.scorecards import run_document
from streams.cli.scorecard import BOTH, CAME, SAID, accounted, plot
from tests.support.backfills import ebbtide
from tests.support.scored_labels import labels


def finished(folder: Path, count: int = 200) -> Path:
    card = Scorecard()
    for number, (p, y) in enumerate(labels(count)):
        card.observe(number, number + 9, p, y, "loyal" if number % 2 else "at_risk", None)
    card.observe(0, 9, None, True, "growing", None)
    account = Account({"opened": 9, "churned": 2, "returned": 3, "erased": 1}, 1, 0)
    (folder / "scorecard.json").write_text(json.dumps(run_document({"churn": card}, None, lambda name: account)))
    (folder / "summary.json").write_text("{}")
    return folder


def shown(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert ebbtide("scorecard", folder, *arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("figure", ["AUC", "log loss", "Brier", "ECE", "base rate", "mean said", "lift"])
def test_every_figure_stands_with_its_meaning(figure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [one for one in shown(finished(tmp_path), capsys).splitlines() if one.startswith(f"{figure} ")]
    assert len(line.split("  ")[-1].split()) >= 3


def test_a_figure_stands_for_the_window_and_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = json.loads((finished(tmp_path) / "scorecard.json").read_text())["heads"]["churn"]
    (line,) = [one for one in shown(tmp_path, capsys).splitlines() if one.startswith("AUC")]
    assert line.split()[1:3] == [f"{card['window']['auc']:.4f}", f"{card['overall']['auc']:.4f}"]


def test_where_every_score_went_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "9 scheduled = 2 churned + 3 returned + 1 erased + 3 pending." in shown(finished(tmp_path), capsys)


def test_scores_without_a_probability_are_a_start_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(finished(tmp_path), capsys).splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("cold", "served"))] == [
        ["cold", "1"],
        ["served", "200"],
    ]


def test_nothing_but_plain_text_goes_into_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in shown(finished(tmp_path), capsys)


def test_json_is_the_record_as_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = json.loads((finished(tmp_path) / "scorecard.json").read_text())["heads"]["churn"]
    assert json.loads(shown(tmp_path, capsys, "--json")) == card


def test_a_head_that_is_none_is_named_with_those_that_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ebbtide("scorecard", finished(tmp_path), "--head", "churm") == 2
    assert "there are churn" in capsys.readouterr().err


def test_labels_without_a_single_probability_have_no_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = shown(finished(tmp_path, 0), capsys)
    assert "No score with a probability has its label yet." in told
    assert "AUC " not in told


def test_a_backfill_of_an_earlier_ebbtide_is_to_be_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished(tmp_path) / "scorecard.json").write_text('{"labels": 3}')
    assert ebbtide("scorecard", tmp_path) == 1
    assert "an earlier Ebbtide wrote it. Run the backfill again." in capsys.readouterr().err


def one_bin(said: float, came: float) -> str:
    bins: list[dict[str, Any]] = [{"mean_probability": said, "observed_ratio": came, "n": 7}]
    return next(plot(bins))[-1]


def test_the_plot_shows_what_was_said_beside_what_came() -> None:
    line = one_bin(0.25, 0.75)
    assert (line.index(SAID), line.index(CAME)) == (10, 30)


def test_the_plot_shows_one_mark_where_both_agree() -> None:
    assert one_bin(0.5, 0.502).strip() == BOTH


def test_the_plot_ends_at_certainty() -> None:
    assert one_bin(0.0, 1.0) == SAID + " " * 39 + CAME


def test_a_count_that_began_late_says_since_when() -> None:
    account = {"opened": 2, "bought": 1, "stayed_away": 1, "erased": 0, "pending": 0, "partitions": 1}
    told = accounted({**account, "since": "2011-01-09T00:00:00.000Z"})
    assert told == "2 scheduled = 1 bought + 1 stayed away + 0 erased + 0 pending, counted since 2011-01-09."
