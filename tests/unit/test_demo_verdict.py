"""The verdict against the truth, by hand: who is ranked, who is caught, how early, and what chance would do."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest

from streams.core.events import DAY_MS
from streams.demo.books import books, deeds
from streams.demo.customers import Archetype, Season, UserTruth
from streams.demo.shop import Shop, Truth
from streams.demo.state import DemoState, Told
from streams.demo.story import story, typical
from streams.demo.verdict import limits, rankings, verdict
from streams.demo.view import Progress
from tests.support.demo_messages import letter, portrait

_seq = count()


def stage(user: str, day: float, name: str) -> Told:
    return Told(round(day * DAY_MS), next(_seq), user, name, None)


def score(user: str, day: float, probability: float, *reasons: str) -> Told:
    return Told(round(day * DAY_MS), next(_seq), user, None, probability, reasons)


def crowd(number: int, day: float = 0.5) -> list[Told]:
    """Customers r00, r01, ... who ordered twice or more, the risk rising with the number."""
    told = [stage(f"r{n:02d}", day, "loyal") for n in range(number)]
    return told + [score(f"r{n:02d}", day, n / 100) for n in range(number)]


def until(day: float) -> list[Told]:
    return [stage("clock", day, "visitor")]


def test_the_top_decile_is_the_riskiest_tenth() -> None:
    (ranking,) = rankings(crowd(20) + until(1))
    assert ranking.top == {"r18", "r19"}
    assert len(ranking.ranked) == 20


def test_there_is_a_ranking_at_every_midnight() -> None:
    assert [each.at_ms // DAY_MS for each in rankings(crowd(10) + until(3.5))] == [1, 2, 3]


def test_a_ranking_knows_nothing_of_what_is_told_later() -> None:
    later = [score("r00", 1.1, 0.99)]
    first, second = rankings(crowd(10) + later + until(2))
    assert first.top == {"r09"}
    assert second.top == {"r00"}


def test_less_than_ten_are_not_ranked() -> None:
    assert rankings(crowd(9) + until(1)) == []


def test_who_ordered_once_is_not_ranked() -> None:
    (ranking,) = rankings([*crowd(10), stage("new", 0.5, "new_customer"), score("new", 0.6, 0.99), *until(1)])
    assert "new" not in ranking.ranked


def test_who_is_past_the_limit_is_not_ranked_until_an_order() -> None:
    told = [*crowd(11), stage("r10", 0.7, "churned"), stage("r10", 1.7, "reactivated"), *until(2)]
    first, second = rankings(told)
    assert "r10" not in first.ranked
    assert "r10" in second.ranked


def test_the_limit_is_when_somebody_churned_for_good() -> None:
    told = [
        stage("ann", 5, "churned"),
        stage("ann", 6, "reactivated"),
        stage("ann", 40, "churned"),
        stage("ben", 5, "churned"),
        stage("ben", 9, "reactivated"),
        stage("cat", 5, "churned"),
        stage("cat", 90, "dormant"),
    ]
    assert limits(told) == {"ann": 40 * DAY_MS, "cat": 5 * DAY_MS}


def truth(slips: dict[str, float], regulars: int) -> Truth:
    users = {name: UserTruth(name, Archetype.SLIPPING, round(day * DAY_MS), (0,)) for name, day in slips.items()}
    users |= {f"r{n:02d}": UserTruth(f"r{n:02d}", Archetype.REGULAR, None, (0,)) for n in range(regulars)}
    return Truth(Season(0, 100 * DAY_MS, 0, 0), users, Counter(), 0)


def slipping(user: str, *, caught: float | None, limit: float) -> list[Told]:
    told = [stage(user, 0.5, "loyal"), score(user, 0.5, 0.001), stage(user, limit, "churned")]
    return told if caught is None else [*told, score(user, caught, 0.99)]


def test_a_catch_is_the_first_midnight_in_the_top_decile() -> None:
    told = crowd(15) + slipping("s", caught=9.5, limit=30) + until(40)
    found = verdict(truth({"s": 5}, 15), told)
    assert [(catch.caught_ms, catch.limit_ms) for catch in found.catches] == [(10 * DAY_MS, 30 * DAY_MS)]
    assert found.median_days_before == 20


def test_standing_there_before_slipping_is_no_catch() -> None:
    told = crowd(15) + slipping("s", caught=2.5, limit=30) + [score("s", 4, 0.001)] + until(40)
    found = verdict(truth({"s": 5}, 15), told)
    assert found.caught == ()
    assert found.median_days_before is None


def test_who_never_stood_there_was_missed() -> None:
    told = crowd(15) + slipping("s", caught=None, limit=30) + until(40)
    found = verdict(truth({"s": 5}, 15), told)
    assert (len(found.catches), len(found.caught)) == (1, 0)


def test_who_did_not_pass_the_limit_is_not_judged() -> None:
    told = [*crowd(15), stage("s", 0.5, "loyal"), score("s", 6, 0.99), *until(40)]
    found = verdict(truth({"s": 5}, 15), told)
    assert (found.slipping, found.catches, found.too_early) == (1, (), 0)


def test_a_limit_before_the_first_ranking_is_counted_apart() -> None:
    told = [*crowd(15, day=20.5), stage("s", 0.5, "loyal"), stage("s", 12, "churned"), *until(40)]
    found = verdict(truth({"s": 5}, 15), told)
    assert (found.too_early, found.catches, found.since_ms) == (1, (), 21 * DAY_MS)


def test_chance_is_the_share_of_regulars_in_the_top_decile_over_the_same_days() -> None:
    told = crowd(15) + slipping("s", caught=None, limit=30) + until(40)
    found = verdict(truth({"s": 5}, 15), told)
    assert found.by_chance == pytest.approx(1 / 15)  # 16 are ranked, one of them in front: always r14


def test_chance_does_not_count_days_after_the_limit() -> None:
    told = crowd(15) + slipping("s", caught=None, limit=30) + [score("r00", 31, 0.99)] + until(40)
    assert verdict(truth({"s": 5}, 15), told).by_chance == pytest.approx(1 / 15)


def test_the_order_in_which_partitions_came_does_not_matter() -> None:
    told = crowd(15) + slipping("s", caught=9.5, limit=30) + until(40)
    assert verdict(truth({"s": 5}, 15), told) == verdict(truth({"s": 5}, 15), told[::-1])


def test_nothing_told_is_no_verdict() -> None:
    found = verdict(truth({"s": 5}, 15), [])
    assert (found.catches, found.by_chance, found.since_ms) == ((), None, None)


# -- one of them


def test_the_story_goes_from_slipping_to_the_limit() -> None:
    told = [
        *crowd(15),
        *slipping("s", caught=None, limit=30),
        score("s", 9.5, 0.99, "looks and does not buy"),
        stage("s", 20, "at_risk"),
        *until(40),
    ]
    catch = typical(verdict(truth({"s": 5}, 15), told))
    assert catch is not None
    section = story(catch, told)
    assert section.title == "One of them: s, caught 20 days before the limit"
    assert section.lines == [
        "1970-01-06  begins to slip, as only the simulator knows",
        "1970-01-11  in the top decile, probability 0.99",
        "1970-01-11    looks and does not buy",
        "1970-01-21  at_risk, probability 0.99 by now",
        "1970-01-31  churned, probability 0.99 by now",
    ]


def test_where_nobody_was_caught_there_is_no_story() -> None:
    assert typical(verdict(truth({}, 15), crowd(15) + until(2))) is None


# -- the books

SHOP = Shop(seed=3, days=40, users=60)


def kept() -> DemoState:
    """A state that found everything of the shop."""
    done, dirt = deeds(SHOP), SHOP.truth.dirt
    state = DemoState()
    state.apply([portrait("all", clicks=done.clicks, searches=done.searches, orders=done.orders)])
    reasons = {"missing_user": "missing_user", "negative_price": "bad_price", "not_json": "not_json"}
    offsets = count()
    state.apply([letter(code, next(offsets)) for fault, code in reasons.items() for _ in range(dirt[fault])])
    rejected = sum(dirt[fault] for fault in reasons)
    state.progress = Progress(
        accepted=SHOP.truth.records - rejected - dirt["duplicate"],
        duplicates=dirt["duplicate"],
        rejected=rejected,
        unknown_actions=dirt["unknown_action"],
    )
    return state


def test_the_books_of_a_faithful_reader_balance() -> None:
    assert all(entry.balanced for entry in books(SHOP, kept()))


def test_one_click_too_many_does_not_balance() -> None:
    state = kept()
    state.totals["all"]["clicks"] += 1
    assert [entry.name for entry in books(SHOP, state) if not entry.balanced] == ["clicks"]


def test_a_lost_dead_letter_does_not_balance() -> None:
    state = kept()
    state.dead_letters["missing_user"] -= 1
    wrong = [entry.name for entry in books(SHOP, state) if not entry.balanced]
    assert wrong == ["missing_user", "rejected, in all"]


def test_fewer_late_events_than_sent_are_in_order_and_more_are_not() -> None:
    state = kept()
    state.late = SHOP.truth.dirt["late"] + 1
    assert [entry.name for entry in books(SHOP, state) if not entry.balanced] == ["late by 25 min to 3 h"]


def test_deeds_are_those_of_the_truth() -> None:
    refunds = sum(
        1 for arrival in SHOP.arrivals() if isinstance(arrival.raw, dict) and arrival.raw.get("action") == "refund"
    )
    orders = sum(len(user.orders) for user in SHOP.truth.users.values())
    assert orders - refunds <= deeds(SHOP).orders <= orders
