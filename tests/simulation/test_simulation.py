"""Seeded schedules of faults against the real owners, engine and effects: what is promised holds in all of them."""

from __future__ import annotations

import pytest

from tests.simulation.event_log import event_log
from tests.simulation.faults import Fault
from tests.simulation.parts import run
from tests.simulation.report import told
from tests.simulation.seeds import Case, case, verdict
from tests.simulation.shrink import shortest
from tests.simulation.world import simulate

PARTS = [range(first, first + 40) for first in range(0, 160, 40)]


@pytest.mark.parametrize("seeds", PARTS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_every_promise_is_kept_under_every_schedule(seeds: range) -> None:
    part = run(seeds)
    assert not part.failed, "\n".join(told(shortest(case(part.failed[0])), case(part.failed[0])))
    assert part.figures.faults.total() > len(seeds)


def test_the_same_seed_takes_the_same_course_twice() -> None:
    tried = case(7)
    first, second = (simulate(tried.seed, tried.log, tried.schedule) for _ in range(2))
    assert (first.story, first.turns, first.settled) == (second.story, second.turns, second.settled)


@pytest.mark.parametrize("seed", [20830, 21301])
def test_a_run_is_not_over_while_an_ack_is_awaited(seed: int) -> None:
    assert verdict(case(seed))[0] == []  # the last ack is lost: whoever waits for it ends, and another says the rest


@pytest.mark.parametrize("worker", [0, 1, 2])
def test_a_crash_at_each_await_of_the_order_of_effects_is_harmless(worker: int) -> None:
    log = event_log(1)
    steps = ("outputs.send", "outputs.acked", "changelog.send", "changelog.acked", "store.before", "store.after", "ack")
    for step in (*steps, "mark.send", "mark.acked", "commit", "fence.send", "fence.acked", "restore", "release"):
        for wire in ("all", "some", "none"):
            twice = tuple(Fault(at_s, "crash", worker, step, wire=wire) for at_s in (0.6, 1.6))
            tried = Case(1, log, twice)
            assert verdict(tried)[0] == [], (step, wire)
