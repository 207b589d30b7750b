"""Windows as numbers: restored at any value, they go on as River's own ADWIN does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import ADWIN

from models.adwin import Window
from models.packing import pack

VALUES = st.lists(st.one_of(st.floats(-1.0, 1.0), st.sampled_from([0.0, 1.0, -1.0, 5.0, 1e6])), max_size=150)
MADE = {"delta": 0.05, "clock": 4, "max_buckets": 3}


def restored(window: Window) -> Window:
    again = Window(0.05, 4, 3)
    again.restore(json.loads(json.dumps(window.numbers(), allow_nan=False)))
    return again


@settings(max_examples=40, deadline=None)
@given(before=VALUES, after=VALUES)
def test_a_window_restored_anywhere_goes_on_to_the_bit(before: list[float], after: list[float]) -> None:
    whole = Window(0.05, 4, 3)
    for value in before:
        whole.put(value)
    again = restored(whole)
    assert [again.put(value) for value in after] == [whole.put(value) for value in after]
    assert again.numbers() == whole.numbers()


@settings(max_examples=40, deadline=None)
@given(values=VALUES)
def test_a_window_cuts_where_rivers_own_does(values: list[float]) -> None:
    """Restored after every value, against a detector of River's that never was."""
    river: Any = ADWIN
    oracle, window = river(**MADE), Window(0.05, 4, 3)
    for value in values:
        oracle.update(value)
        change = window.put(value)
        assert (change is not None) == oracle.drift_detected
        if oracle.drift_detected:
            assert change is not None
            assert (change.kept, change.after) == (oracle.width, oracle.estimation)
            window = Window(0.05, 4, 3)
        else:
            window = restored(window)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.integers(-1, 5), max_size=6),
    numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30),
    fit=st.booleans(),
)
def test_numbers_that_are_no_window_are_refused_or_harmless(rows: list[int], numbers: list[float], fit: bool) -> None:
    """Rust must never panic: it is past every ``except Exception``."""
    if fit:
        most = 7 + 2 * sum(max(row, 0) for row in rows)
        numbers = [0.0] * 7 + (numbers * most)[: most - 7]
    window = Window(0.05, 4, 3)
    try:
        window.restore({"rows": rows, "numbers": pack(np.array(numbers))})
    except ValueError:
        assert window.numbers() == Window(0.05, 4, 3).numbers()
    for value in range(100):
        window.put(float(value))
