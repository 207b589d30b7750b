"""The real logs, cleaned: what becomes of every row, counted beside an independent count."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

from streams.core.cleaning import CleaningPolicy, clean
from streams.core.events import Event, Position
from streams.core.ports import Rejection
from streams.replay.files import open_log, record_id
from tests.support.shared_logs import real_log

LATER = 1_800_000_000_000


def cleaned(name: str) -> tuple[list[Event], Counter[str]]:
    log = open_log(real_log(name))
    policy = CleaningPolicy()
    events: list[Event] = []
    rejected: Counter[str] = Counter()
    for record in log.records():
        assert record.kind is not None
        result = clean(
            record.raw,
            record.kind,
            position=Position(log.path.name, 0, record.row),
            record_id=record_id(log.digest, record.row),
            published_ms=LATER,
            policy=policy,
            from_file=True,
        )
        if isinstance(result, Rejection):
            rejected[result.reason] += 1
        else:
            events.append(result)
    return events, rejected


@pytest.mark.data
def test_online_retail_loses_only_the_rows_without_user() -> None:
    events, rejected = cleaned("online_retail_2011")
    frame = pl.read_parquet(real_log("online_retail_2011")).filter(pl.col("user_id").is_not_null())
    assert rejected == {"missing_user": 135_080}
    assert len(events) == frame.height == 406_829
    assert sum(event.refund for event in events) == frame.filter(pl.col("quantity") < 0).height
    micro = (frame["price"] * 1_000_000).round().cast(pl.Int64) * frame["quantity"]
    assert sum(line.price * line.quantity for e in events for line in e.lines if line.price is not None) == micro.sum()


@pytest.mark.data
@pytest.mark.parametrize("name", ["bestbuy_dev", "taobao_users_dev", "rees46_sample", "retailrocket_sample", "cdnow"])
def test_a_clean_log_loses_nothing(name: str) -> None:
    events, rejected = cleaned(name)
    frame = pl.read_parquet(real_log(name))
    assert rejected == {}
    assert Counter(event.user_id for event in events) == dict(frame["user_id"].value_counts().iter_rows())
