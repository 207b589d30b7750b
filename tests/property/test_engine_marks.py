"""Folding again from a mark gives what folding again from the settled state gives, message for message."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core import profile as profiles
from streams.core.events import DAY_MS, Event
from streams.core.ports import Cut
from tests.support.partition_runs import PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.worlds import START, Shape, arrival, at_offsets, click, purchase, search, world

NEVER = 1 << 60


class CutsThatCome:
    """A cut that serves every instant as soon as it has come, and thinks otherwise than the one before."""

    def __init__(self) -> None:
        self.come = 0

    def cut_at(self, instant_ms: int) -> tuple[Cut, bool]:
        return FixedScorer((0.05, 0.95)[self.come % 2], version=f"cut-{self.come}"), False


def told(arrivals: list[Event], mark_every: int, slices: int, *, cuts_come: bool = False) -> tuple[object, ...]:
    """Everything a run leaves behind, with a mark after so many events; maybe a cut comes with each slice."""
    cuts = CutsThatCome()
    run = PartitionRun(cuts if cuts_come else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "MARK_EVERY", mark_every)
        for at in range(0, len(arrivals), slices):
            run.feed(arrivals[at : at + slices])
            cuts.come += 1
        facts, stored = run.facts.copy(), dict(run.store)
        run.close(max(event.ts for event in arrivals) + 40 * DAY_MS)
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


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.sampled_from((1, 3)), st.sampled_from((1, 4)))
def test_scores_up_to_a_mark_are_taken_again_where_their_cut_has_come_since(
    dice: random.Random, every: int, slices: int
) -> None:
    arrivals = at_offsets(arrival(dice.choice, world(dice.choice, Shape(users=("ada",), most=60, close=True))))
    assert told(arrivals, every, slices, cuts_come=True) == told(arrivals, NEVER, slices, cuts_come=True)


@pytest.mark.parametrize("seed", range(3))
def test_marks_change_nothing_for_a_hot_user_whose_open_events_settle_early(seed: int) -> None:
    dice = random.Random(seed)
    makers = [click] * 12 + [search] * 6 + [purchase]
    events = [
        dice.choice(makers)(START + n * 40 + dice.randrange(4_000), event_id=f"{dice.randrange(10**9)}")
        for n in range(420)
    ]
    assert told(at_offsets(events), 32, 50) == told(at_offsets(events), NEVER, 50)
