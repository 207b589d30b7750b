"""Open events that were packed one by one are stored as a plain list of them would be."""

from __future__ import annotations

import random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import profile as profiles
from streams.core.events import Event
from streams.core.stored_profile import read_header, repacked, unpack_profile
from tests.support.partition_runs import PartitionRun
from tests.support.worlds import Shape, arrival, at_offsets, click, world


def stored(arrivals: list[Event], pack_from: int) -> list[dict[str, bytes]]:
    """What is stored after each event, where so many open events are packed one by one."""
    run = PartitionRun()
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "PACK_FROM", pack_from)
        for event in arrivals:
            run.feed([event])
            steps.append(dict(run.store))
    return steps


@given(st.randoms(use_true_random=False))
def test_every_value_is_the_same_whether_events_are_packed_one_by_one_or_together(dice: random.Random) -> None:
    arrivals = at_offsets(arrival(dice.choice, world(dice.choice, Shape(users=("ada", "bob"), most=60, close=True))))
    assert stored(arrivals, 0) == stored(arrivals, 1 << 60)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 255, 65_535, 65_536])
def test_any_number_of_packed_events_is_read_back_as_those_events(count: int) -> None:
    event = click(1_700_000_000_000)
    packed = profiles._raw(event)
    run = PartitionRun()
    run.feed([event])
    whole = unpack_profile(run.store["u"])
    whole.open = cast(list[Event], [packed] * count)
    value = repacked(whole, read_header(run.store["u"]), writer=0)
    assert unpack_profile(value).open == [event] * count
