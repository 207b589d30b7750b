"""Champion and challengers: who serves, on what evidence."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import pytest

from models.contest import FULL_DAY, Contest, bounded_difference
from models.eprocess import EProcess
from models.instants import instant_text

DAY: Final = 86_400_000


def day_of(contest: Contest, day: int, *, plain: float, sharp: float, users: int = FULL_DAY) -> list[dict[str, Any]]:
    """One day on which the outcome is always true."""
    given = {"plain": plain, "sharp": sharp}
    return [e for n in range(users) for e in contest.observe(day * DAY + 1 + n, given, True, spaced=True)]


def won(days: int = 60) -> tuple[Contest, list[dict[str, Any]]]:
    """A contest in which the challenger is always right, and its events."""
    contest = Contest(["plain", "sharp"], "plain", head="propensity")
    return contest, [event for day in range(days) for event in day_of(contest, day, plain=0.5, sharp=0.9)]


# -- the evidence ------------------------------------------------------------------------------------------------------


def test_an_e_process_starts_at_one() -> None:
    assert EProcess().value == pytest.approx(1.0, rel=1e-15)


def test_an_observation_beyond_the_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.0001 is not within -1 and 1"):
        EProcess().update(1.0001)


def test_decades_of_wins_do_not_overflow() -> None:
    process = EProcess()
    for _ in range(20_000):
        process.update(1.0)
    assert process.log_value > 6_000
    assert math.isfinite(process.value)


def test_what_turns_better_after_three_worse_years_is_seen_within_two_years() -> None:
    """All of the wealth lost would take as long to win back as it took to lose: three years."""
    process = EProcess()
    for _ in range(3 * 365):
        process.update(-0.05)
    days = 0
    while process.value < 100:
        process.update(0.05)
        days += 1
    assert days < 2 * 365


def test_a_difference_within_the_bound_is_counted_in_parts_of_it() -> None:
    """By hand: ln(0.55 / 0.5) = 0.0953; a false outcome would have made -ln(0.5 / 0.45) = -0.105; both below 0.25."""
    assert bounded_difference(0.5, 0.55, True) == pytest.approx(math.log(1.1) / 0.25)


def test_a_difference_beyond_the_bound_is_divided_by_the_larger_that_it_could_have_been() -> None:
    """By hand: ln(0.9 / 0.5) = 0.588; a false outcome would have made -ln(0.5 / 0.1) = -1.609."""
    assert bounded_difference(0.5, 0.9, True) == pytest.approx(math.log(1.8) / math.log(5))


def test_equally_good_on_average_scores_zero_on_average() -> None:
    """Where p makes both log losses equal in the mean, the bounded difference is nought in the mean as well."""
    champion, challenger = 0.2, 0.9
    if_true, if_false = math.log(challenger / champion), math.log((1 - challenger) / (1 - champion))
    p = if_false / (if_false - if_true)
    mean = p * bounded_difference(champion, challenger, True) + (1 - p) * bounded_difference(
        champion, challenger, False
    )
    assert mean == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("given", [(0.0, 1.0), (1.0, 0.0)])
def test_certain_and_wrong_stays_within_the_bounds(given: tuple[float, float]) -> None:
    assert abs(bounded_difference(*given, True)) == 1.0


# -- a takeover --------------------------------------------------------------------------------------------------------


def test_a_better_challenger_takes_over() -> None:
    contest, _ = won()
    assert contest.champion == "sharp"


def test_a_takeover_says_what_it_rests_on() -> None:
    _, (event,) = won()
    assert event["e_value"] >= event["needed"] == 100.0
    del event["e_value"], event["id"]
    days = event["days"]
    assert event == {
        "type": "takeover",
        "head": "propensity",
        "at": instant_text(days * DAY),
        "from": "plain",
        "to": "sharp",
        "needed": 100.0,
        "days": days,
        "examples": days * FULL_DAY,
        "log_loss": pytest.approx(-math.log(0.9), abs=1e-11),
        "champion_log_loss": pytest.approx(math.log(2), abs=1e-11),
        "better_by": pytest.approx(math.log(1.8), abs=1e-11),
    }


def test_a_takeover_comes_on_the_day_that_hand_arithmetic_names() -> None:
    """At x = 0.365 a day, the half of 1/2 staked at 0.4 grows by 1.146 a day; late beginnings and the smaller stakes
    add a little: 100 is passed between ln(100) / ln(1.146) = 33.8 days and that of 1/4 alone, 44."""
    _, (event,) = won()
    assert 34 <= event["days"] <= 44


def test_all_evidence_is_void_after_a_takeover() -> None:
    contest = Contest(["plain", "sharp"], "plain")
    day = 0
    while contest.champion == "plain":
        day_of(contest, day, plain=0.5, sharp=0.9)
        contest.close((day := day + 1) * DAY)
    case = contest.evidence()["plain"]
    assert [case[of] for of in ("e_value", "days", "examples")] == pytest.approx([1.0, 0.0, 0.0])


def test_the_former_champion_can_come_back() -> None:
    contest, _ = won()
    events = [event for day in range(60, 140) for event in day_of(contest, day, plain=0.9, sharp=0.5)]
    assert [(event["from"], event["to"]) for event in events] == [("sharp", "plain")]


def test_each_challenger_more_asks_for_more_evidence() -> None:
    assert Contest(["a", "b", "c", "d"], "b").enough == 300.0


def test_of_several_that_pass_the_strongest_takes_over() -> None:
    contest = Contest(["plain", "good", "better"], "plain")
    given = {"plain": 0.5, "good": 0.53, "better": 0.54}
    events = [
        event
        for day in range(70)
        for n in range(FULL_DAY)
        for event in contest.observe(day * DAY + 1 + n, given, True, spaced=True)
    ]
    assert [event["to"] for event in events] == ["better"]


def test_the_same_takeover_has_the_same_id_and_another_another() -> None:
    ids = {won()[1][0]["id"], won()[1][0]["id"]}
    other = Contest(["plain", "sharp"], "plain")
    ids |= {event["id"] for day in range(60) for event in day_of(other, day, plain=0.5, sharp=0.9)}
    assert len(ids) == 2


def test_a_lone_learner_is_never_replaced() -> None:
    contest = Contest(["plain"], "plain")
    assert [contest.observe(day * DAY, {"plain": 0.0}, True, spaced=True) for day in range(300)] == [[]] * 300


# -- days --------------------------------------------------------------------------------------------------------------


def test_a_label_at_midnight_belongs_to_the_day_that_ends() -> None:
    """As a cut at a midnight has learned the labels up to and with it."""
    contest = Contest(["plain", "sharp"], "plain")
    contest.observe(5 * DAY, {"plain": 0.5, "sharp": 0.9}, True, spaced=True)
    contest.close(5 * DAY)
    assert contest.evidence()["sharp"]["days"] == 1


def test_a_day_is_not_closed_before_it_ends() -> None:
    contest = Contest(["plain", "sharp"], "plain")
    contest.observe(5 * DAY + 1, {"plain": 0.5, "sharp": 0.9}, True, spaced=True)
    contest.close(6 * DAY - 1)
    assert contest.evidence()["sharp"]["days"] == 0


def test_days_without_examples_are_no_evidence() -> None:
    contest = Contest(["plain", "sharp"], "plain")
    for day in (0, 100):
        day_of(contest, day, plain=0.5, sharp=0.9, users=1)
    contest.close(200 * DAY)
    assert contest.evidence()["sharp"]["days"] == 2


def test_one_user_alone_counts_as_one_of_a_full_day() -> None:
    one, full = Contest(["plain", "sharp"], "plain"), Contest(["plain", "sharp"], "plain")
    day_of(one, 0, plain=0.01, sharp=0.99, users=1)
    day_of(full, 0, plain=0.01, sharp=0.99)
    for contest in (one, full):
        contest.close(DAY)
    gains = [contest.evidence()["sharp"]["e_value"] - 1.0 for contest in (one, full)]
    assert gains[1] == pytest.approx(FULL_DAY * gains[0])


def test_a_day_of_thousands_counts_as_one_day() -> None:
    many, full = Contest(["plain", "sharp"], "plain"), Contest(["plain", "sharp"], "plain")
    day_of(many, 0, plain=0.4, sharp=0.6, users=4_000)
    day_of(full, 0, plain=0.4, sharp=0.6)
    for contest in (many, full):
        contest.close(DAY)
    assert many.evidence()["sharp"]["e_value"] == full.evidence()["sharp"]["e_value"]


def test_an_example_of_a_day_that_has_ended_is_counted_and_no_evidence() -> None:
    contest = Contest(["plain", "sharp"], "plain")
    day_of(contest, 3, plain=0.5, sharp=0.9)
    contest.close(4 * DAY)
    before = contest.evidence()
    day_of(contest, 3, plain=0.5, sharp=0.9, users=1)
    day_of(contest, 1, plain=0.5, sharp=0.9, users=1)
    assert (contest.late, contest.evidence()) == (2, before)


# -- what is broken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -0.1, 1.1])
def test_a_learner_that_gives_no_probability_is_fatal(broken: float, spaced: bool) -> None:
    contest = Contest(["plain", "sharp"], "plain")
    with pytest.raises(ValueError, match="learner sharp of churn gave"):
        contest.observe(0, {"plain": 0.5, "sharp": broken}, True, spaced=spaced)


def test_a_learner_that_gives_nothing_is_fatal() -> None:
    with pytest.raises(ValueError, match="learner sharp of churn gave None"):
        Contest(["plain", "sharp"], "plain").observe(0, {"plain": 0.5}, True, spaced=True)


def test_a_foreign_champion_is_refused() -> None:
    with pytest.raises(ValueError, match="champion 'x' is none of plain, sharp"):
        Contest(["plain", "sharp"], "x")


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="named twice"):
        Contest(["plain", "plain"], "plain")


# -- restarts ----------------------------------------------------------------------------------------------------------


def test_among_other_learners_it_begins_anew_with_the_same_champion() -> None:
    contest, _ = won()
    state = json.loads(json.dumps(contest.state()))
    newer = Contest.from_state(["plain", "sharp", "newest"], state)
    assert newer.champion == "sharp"
    assert {name: case["examples"] for name, case in newer.evidence().items()} == {"plain": 0, "newest": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"champion": "x"},
        {"examples": -1},
        {"lost": None},
        {"challengers": None},
        {"challengers": {"plain": {"process": {"days": 1, "wealth": [0.0]}, "lost": 0, "won_today": 0}}},
        {"challengers": {"plain": {"process": {"days": 1, "wealth": [math.nan] * 4}, "lost": 0, "won_today": 0}}},
    ],
)
def test_a_state_that_does_not_hold_together_is_refused(change: dict[str, Any]) -> None:
    contest, _ = won()
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        Contest.from_state(["plain", "sharp"], {**contest.state(), **change})
