"""How the next fetch is asked for: gathered by the broker while records come, answered at once after a silence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.live.consumer import ALONE_MS, FIRST_MS, GATHER_BYTES, ConsumerThread, FetchState

CLICKS, SEARCHES = TP("clicks", 0), TP("searches", 0)


class Thread(ConsumerThread):
    """A thread of which a test says what the broker has answered."""

    def __init__(self, heard_of: set[TP]) -> None:
        self.heard_of = heard_of
        self._consumer: Any = SimpleNamespace(_fetcher=SimpleNamespace())

    def fetch_state(self, tp: TP) -> FetchState | None:
        return FetchState(0, 0, 0) if tp in self.heard_of else None

    def asked(self, *, records_come: bool = False) -> tuple[int, int]:
        """How the next fetch of both partitions is asked for: bytes and ms."""
        self._gather(self._consumer, records_come, {CLICKS, SEARCHES})
        fetcher = self._consumer._fetcher
        return fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms


@pytest.mark.parametrize(
    ("gather_ms", "records_come", "asked"),
    [(10, True, (GATHER_BYTES, 10)), (10, False, (1, ALONE_MS)), (0, True, (1, ALONE_MS))],
)
def test_a_fetch_gathers_while_records_come(gather_ms: int, records_come: bool, asked: tuple[int, int]) -> None:
    thread = Thread({CLICKS, SEARCHES})
    thread.gather_ms = gather_ms
    assert thread.asked(records_come=records_come) == asked


def test_until_every_partition_was_heard_of_no_fetch_waits_for_records() -> None:
    thread = Thread({CLICKS})
    assert thread.asked() == (1, FIRST_MS)
    thread.heard_of.add(SEARCHES)
    assert thread.asked() == (1, ALONE_MS)


def test_where_reading_goes_on_elsewhere_all_are_asked_anew() -> None:
    thread = Thread({CLICKS, SEARCHES})
    thread.asked()
    thread.ask_anew()
    assert thread._consumer._fetcher._fetch_max_wait_ms == FIRST_MS
    thread.heard_of.clear()
    assert thread.asked() == (1, FIRST_MS)
