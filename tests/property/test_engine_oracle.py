"""The engine beside the naive oracle, at arbitrary instants, in the midst of a log and long after its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import DAY_MS, HOUR_MS, Event
from streams.core.features import NAMES, unpacked
from streams.core.fold import Fold
from streams.core.hashing import mixed
from streams.core.profile import decode_profile
from tests.support.oracle import hash_of, is_known, truth
from tests.support.oracle_check import assert_same, by_user
from tests.support.oracle_features import features
from tests.support.partition_runs import COMPILED, HORIZON_DAYS, POLICY, PartitionRun
from tests.support.worlds import Shape, arrivals, worlds

FOLD = Fold(COMPILED, HORIZON_DAYS * DAY_MS)
LATER = (0, 1, HOUR_MS, 7 * DAY_MS, 60 * DAY_MS - 1, 60 * DAY_MS, 120 * DAY_MS, 366 * DAY_MS, 600 * DAY_MS)
WORLDS = worlds() | worlds(Shape(users=("ada",), most=16)) | worlds(Shape(users=("ada",), midnights=True, most=16))


@st.composite
def moments(draw: st.DrawFn) -> tuple[list[Event], int]:
    """Arrivals up to an instant, and the instant."""
    events = draw(WORLDS)
    at = draw(st.sampled_from(events)).ts + draw(st.sampled_from(LATER))
    return draw(arrivals([event for event in events if event.ts <= at])), at


@given(moments())
def test_the_view_at_any_instant_is_what_the_oracle_says(moment: tuple[list[Event], int]) -> None:
    arrived, at = moment
    run = PartitionRun()
    run.feed(arrived)
    run.advance(at)
    for user, events in by_user(arrived).items():
        if is_known(events, at, POLICY):
            assert_same(decode_profile(user, run.store[user], FOLD).view, events, at)
        else:
            assert run.engine.portrait(user) is None


@given(moments())
def test_the_settled_state_at_any_instant_is_what_the_oracle_says(moment: tuple[list[Event], int]) -> None:
    arrived, at = moment
    run = PartitionRun()
    run.feed(arrived)
    run.close(at)
    for user, events in by_user(arrived).items():
        if is_known(events, at, POLICY):
            assert_same(run.state(user), events, at)
        else:
            assert user not in run.store


@given(WORLDS, st.sampled_from(LATER), st.data())
def test_labels_and_their_features_are_what_the_oracle_says(
    events: list[Event], later: int, data: st.DataObject
) -> None:
    arrived = data.draw(arrivals(events))
    end = max(event.ts for event in events) + later
    run = PartitionRun()
    run.feed(arrived)
    run.close(end)
    for user, own in by_user(events).items():
        known = truth(own, end, POLICY, HORIZON_DAYS)
        observations = [] if known is None else known.observations
        told = {one.as_of_ms: one for one in run.examples if (one.user_id, one.head) == (user, "churn")}
        ripe = [observation for observation in observations if observation.due <= end]
        assert {as_of: example.churned for as_of, example in told.items()} == {
            observation.as_of: not observation.returned for observation in ripe
        }
        waiting = len(observations) - len(ripe)
        assert run.engine.pending(user) == (waiting if is_known(own, end, POLICY) else 0)
        for observation in ripe:
            example = told[observation.as_of]
            assert (example.stage, example.label_ms) == (observation.stage, observation.due)
            sampled = mixed(hash_of(user), observation.as_of // HOUR_MS) % 4 == 0
            assert (example.features is not None) == sampled
            if example.features is not None:
                wanted = features(observation.past, observation.as_of)
                got = dict(zip(NAMES, unpacked(example.features), strict=True))
                assert got == pytest.approx(wanted, rel=1e-5, abs=1e-5)
