"""The contest against the book: exact fractions, any order within a day, any restart."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contest import BOUND, ENOUGH, FULL_DAY, Contest
from models.eprocess import AT_ONCE, HALF_BEGUN, STAKES, EProcess
from tests.support.contests import NEVER, takeover_days

DAY: Final = 86_400_000
NAMES: Final = ("plain", "sharp", "third")

Row = tuple[int, tuple[float, ...], bool, bool]
"""label_ms, what each learner gave, outcome, spaced."""

observations = st.lists(st.floats(-1.0, 1.0), max_size=12)
probabilities = st.floats(0.0, 1.0)


@st.composite
def logs(draw: st.DrawFn, *, late: bool = False) -> list[Row]:
    """Examples of some days, in the order of their labels, or out of it."""
    times = draw(st.lists(st.integers(0, 6 * DAY), max_size=25))
    if not late:
        times.sort()
    return [
        (at, draw(st.tuples(*[probabilities] * len(NAMES))), draw(st.booleans()), draw(st.integers(0, 3)) > 0)
        for at in times
    ]


def fed(contest: Contest, rows: list[Row]) -> list[dict[str, Any]]:
    """The events of some examples."""
    return [
        event
        for at, given_, outcome, spaced in rows
        for event in contest.observe(at, dict(zip(NAMES, given_, strict=True)), outcome, spaced=spaced)
    ]


def wealth_by_the_book(bets: list[float]) -> Fraction:
    """Every stake and every beginning multiplied out on its own, in fractions."""

    def waiting(days: int) -> Fraction:
        return (1 - Fraction(AT_ONCE)) / (1 + Fraction(days, HALF_BEGUN))

    total = waiting(len(bets))
    for stake, share in STAKES:
        for begin in range(len(bets) + 1):
            part = Fraction(AT_ONCE) if begin == 0 else waiting(begin - 1) - waiting(begin)
            total += Fraction(share) * part * math.prod(1 + Fraction(stake) * Fraction(bet) for bet in bets[begin:])
    return total


@given(observations)
def test_wealth_is_what_fractions_say(bets: list[float]) -> None:
    process = EProcess()
    for bet in bets:
        process.update(bet)
    assert process.value == pytest.approx(float(wealth_by_the_book(bets)), rel=1e-12)


@given(observations)
def test_a_fair_coin_leaves_the_wealth_as_it_is_on_average(bets: list[float]) -> None:
    """What makes it evidence: over an observation and its opposite, equally likely, nothing is won or lost."""
    if bets:
        after = [wealth_by_the_book([*bets[:-1], last]) for last in (bets[-1], -bets[-1])]
        assert sum(after) / 2 == wealth_by_the_book(bets[:-1])


@given(observations, st.integers(0, 12))
def test_an_e_process_goes_on_from_its_state_to_the_bit(bets: list[float], at: int) -> None:
    whole, first = EProcess(), EProcess()
    for bet in bets:
        whole.update(bet)
    for bet in bets[:at]:
        first.update(bet)
    second = EProcess.from_state(json.loads(json.dumps(first.state())))
    for bet in bets[at:]:
        second.update(bet)
    assert second.state() == whole.state()


@given(logs(late=True), st.integers(0, 25))
def test_a_contest_goes_on_from_its_state_to_the_bit(rows: list[Row], at: int) -> None:
    whole, first = Contest(NAMES, "plain"), Contest(NAMES, "plain")
    events = fed(whole, rows)
    before = fed(first, rows[:at])
    second = Contest.from_state(NAMES, json.loads(json.dumps(first.state())))
    assert (before + fed(second, rows[at:]), second.state()) == (events, whole.state())


@given(logs(), st.randoms(use_true_random=False))
def test_the_order_within_a_day_does_not_matter(rows: list[Row], random: Any) -> None:
    shuffled = rows[:]
    random.shuffle(shuffled)
    shuffled.sort(key=lambda row: -(-row[0] // DAY))
    one, other = Contest(NAMES, "plain"), Contest(NAMES, "plain")
    assert fed(one, rows) == fed(other, shuffled)
    assert one.state() == other.state()


@given(logs())
def test_closing_a_day_early_or_by_its_next_example_is_the_same(rows: list[Row]) -> None:
    closed, left = Contest(NAMES, "plain"), Contest(NAMES, "plain")
    for row in rows:
        closed.close(row[0] // DAY * DAY if row[0] % DAY else row[0] - 1)
        fed(closed, [row])
        fed(left, [row])
    closed.close(7 * DAY)
    left.close(7 * DAY)
    assert closed.state() == left.state()


@given(logs())
def test_examples_that_are_not_spaced_are_no_evidence(rows: list[Row]) -> None:
    with_, without = Contest(NAMES, "plain"), Contest(NAMES, "plain")
    fed(with_, rows)
    fed(without, [row for row in rows if row[3]])
    assert with_.state() == without.state()


@given(st.integers(0, 2**32 - 1))
def test_the_simulations_do_what_the_contest_does(seed: int) -> None:
    """The arithmetic over all simulated years at once takes over on the very day that the contest does."""
    rng = np.random.default_rng(seed)
    given_ = rng.uniform(0.02, 0.98, (60, 4, len(NAMES)))
    given_[:, :, 1] = 0.5 + 0.5 * rng.uniform(0.0, 1.0)
    contest, means, found = Contest(NAMES, "plain"), np.zeros((1, 2, 60)), NEVER
    for day in range(60):
        for row in given_[day]:
            for copy in range(-(-FULL_DAY // 4) + 2):
                at = day * DAY + 1 + copy
                contest.observe(at, dict(zip(NAMES, map(float, row), strict=True)), True, spaced=True)
        loss = -np.log(given_[day]), -np.log(1 - given_[day])
        for n in (0, 1):
            true, false = (part[:, 0] - part[:, n + 1] for part in loss)
            means[0, n, day] = np.mean(true / np.maximum(BOUND, np.maximum(abs(true), abs(false))))
        if contest.close((day + 1) * DAY):
            found = day + 1
            break
    assert takeover_days(means[:, :, : min(found, 60)])[0] == found


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2), st.booleans())
def test_no_example_counts_for_more_than_one(given_: list[float], outcome: bool) -> None:
    contest = Contest(NAMES[:2], "plain")
    for at in range(1_000):
        contest.observe(at + 1, dict(zip(NAMES[:2], given_, strict=True)), outcome, spaced=True)
    contest.close(DAY)
    if contest.champion == "plain":
        assert contest.evidence()["sharp"]["e_value"] <= 1.4 < ENOUGH
