"""What scores are made of, against the straightforward way: the same bits."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import isclose

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.linear_terms import LinearTerms
from models.money_scale import MoneyScale, ServedScale
from models.returning import buying_horizons
from streams.core.events import DAY_MS, HOUR_MS, Event
from streams.core.feature_vector import vector
from streams.core.fold import Fold
from streams.core.instants import LAST_INSTANT, format_instant
from streams.core.portrait import _windows
from streams.core.propensity_features import propensity_vector
from streams.core.state import State
from tests.support.partition_runs import COMPILED
from tests.support.plain_scores import plain_buying_horizons, plain_terms
from tests.support.plain_vectors import plain_propensity, plain_vector, plain_windows
from tests.support.worlds import Shape, worlds

LATER = (0, 1, HOUR_MS, 5 * HOUR_MS, 3 * DAY_MS, 40 * DAY_MS, 100 * DAY_MS, 400 * DAY_MS)
SHARE = st.floats(0.0, 1.0)


def bits(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


@given(worlds(Shape(users=("ada",), most=24)), st.sampled_from(LATER), st.sampled_from([1, 7, 30]))
@settings(max_examples=120)
def test_feature_vectors_and_windows_are_those_of_the_straightforward_way(
    events: list[Event], later: int, horizon_days: int
) -> None:
    fold, state = Fold(COMPILED, 30 * DAY_MS, horizon_days), State()
    for event in sorted(events, key=lambda event: event.sort_key):
        fold.advance(state, event.ts - 1, 7)
        fold.apply(state, event, 7)
        at = event.ts + later
        expected = plain_propensity(state, at, COMPILED, horizon_days)
        assert bits(propensity_vector(state, at, COMPILED, horizon_days)) == bits(expected)
        assert _windows(state, at) == plain_windows(state, at)
        if state.orders:
            assert bits(vector(state, at, COMPILED)) == bits(plain_vector(state, at, COMPILED))


@given(st.integers(1, 130), st.integers(0, 2**32))
def test_linear_terms_are_those_of_the_straightforward_way_one_after_the_other(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    means, slopes = rng.normal(size=size), rng.normal(size=size)
    upper = 6.0 * rng.exponential(size=size) * (rng.random(size) > 0.1)
    terms = LinearTerms(means, upper, slopes)
    for features in rng.normal(scale=4.0, size=(3, size)).tolist():
        expected = plain_terms(features, means, upper, slopes)
        assert terms.of(features).tolist() == expected.tolist()


@given(
    st.lists(SHARE, min_size=1, max_size=13), st.data(), SHARE, st.integers(1, 365), st.sampled_from([1, 30, 365, 500])
)
def test_horizons_with_a_purchase_are_those_of_the_straightforward_way(
    chances: list[float], data: st.DataObject, first: float, horizon_days: int, days: int
) -> None:
    state = data.draw(st.integers(0, len(chances) - 1))
    expected = plain_buying_horizons(chances, state, first, horizon_days, days)
    assert isclose(buying_horizons(chances, state, first, horizon_days, days), expected, rel_tol=1e-12)


@given(st.integers(0, 2**32))
@settings(max_examples=40)
def test_a_served_money_scale_says_what_the_one_it_was_made_of_says(seed: int) -> None:
    rng = random.Random(seed)
    scale = MoneyScale(["net_spend_365d", "net_spend_90d"][: rng.randrange(3)])
    scale.centre = 3.0
    for _ in range(5):
        scale.learn(rng.gauss(3, 2), [rng.gauss(3, 3), rng.gauss(2, 3)], rng.expovariate(0.01), unit=50.0)
    served = ServedScale(scale)
    for mean_log in (-2.0, rng.gauss(3, 2), 9.0):
        features = [rng.gauss(3, 3), rng.gauss(2, 30)]
        assert served.expected(mean_log, features) == scale.expected(mean_log, features)


@given(st.integers(0, LAST_INSTANT))
def test_an_instant_is_written_as_the_calendar_has_it(instant: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
    assert format_instant(instant) == f"{at:%Y-%m-%dT%H:%M:%S}.{instant % 1000:03d}Z".zfill(24)
