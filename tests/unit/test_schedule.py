"""Which scheduled scores are learned from, and which of those champion and challenger are compared on."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streams.core.events import DAY_MS
from streams.core.hashing import stable_hash
from streams.core.schedule import WEEK_MS, next_slot, sampled, spaced

WEEKS = 500
START = 1_600_000_000_000
USERS = [stable_hash(f"user {number}") for number in range(60)]
HORIZONS = [1, 7, 8, 14, 30, 60, 90, 400]


def slots(user_hash: int) -> list[int]:
    """The user's weekly scores from some day on."""
    return [next_slot(START, user_hash) + week * WEEK_MS for week in range(WEEKS)]


def taken(user_hash: int, days: int) -> list[int]:
    return [at for at in slots(user_hash) if spaced(user_hash, at, days * DAY_MS)]


@pytest.mark.parametrize("days", HORIZONS)
def test_no_two_spaced_scores_of_a_user_lie_within_one_horizon(days: int) -> None:
    assert all(later - at >= days * DAY_MS for user in USERS for at, later in pairwise(taken(user, days)))


@pytest.mark.parametrize("days", HORIZONS)
def test_a_spaced_score_is_a_sampled_one(days: int) -> None:
    assert all(sampled(user, at) for user in USERS for at in taken(user, days))


def test_within_a_week_every_sampled_score_is_spaced() -> None:
    assert all(taken(user, 7) == [at for at in slots(user) if sampled(user, at)] for user in USERS)


@pytest.mark.parametrize(("days", "one_in"), [(30, 12.1), (60, 17.0), (90, 21.9)])
def test_the_share_of_spaced_scores_is_what_the_cycle_yields(days: int, one_in: float) -> None:
    """By hand: with an open part of g of c slots, one in 4 sampled, (1 - 0.75^g) / c; 30 d: 0.578 / 7."""
    found = sum(len(taken(user, days)) for user in USERS)
    assert found / (WEEKS * len(USERS)) == pytest.approx(1 / one_in, rel=0.06)


def test_users_stand_at_different_places_of_the_cycle() -> None:
    """Else some weeks of the shop would bring all the evidence, and others none."""
    per_week = [0] * WEEKS
    for user in USERS:
        first = next_slot(START, user)
        for at in taken(user, 90):
            per_week[(at - first) // WEEK_MS] += 1
    cycle = [sum(per_week[place::19]) for place in range(19)]
    assert min(cycle) > 0.5 * sum(cycle) / 19
