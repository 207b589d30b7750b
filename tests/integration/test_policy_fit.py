"""``ebbtide policy fit``: what it proposes is what polars finds in the log, reads back equal, and can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from streams.core.policy import Policy, parse_policy
from streams.core.policy_fit import render_policy
from streams.policies.reader import default_text, read_policy
from tests.support.backfills import Ran, ebbtide, shop_rows
from tests.support.event_logs import write_log

ROWS = shop_rows(seed=3, users=150, days=300)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("fit") / "log.jsonl", ROWS)


@pytest.fixture
def fitted(log: Path, capsys: pytest.CaptureFixture[str]) -> Policy:
    assert ebbtide("policy", "fit", log, "--version", "mine-1") == 0
    return parse_policy(capsys.readouterr().out, "fitted")


@pytest.fixture(scope="module")
def bought() -> pl.DataFrame:
    """Lines of customers: the refunds of who never ordered are nobody's."""
    lines = pl.DataFrame([row for row in ROWS if row["event_type"] == "purchase"]).with_columns(
        day=pl.col("ts") // 86_400_000, micro=(pl.col("price") * 1_000_000).round().cast(pl.Int64) * pl.col("quantity")
    )
    return lines.filter(pl.col("user_id").is_in(lines.filter(pl.col("quantity") > 0)["user_id"].unique().to_list()))


def quintiles(values: pl.Series) -> list[Any]:
    """The value at each fifth of the customers, from the lowest."""
    ordered = values.sort()
    return [ordered[len(ordered) * fifth // 5] for fifth in (1, 2, 3, 4)]


def strictly_ascending(cuts: list[Any], least: float) -> list[Any]:
    """Cuts pushed up by one where quintiles coincide."""
    for place, cut in enumerate(cuts):
        cuts[place] = max(cut, least if not place else cuts[place - 1] + 1)
    return cuts


def test_recency_is_cut_at_quintiles(fitted: Policy, bought: pl.DataFrame) -> None:
    end = max(row["ts"] for row in ROWS)
    last = bought.filter(pl.col("quantity") > 0).group_by("user_id").agg(pl.max("ts"))
    days = ((end - last["ts"]) // 86_400_000).alias("days")
    assert list(fitted.rfm.recency_days) == strictly_ascending(quintiles(days), 1)


def test_frequency_is_cut_at_quintiles(fitted: Policy, bought: pl.DataFrame) -> None:
    orders = bought.filter(pl.col("quantity") > 0).group_by("user_id").agg(pl.col("order_id").n_unique())
    assert list(fitted.rfm.frequency_orders) == strictly_ascending(quintiles(orders["order_id"]), 2)


def test_money_is_cut_at_quintiles(fitted: Policy, log: Path, bought: pl.DataFrame) -> None:
    first = bought.filter(pl.col("quantity") > 0).group_by("user_id").agg(first=pl.min("ts"))
    # a refund before the first order is not the customer's yet
    since = bought.join(first, on="user_id").filter(pl.col("ts") >= pl.col("first"))
    net = since.group_by("user_id").agg(pl.sum("micro"))["micro"] / 1_000_000
    assert list(fitted.rfm.monetary) == pytest.approx(quintiles(net.round(2)))


def test_the_shops_gap_is_the_median_of_the_customers_medians(fitted: Policy, bought: pl.DataFrame) -> None:
    days = bought.filter(pl.col("quantity") > 0).select("user_id", "day").unique().sort("user_id", "day")
    gaps = days.with_columns(gap=pl.col("day").diff().over("user_id")).drop_nulls()
    medians = gaps.group_by("user_id").agg(pl.median("gap"))["gap"]
    assert fitted.gap.shop_days == pytest.approx(medians.median(), abs=0.051)


def test_what_is_rendered_reads_back_equal(fitted: Policy) -> None:
    assert parse_policy(render_policy(fitted), "again") == fitted
    assert render_policy(fitted) == render_policy(parse_policy(render_policy(fitted), "again"))


def test_everything_else_is_kept_from_the_base(fitted: Policy) -> None:
    default = read_policy(None)
    assert (fitted.stages, fitted.risk_bands, fitted.limits, fitted.value_tiers) == (
        default.stages,
        default.risk_bands,
        default.limits,
        default.value_tiers,
    )
    assert fitted.version == "mine-1"


def test_a_backfill_uses_the_fitted_policy(
    fitted: Policy, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(render_policy(fitted), encoding="utf-8")
    assert ebbtide("policy", "check", mine) == 0
    assert f"{fitted.fingerprint:08x}" in capsys.readouterr().out
    assert ebbtide("backfill", log, "--out", tmp_path / "out", "--policy", mine) == 0
    ran = Ran(tmp_path / "out")
    assert ran.summary["policy_version"] == "mine-1"
    assert {body["policy_version"] for body in ran.lines("segment-changes")} == {"mine-1"}
    # at its own quintiles a shop has customers of every R, F and M
    digits = {digit for body in ran.profiles().values() if body["value"]["rfm"] for digit in body["value"]["rfm"]}
    assert digits == set("12345")


def test_the_built_in_policy_holds_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ebbtide("policy", "show") == 0
    shown = capsys.readouterr().out
    assert shown.rstrip() == default_text().rstrip()
    (tmp_path / "shown.toml").write_text(shown, encoding="utf-8")
    assert ebbtide("policy", "check", tmp_path / "shown.toml") == 0


def test_too_small_a_log_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path / "log.jsonl", [row for row in ROWS if row["user_id"] in {"u1", "u2"}])
    assert ebbtide("policy", "fit", log) == 2
    captured = capsys.readouterr()
    assert "a fit needs 20" in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_a_log_that_cannot_be_read_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ebbtide("policy", "fit", tmp_path / "none.jsonl") == 1
    assert "does not exist" in capsys.readouterr().err
