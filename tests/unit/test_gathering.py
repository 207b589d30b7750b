"""How the next fetch is asked for: gathered by the broker while records come, answered at once after a silence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from streams.live.consumer import ALONE_MS, GATHER_BYTES, ConsumerThread


@pytest.mark.parametrize(
    ("gather_ms", "records_come", "asked"),
    [(10, True, (GATHER_BYTES, 10)), (10, False, (1, ALONE_MS)), (0, True, (1, ALONE_MS))],
)
def test_a_fetch_gathers_while_records_come(gather_ms: int, records_come: bool, asked: tuple[int, int]) -> None:
    thread = ConsumerThread.__new__(ConsumerThread)
    thread.gather_ms = gather_ms
    consumer: Any = SimpleNamespace(_fetcher=SimpleNamespace())
    thread._gather(consumer, records_come)
    assert (consumer._fetcher._fetch_min_bytes, consumer._fetcher._fetch_max_wait_ms) == asked
