"""The installed River keeps ADWIN's window as ``models.adwin`` reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from river.drift import ADWIN

from models.adwin import Window


@pytest.mark.parametrize("values", [0, 1, 4, 33, 2_000])
def test_numbers_give_rivers_own_bytes_again(values: int) -> None:
    river: Any = ADWIN
    own = river(delta=0.002, clock=32, max_buckets=5)
    window = Window(0.002, 32, 5)
    for value in range(values):
        own.update(value % 7 / 7)
        window.put(value % 7 / 7)
    again = Window(0.002, 32, 5)
    again.restore(json.loads(json.dumps(window.numbers())))
    assert again._rust.__getstate__() == own._helper.__getstate__()


def test_a_river_that_keeps_it_otherwise_is_refused() -> None:
    class Other:
        def __getstate__(self) -> bytes:
            return Window(0.002, 32, 5)._rust.__getstate__() + b"more"  # type: ignore[no-any-return]

    window = Window(0.002, 32, 5)
    window._rust = Other()
    with pytest.raises(ValueError, match=r"pin river to 0\.26"):
        window.numbers()
