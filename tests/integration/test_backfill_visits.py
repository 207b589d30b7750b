"""Backfill of real logs of clicks and searches, held against counts that were made in another way."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.backfills import Ran, backfill
from tests.support.shared_logs import real_log

pytestmark = [pytest.mark.data, pytest.mark.timeout(300)]

CUSTOMER_STAGES = {"new_customer", "growing", "reactivated", "loyal", "at_risk", "churned"}
ENGAGING = {"cart", "addtocart", "add_to_cart", "fav", "favourite", "favorite", "share", "review"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("visits")


@pytest.fixture(scope="module")
def taobao(folder: Path) -> Ran:
    return backfill([real_log("taobao_users_dev")], folder / "taobao")


@pytest.fixture(scope="module")
def bestbuy(folder: Path) -> Ran:
    return backfill([real_log("bestbuy_dev")], folder / "bestbuy")


@pytest.fixture(scope="module")
def rees46(folder: Path) -> Ran:
    return backfill([real_log("rees46_sample")], folder / "rees46")


def test_taobao_customers_are_who_bought(taobao: Ran) -> None:
    raw = pl.read_parquet(real_log("taobao_users_dev"))
    buyers = set(raw.filter(pl.col("event_type") == "purchase")["user_id"])
    profiles = taobao.profiles()
    customers = {user for user, body in profiles.items() if body["lifecycle"]["stage"] in CUSTOMER_STAGES}
    assert (len(customers), len(profiles)) == (347, 498)
    assert customers == buyers


def test_taobao_clicks_of_every_user_are_counted(taobao: Ran) -> None:
    raw = pl.read_parquet(real_log("taobao_users_dev")).filter(pl.col("event_type") == "click")
    clicks = dict(raw["user_id"].value_counts().iter_rows())
    assert {user: body["totals"]["clicks"] for user, body in taobao.profiles().items() if body["totals"]["clicks"]} == (
        clicks
    )


def test_bestbuy_searches_are_all_there(bestbuy: Ran) -> None:
    raw = pl.read_parquet(real_log("bestbuy_dev")).filter(pl.col("event_type") == "search")
    searches = dict(raw["user_id"].value_counts().iter_rows())
    found = {user: body["totals"]["searches"] for user, body in bestbuy.profiles().items()}
    assert sum(found.values()) == 24_302
    assert {user: count for user, count in found.items() if count} == searches


def test_rees46_carts_move_visitors_to_activated(rees46: Ran) -> None:
    """All within three hours and without searches: only a cart activates, and only before the first purchase."""
    raw = pl.read_parquet(real_log("rees46_sample")).with_columns(
        kind=pl.col("event_type").replace_strict({"click": 0, "search": 1, "purchase": 2})
    )
    assert set(raw["event_type"]) == {"click", "purchase"}
    expected: dict[str, str] = {}
    customers: set[str] = set()
    for user, ts, kind, action in (
        raw.sort("ts", "kind", maintain_order=True).select("user_id", "ts", "kind", "action").iter_rows()
    ):
        if kind == 2:
            customers.add(user)
        elif action in ENGAGING and user not in customers:
            expected.setdefault(user, ts)
    found = {
        body["user_id"]: body["as_of"]
        for body in rees46.lines("segment-changes")
        if body["dimension"] == "lifecycle" and body["current"] == "activated"
    }
    assert found == {user: ts if "." in ts else ts.replace("Z", ".000Z") for user, ts in expected.items()}
    assert len(found) > 100
