"""Simulated years: whoever is not better hardly ever takes over, and whoever is better does."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from tests.support.contests import NEVER, Model, Shop, at_most, daily_means, takeover_days

NOISY: Final = Model(of_user=0.5)
"""Half a logit of error that stays with a user: two such models differ by 0.33 nats on one example."""
EXCHANGEABLE: Final = {
    "two of the same kind": (Shop(50), NOISY, (NOISY,)),
    "three challengers": (Shop(50), NOISY, (NOISY, NOISY, NOISY)),
    "a small shop": (Shop(5), NOISY, (NOISY,)),
    "a large shop": (Shop(150), NOISY, (NOISY,)),
    "strong noise, and habits that no model knows": (
        Shop(50, hidden=1.5),
        Model(of_user=1.0),
        (Model(of_user=1.0),),
    ),
    "nearly the same model": (Shop(50), Model(), (Model(of_moment=0.01),)),
    "equally good, the noise of one half the users": (Shop(50), NOISY, (Model(of_user=0.69, share=0.5),)),
    "equally good, the noise drawn anew each time": (Shop(50), NOISY, (Model(of_moment=0.5),)),
}
BETTER: Final = (0.25, 0.5, 1.0)
"""Error that the champion has and the challenger has not, in logits."""


def takeovers(case: str, years: int, seed: int) -> int:
    shop, champion, challengers = EXCHANGEABLE[case]
    means = daily_means(shop, champion, challengers, years=years, days=365, seed=seed)
    return int(np.count_nonzero(takeover_days(means) != NEVER))


def test_among_equals_nobody_takes_over_in_a_hundred_years() -> None:
    assert takeovers("two of the same kind", 100, seed=1) == 0


def test_a_challenger_without_the_error_of_the_champion_takes_over() -> None:
    means = daily_means(Shop(50), Model(of_moment=1.0), (Model(),), years=20, days=365, seed=2)
    assert takeover_days(means).max() < 365


@pytest.mark.long
@pytest.mark.parametrize("case", EXCHANGEABLE)
def test_false_takeovers_are_at_most_one_in_a_hundred_years(case: str) -> None:
    """Not only the share: its 95 % confidence bound is at most 1 %."""
    years = 2_000 if case in ("two of the same kind", "strong noise, and habits that no model knows") else 500
    assert at_most(0.01, takeovers(case, years, seed=7), years) < 0.05


@pytest.mark.long
@pytest.mark.parametrize("error", BETTER)
def test_a_truly_better_challenger_always_wins(error: float) -> None:
    means = daily_means(Shop(50), Model(of_moment=error), (Model(),), years=40, days=1_200, seed=11)
    assert takeover_days(means).max() < 1_200


def test_few_hits_refute_a_share_and_many_do_not() -> None:
    """By hand: none of 300 at 1 % is 0.99^300 = 0.049."""
    assert at_most(0.01, 0, 300) == pytest.approx(0.99**300)
