"""Backfill of a real log of order lines (online_retail_2011), held against recomputations from the raw file."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tests.support.backfills import Ran, backfill, discrimination
from tests.support.recomputed_scorecards import assert_recomputed, judged
from tests.support.shared_logs import real_log

pytestmark = [pytest.mark.data, pytest.mark.long, pytest.mark.timeout(600)]

NAME = "online_retail_2011"
CUSTOMER_STAGES = {"new_customer", "growing", "reactivated", "loyal", "at_risk", "churned"}
LINE_LIMIT = 50_000


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return backfill([real_log(NAME)], tmp_path_factory.mktemp("retail") / "out", horizon_days=60)


@pytest.fixture(scope="module")
def raw() -> pl.DataFrame:
    """The rows of users, with what each adds to money in millionths."""
    value = (pl.col("price") * 1_000_000).round().cast(pl.Int64) * pl.col("quantity")
    return (
        pl.read_parquet(real_log(NAME))
        .filter(pl.col("user_id").is_not_null())
        .with_columns(micro=pl.when(value.abs() <= LINE_LIMIT * 1_000_000).then(value).otherwise(0))
    )


def test_every_row_is_read_and_accounted_for(ran: Ran) -> None:
    records = ran.summary["records"]
    assert records["read"] == 541_909
    assert records["read"] == records["accepted"] + records["duplicates"] + records["rejected"]


def test_rows_without_a_user_are_dead_letters(ran: Ran) -> None:
    assert ran.summary["rejected_by_reason"] == {"missing_user": 135_080}
    assert sum(body["reason"] == "missing_user" for body in ran.lines("dead-letters")) == 135_080


def test_who_only_ever_cancelled_is_never_a_customer(ran: Ran, raw: pl.DataFrame) -> None:
    only = raw.group_by("user_id").agg(pl.max("quantity")).filter(pl.col("quantity") < 0)["user_id"].to_list()
    assert len(only) == 33
    profiles = ran.profiles()
    assert {profiles[user]["lifecycle"]["stage"] for user in only}.isdisjoint(CUSTOMER_STAGES)
    assert {profiles[user]["totals"]["orders"] for user in only} == {0}
    became = {
        body["user_id"]
        for body in ran.lines("segment-changes")
        if body["dimension"] == "lifecycle" and body["current"] in CUSTOMER_STAGES
    }
    assert became.isdisjoint(only)


def test_orders_cancelled_within_minutes_are_outliers_and_lead_no_tier(ran: Ran) -> None:
    profiles = ran.profiles()
    for user in ("12346", "16446"):
        assert profiles[user]["value"]["tier"] != "platinum"
        assert abs(profiles[user]["totals"]["amount"]) < 100
    assert ran.summary["outliers"] == 4


def test_order_counts_equal_a_recomputation(ran: Ran, raw: pl.DataFrame) -> None:
    bought = raw.filter(pl.col("quantity") > 0).group_by("user_id").agg(pl.col("order_id").n_unique())
    expected = dict(bought.iter_rows())
    found = {user: body["totals"]["orders"] for user, body in ran.profiles().items()}
    assert found == {user: expected.get(user, 0) for user in found}
    assert expected.keys() <= found.keys()


def test_last_orders_equal_a_recomputation(ran: Ran, raw: pl.DataFrame) -> None:
    bought = raw.filter(pl.col("quantity") > 0)
    expected = dict(bought.group_by("user_id").agg(pl.max("ts")).iter_rows())
    found = {user: body["last_order_at"] for user, body in ran.profiles().items()}
    assert {user: at for user, at in found.items() if at is not None} == {
        user: at if "." in at else at.replace("Z", ".000Z") for user, at in expected.items()
    }


def test_net_money_of_every_user_equals_a_recomputation(ran: Ran, raw: pl.DataFrame) -> None:
    expected = dict(raw.group_by("user_id").agg(pl.sum("micro")).iter_rows())
    found = {user: round(body["totals"]["amount"] * 1_000_000) for user, body in ran.profiles().items()}
    assert found == expected


def test_refunded_money_of_every_user_equals_a_recomputation(ran: Ran, raw: pl.DataFrame) -> None:
    back = raw.filter(pl.col("quantity") < 0).group_by("user_id").agg(-pl.sum("micro"))
    expected = {user: amount for user, amount in back.iter_rows() if amount}
    found = {user: round(body["totals"]["refunded"] * 1_000_000) for user, body in ran.profiles().items()}
    assert {user: amount for user, amount in found.items() if amount} == expected


def test_users_by_stage_are_the_profiles(ran: Ran) -> None:
    stages = pl.Series([body["lifecycle"]["stage"] for body in ran.profiles().values()]).value_counts()
    assert dict(stages.iter_rows()) == ran.summary["users_by_stage"]
    assert ran.summary["users"] == 4_372


def test_every_scheduled_score_is_accounted_for(ran: Ran) -> None:
    observed = ran.summary["observations"]
    assert observed["opened"] == sum(observed[name] for name in ("churned", "returned", "erased", "pending"))
    scheduled = sum(body["scheduled"] for body in ran.lines("churn-risk"))
    assert scheduled == observed["opened"]


@pytest.mark.parametrize(("head", "topic"), [("churn", "churn-risk"), ("propensity", "purchase-propensity")])
def test_every_figure_of_a_scorecard_is_what_published_scores_and_labels_make_it(
    ran: Ran, head: str, topic: str
) -> None:
    card = json.loads((ran.folder / "scorecard.json").read_bytes())["heads"][head]
    assert card["window"]["n"] == 10_000
    assert_recomputed(card, judged(head, ran.lines(topic), ran.lines("training-examples")))


@pytest.mark.parametrize("at", ["2011-08-31", "2011-09-30"])
def test_churn_is_told_apart(ran: Ran, at: str) -> None:
    found = discrimination(ran, real_log(NAME), at, horizon_days=60, look_back_days=180)
    assert found.scored == found.customers
    assert found.auc >= 0.71
    assert found.auc > found.recency_auc
