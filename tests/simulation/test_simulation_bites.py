"""The simulation bites: with any one protection switched off, some schedule of a few breaks a promise."""

from __future__ import annotations

import pytest

from tests.simulation.checks import broken
from tests.simulation.seeds import case, fault_free, verdict
from tests.simulation.without import OFF, without
from tests.simulation.world import simulate

FROM = {
    "fence": 5,
    "gap": 5,
    "rewriting": 13,
    "a key for each fence": 5,
    "applied offsets": 54,
    "changelog before the local copy": 82,
    "changelog before the ack": 0,
    "outputs before the ack": 4,
    "a tally beside each profile": 230,
    "partition record": 12,
}
"""Where to begin to look, by protection; each is found within a few seeds from there."""
MOST = 40


def first_broken(protection: str) -> int | None:
    """The first seed that breaks a promise without the protection."""
    for seed in range(FROM[protection], FROM[protection] + MOST):
        tried = case(seed)
        reference = fault_free(tried.log)
        with without(protection):
            outcome = simulate(tried.seed, tried.log, tried.schedule)
        if broken(outcome, reference, tried.log):
            return seed
    return None


@pytest.mark.parametrize("protection", OFF)
def test_without_a_protection_some_schedule_breaks_a_promise_that_it_kept(protection: str) -> None:
    seed = first_broken(protection)
    assert seed is not None
    assert verdict(case(seed))[0] == []
