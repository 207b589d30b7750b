"""What is a stall and what is not: records that wait while nothing moves, a rebalance that does not move."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.live.consumer import FetchState
from streams.live.reach import Reach
from streams.live.stalls import StallWatch

LIMIT_S = 100.0
CLICKS = TP("clicks", 3)


class Scene:
    """One owner of partition 3 with one input, under a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cuts = 0
        self.buffer = SimpleNamespace(topic="clicks", next=40, waiting=0)
        self.owner: Any = SimpleNamespace(
            inputs=SimpleNamespace(buffers=[self.buffer]),
            watermark=5,
            moves=0,
            ended=asyncio.Event(),
            waiting_for="Kafka's acks of outputs",
        )
        self.watched: Any = SimpleNamespace(
            ready=asyncio.Event(), doing="joining the group", progressed_at=0.0, owners={3: self.owner}
        )
        self.watched.ready.set()
        self.highwater = 40
        self.answering = True
        self.reach = Reach("kafka:1", clock=lambda: self.now, now_ms=lambda: round(self.now * 1000))
        self.watch = StallWatch(self.watched, LIMIT_S, self.reach, self.state, lambda: self.cuts)
        self.answered_ms = 0

    def state(self, tp: TP) -> FetchState | None:
        if self.answering:
            self.answered_ms = round(self.now * 1000)
        return FetchState(self.buffer.next, self.highwater, self.answered_ms)

    def after(self, seconds: float, *, there: bool = True) -> str | None:
        """The first stall that is seen within so many seconds."""
        for _ in range(round(seconds)):
            self.now += 1.0
            if there:
                self.reach.answered()
            else:
                self.reach.unanswered()
            if (stalled := self.watch.look()) is not None:
                return str(stalled)
        return None


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_an_owner_without_work_never_stalls(scene: Scene) -> None:
    assert scene.after(1_000) is None


def test_fetched_records_that_are_not_applied_are_a_stall_with_offset_and_reason(scene: Scene) -> None:
    scene.buffer.waiting, scene.highwater = 7, 47
    said = scene.after(200)
    assert said is not None
    assert "clicks, partition 3, offset 40: nothing has moved for 100 s" in said
    assert "7 fetched records wait; it waited for Kafka's acks of outputs" in said


def test_it_is_seen_within_120_seconds(scene: Scene) -> None:
    scene.buffer.waiting = 7
    scene.after(120)
    assert scene.now <= 120.0


def test_records_that_no_fetch_brings_are_a_stall(scene: Scene) -> None:
    scene.highwater = 90
    said = scene.after(200)
    assert said is not None
    assert "Kafka has records up to offset 90, and no fetch brought them" in said


def test_fetches_that_nobody_answers_are_a_stall(scene: Scene) -> None:
    scene.after(5)
    scene.answering = False
    said = scene.after(200)
    assert said is not None
    assert "no fetch was answered" in said


def test_slow_progress_is_no_stall(scene: Scene) -> None:
    scene.buffer.waiting = 7
    for _ in range(5):
        assert scene.after(90) is None
        scene.buffer.next += 1


def test_a_wait_for_a_cut_is_no_stall_while_cuts_come(scene: Scene) -> None:
    scene.buffer.waiting = 7
    for _ in range(5):
        assert scene.after(90) is None
        scene.cuts += 1


def test_long_work_that_moves_no_offset_is_no_stall(scene: Scene) -> None:
    scene.buffer.waiting = 7
    for _ in range(5):
        assert scene.after(90) is None
        scene.owner.moves += 1


def test_records_behind_the_end_of_the_run_may_wait(scene: Scene) -> None:
    scene.buffer.waiting = 7
    scene.owner.ended.set()
    assert scene.after(300) is None


def test_an_outage_is_no_stall_however_long(scene: Scene) -> None:
    scene.buffer.waiting = 7
    assert scene.after(50) is None
    assert scene.after(1_000, there=False) is None
    assert scene.after(90) is None
    assert scene.after(20) is not None


def test_a_rebalance_that_does_not_move_is_a_stall_that_says_what_it_was_at(scene: Scene) -> None:
    scene.watched.ready.clear()
    said = scene.after(200)
    assert said is not None
    assert "A rebalance has not moved for 100 s: joining the group" in said


def test_a_long_restore_that_moves_is_none(scene: Scene) -> None:
    scene.watched.ready.clear()
    for _ in range(5):
        assert scene.after(90) is None
        scene.watched.progressed_at = scene.now
