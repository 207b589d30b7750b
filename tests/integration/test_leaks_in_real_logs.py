"""Leaks, sought in real logs: outcomes that mean nothing, pooled over shops; and one future put in place of another."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import pytest

from streams.core.instants import parse_instant
from streams.replay.files import open_log
from streams.replay.sources import FileSource, Row, Source
from tests.support.offline_runs import PUBLISHED_MS, Body, SomeUsers, known_by, run_offline
from tests.support.permutations import Served, learnable, learned_and_served, permuted, ranking, with_leak
from tests.support.shared_logs import real_log

pytestmark = [pytest.mark.data, pytest.mark.long, pytest.mark.timeout(900)]

SHOPS: Final = {
    "cdnow": (90, 40, "1998-01-31"),
    "online_retail_2011": (60, 12, "2011-11-30"),
    "complete_journey_dev": (30, 8, "2017-12-15"),
}
"""Horizon in days, one user in how many, and the end."""
MOST_ERRORS: Final = 4.0
FEW_LABELS: Final = 300


def some_of(name: str, one_user_in: int) -> SomeUsers:
    return SomeUsers(FileSource([open_log(real_log(name))], PUBLISHED_MS), one_user_in)


@pytest.fixture(scope="module")
def examples() -> dict[str, list[Body]]:
    found = {}
    for name, (horizon_days, one_user_in, until) in SHOPS.items():
        with pytest.MonkeyPatch.context() as patched:
            kept = run_offline(
                some_of(name, one_user_in),
                patched,
                horizon_days=horizon_days,
                until=parse_instant(until),
                only_examples=True,
            )
        found[name] = learnable(kept.examples)
    return found


def served(examples: dict[str, list[Body]], *, leak: bool = False) -> list[Served]:
    everything: list[Served] = []
    for name, bodies in examples.items():
        changed = permuted(bodies, 7)
        changed = with_leak(changed, 8) if leak else changed
        everything += learned_and_served(changed, SHOPS[name][0], name=name, min_labels=FEW_LABELS)
    return everything


def test_permuted_outcomes_of_three_shops_cannot_be_ranked(examples: dict[str, list[Body]]) -> None:
    found = ranking(served(examples))
    assert found.standard_error < 0.02
    assert abs(found.errors_from_half) <= MOST_ERRORS


def test_a_feature_that_knows_the_outcome_is_found_out_in_three_shops(examples: dict[str, list[Body]]) -> None:
    assert ranking(served(examples, leak=True)).errors_from_half > 3 * MOST_ERRORS


class OtherFuture:
    """A source whose rows after an instant are given to other users, a third of them lost, and prices changed."""

    def __init__(self, source: Source, after: int) -> None:
        self._source, self._after = source, after

    @property
    def total(self) -> int:
        return self._source.total

    def describe(self) -> list[Body]:
        return self._source.describe()

    def rows(self) -> Iterator[Row]:
        dice = random.Random(1)
        users: dict[str, None] = {}
        for row in self._source.rows():
            if row.ts_ms is None or row.ts_ms <= self._after:
                users[str(row.raw.get("user_id"))] = None
                yield row
            elif dice.random() < 0.7:
                somebody = dice.choice([*list(users)[:200], "a stranger"])
                yield row._replace(raw={**row.raw, "user_id": somebody, "price": dice.random() * 100})


def test_another_future_of_a_real_shop_changes_nothing_that_was_told_scored_or_learned_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instant = parse_instant("2011-07-15T11:20:00Z")
    assert instant is not None
    until = parse_instant("2011-08-15")
    sources = (some_of("online_retail_2011", 16), OtherFuture(some_of("online_retail_2011", 16), instant))
    runs = [run_offline(source, monkeypatch, horizon_days=60, until=until, min_labels=FEW_LABELS) for source in sources]
    true, other = (known_by(kept, instant) for kept in runs)
    assert len(true["cuts"]) > 40
    assert sum(b'"cold_start":false' in line for line in true["churn-risk"]) > 100
    assert true == other
    assert runs[0].everything() != runs[1].everything()
