"""Folding again from a mark gives what folding again from the settled state gives, message for message."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core import profile as profiles
from streams.core.events import DAY_MS, Event
from tests.support.partition_runs import PartitionRun
from tests.support.worlds import START, Shape, arrival, at_offsets, click, purchase, search, world

NEVER = 1 << 60


def told(arrivals: list[Event], mark_every: int, slices: int) -> tuple[object, ...]:
    """Everything a run leaves behind, with a mark after so many events."""
    kept = profiles.MARK_EVERY
    profiles.MARK_EVERY = mark_every  # type: ignore[misc]
    try:
        run = PartitionRun()
        for at in range(0, len(arrivals), slices):
            run.feed(arrivals[at : at + slices])
        facts, stored = run.facts.copy(), dict(run.store)
        run.close(max(event.ts for event in arrivals) + 40 * DAY_MS)
    finally:
        profiles.MARK_EVERY = kept  # type: ignore[misc]
    outputs = [(output.topic, output.id, output.body) for output in run.outputs]
    return outputs, run.examples, facts, stored, dict(run.store)


@pytest.mark.parametrize("shape", [Shape(users=("ada",), most=60, close=True), Shape(users=("ada", "bob"), most=40)])
@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.sampled_from((1, 2, 3)), st.sampled_from((1, 4, 100)))
def test_marks_change_nothing_in_any_world_out_of_order(
    shape: Shape, dice: random.Random, every: int, slices: int
) -> None:
    arrivals = at_offsets(arrival(dice.choice, world(dice.choice, shape)))
    assert told(arrivals, every, slices) == told(arrivals, NEVER, slices)


@pytest.mark.parametrize("seed", range(3))
def test_marks_change_nothing_for_a_hot_user_whose_open_events_settle_early(seed: int) -> None:
    dice = random.Random(seed)
    makers = [click] * 12 + [search] * 6 + [purchase]
    events = [
        dice.choice(makers)(START + n * 40 + dice.randrange(4_000), event_id=f"{dice.randrange(10**9)}")
        for n in range(420)
    ]
    assert told(at_offsets(events), 32, 50) == told(at_offsets(events), NEVER, 50)
