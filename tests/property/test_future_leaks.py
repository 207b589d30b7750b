"""Nothing as of an instant depends on what happens after it: not a feature, not a score, not a weight.

Two logs that are equal up to T and arbitrary afterwards, through the whole offline run, compared byte for byte; and
through the engine alone where the events around T arrive in another order.
"""

from __future__ import annotations

import random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.core.cleaning import clean, cleaning_policy
from streams.core.engine import GRACE_MS, PartitionEngine
from streams.core.events import DAY_MS, HOUR_MS, Event, Position
from streams.core.ports import Example
from streams.policies.reader import read_policy
from tests.support.backfills import shop_rows
from tests.support.offline_runs import KINDS, PUBLISHED_MS, Body, Kept, ListedRows, known_by, run_offline
from tests.support.scorers import DailyCuts

HORIZON_DAYS: Final = 7
DAYS: Final = 42
FEW_LABELS: Final = 15
ROWS: Final = shop_rows(seed=11, users=45, days=DAYS)
BEGIN: Final = ROWS[0]["ts"]


def in_order(rows: list[Body]) -> list[Body]:
    return sorted(rows, key=lambda row: (row["ts"], KINDS[row["event_type"]]))


def another_future(rows: list[Body], after: int, seed: int, kind: str) -> list[Body]:
    """The rows up to an instant as they are, and afterwards something else."""
    dice = random.Random(seed)
    past, future = [row for row in rows if row["ts"] <= after], [row for row in rows if row["ts"] > after]
    match kind:
        case "nothing":
            future = []
        case "other users":
            users = sorted({row["user_id"] for row in rows})
            shuffled = dict(zip(users, dice.sample(users, len(users)), strict=True))
            future = [{**row, "user_id": shuffled[row["user_id"]]} for row in future]
        case "another shop":
            future = [row for row in shop_rows(seed=seed, users=30, days=DAYS) if row["ts"] > after]
        case "other prices and some rows less":
            future = [
                {**row, **({"price": dice.random() * 1e4, "quantity": dice.randrange(-2, 9)} if "price" in row else {})}
                for row in future
                if dice.random() < 0.7
            ]
        case "at once":
            future = [{**row, "ts": after + 1 + number} for number, row in enumerate(future)]
    return in_order([*past, *future])


FUTURES: Final = ("nothing", "other users", "another shop", "other prices and some rows less", "at once")


@pytest.fixture(scope="module")
def whole() -> Kept:
    with pytest.MonkeyPatch.context() as patched:
        return run_offline(ListedRows(ROWS), patched, horizon_days=HORIZON_DAYS, min_labels=FEW_LABELS)


def test_the_small_shop_is_scored_by_a_warm_model_and_cut_daily(whole: Kept) -> None:
    parts = known_by(whole, BEGIN + 40 * DAY_MS)
    assert len(parts["cuts"]) > 25
    assert len(parts["training-examples"]) > 50
    assert sum(b'"cold_start":false' in line for line in parts["churn-risk"]) > 30
    assert any(body["features"] is not None for body in parts["training-examples"])


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.integers(BEGIN + 20 * DAY_MS, BEGIN + DAYS * DAY_MS),
        st.sampled_from([row["ts"] for row in ROWS if row["ts"] > BEGIN + 20 * DAY_MS]),
        st.integers(21 * 24, DAYS * 24).map(lambda hour: BEGIN // DAY_MS * DAY_MS + hour * HOUR_MS),
    ),
    st.sampled_from(FUTURES),
    st.integers(0, 1_000),
)
def test_another_future_changes_nothing_that_was_told_scored_or_learned_by_then(
    monkeypatch: pytest.MonkeyPatch, whole: Kept, instant: int, kind: str, seed: int
) -> None:
    rows = another_future(ROWS, instant, seed, kind)
    changed = run_offline(ListedRows(rows), monkeypatch, horizon_days=HORIZON_DAYS, min_labels=FEW_LABELS)
    assert known_by(changed, instant) == known_by(whole, instant)


def test_a_run_until_an_instant_ends_with_the_same_profiles_scores_and_models_whatever_comes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instant = BEGIN + 33 * DAY_MS + 5 * HOUR_MS
    ends = {
        "horizon_days": HORIZON_DAYS,
        "min_labels": FEW_LABELS,
        "until": instant,
        "score_at": (instant,),
        "look_back_days": DAYS,
    }
    expected = run_offline(ListedRows(ROWS), monkeypatch, **ends)
    changed = run_offline(ListedRows(another_future(ROWS, instant, 5, "another shop")), monkeypatch, **ends)
    assert changed.documents["summary.json"]["hashes"] == expected.documents["summary.json"]["hashes"]
    assert changed.everything() == expected.everything()


def test_a_change_before_the_instant_is_seen(monkeypatch: pytest.MonkeyPatch, whole: Kept) -> None:
    """The comparison is not blind."""
    instant = BEGIN + 33 * DAY_MS
    rows = another_future(ROWS, instant - 12 * DAY_MS, 5, "other prices and some rows less")
    changed = run_offline(ListedRows(rows), monkeypatch, horizon_days=HORIZON_DAYS, min_labels=FEW_LABELS)
    expected = known_by(whole, instant)
    differing = {name for name, part in known_by(changed, instant).items() if part != expected.get(name)}
    assert differing >= {"churn-risk", "training-examples", "cuts"}


# -- out of order ------------------------------------------------------------------------------------------------------


def events_of(rows: list[Body]) -> list[Event]:
    """Clean events, each named after what it is, so that another order names them alike."""
    policy = cleaning_policy(read_policy(None))
    events = []
    for raw in rows:
        name = f"{raw['user_id']}-{raw['ts']}-{raw['event_type']}"
        cleaned = clean(
            raw,
            KINDS[raw["event_type"]],
            position=Position("", 0, -1),
            record_id=name,
            published_ms=PUBLISHED_MS,
            policy=policy,
            from_file=True,
        )
        assert isinstance(cleaned, Event)
        events.append(cleaned)
    return events


def settled_at(events: list[Event], instant: int) -> tuple[dict[str, bytes | None], dict[str, tuple[Any, ...]]]:
    """Settled states as of an instant, and the features and outcome of every label decided by then."""
    engine = PartitionEngine(read_policy(None), {}, horizon_days=HORIZON_DAYS, mode="replay", redelivered=False)
    examples: list[Example] = []
    for event in events:
        examples += engine.process([event], DailyCuts()).examples
    examples += engine.advance(instant, DailyCuts(), watermark=instant + 1).examples
    users = {event.user_id for event in events if event.ts <= instant}
    learned = {one.id: (one.as_of_ms, one.outcome, one.features) for one in examples if one.label_ms <= instant}
    return {user: engine.settled(user) for user in users}, learned


@settings(max_examples=3)
@given(
    st.integers(BEGIN + 20 * DAY_MS, BEGIN + DAYS * DAY_MS), st.sampled_from(FUTURES), st.randoms(use_true_random=False)
)
def test_what_comes_later_but_arrives_sooner_leaves_settled_states_features_and_labels_alone(
    instant: int, kind: str, dice: random.Random
) -> None:
    past = events_of([row for row in ROWS if row["ts"] <= instant])
    rows = another_future(ROWS, instant, dice.randrange(1_000), kind)
    soon = [row for row in rows if instant < row["ts"] <= instant + GRACE_MS]
    soon += [{**row, "ts": instant + 1 + dice.randrange(GRACE_MS)} for row in rows if row["ts"] > instant][:40]
    events = [*past, *events_of(soon)]
    arrivals = {id(event): event.ts + dice.randrange(GRACE_MS + 1) for event in events}
    shuffled = sorted(events, key=lambda event: arrivals[id(event)])
    assert settled_at(shuffled, instant) == settled_at(past, instant)
