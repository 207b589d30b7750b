"""Propensity against a loop over all events: what was learned to have been bought, was."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.events import DAY_MS, MICRO, Event
from streams.core.propensity_features import unpacked
from tests.support.oracle import is_buying
from tests.support.partition_runs import POLICY, PartitionRun
from tests.support.scorers import DailyCuts
from tests.support.worlds import START, Shape, worlds

ANY = worlds() | worlds(Shape(users=("ada",), most=16)) | worlds(Shape(close=True, users=("ada",)))


def learned(events: list[Event], days: int) -> PartitionRun:
    run = PartitionRun(DailyCuts(warm_from=START + 3 * DAY_MS), propensity_days=days)
    run.feed(events)
    run.close(max(event.ts for event in events) + 30 * DAY_MS)
    return run


def gross(event: Event) -> int:
    """Money of what was bought, without outliers."""
    values = [line.price * line.quantity for line in event.lines if line.quantity > 0 and line.price is not None]
    return sum(value for value in values if value <= POLICY.limits.line_value * MICRO)


@pytest.mark.parametrize("days", [1, 7])
@given(st.data())
@settings(max_examples=40)
def test_labels_and_spend_are_what_a_loop_over_all_events_says(days: int, data: st.DataObject) -> None:
    events = data.draw(ANY)
    for example in learned(events, days).propensities:
        within = [
            event
            for event in events
            if event.user_id == example.user_id and example.as_of_ms < event.ts <= example.as_of_ms + days * DAY_MS
        ]
        assert example.outcome == any(is_buying(event) for event in within)
        assert example.spend == sum(gross(event) for event in within)
        assert example.features is not None
        assert all(isfinite(x) for x in unpacked(example.features))
