"""Figures of live runs: rates, checks of what was applied; without Kafka."""

from __future__ import annotations

import os

import pytest

from streams.metrics.catalogue import EVENTS, HELD_OUTPUTS, OUTPUTS, TABLE_USERS
from streams.metrics.reading import Figures
from tests.bench.live_processes import Sample, confined
from tests.bench.live_run import Applied, as_run, check, pause_s, steady_rate
from tests.bench.published_logs import Published, Recent
from tests.bench.reference_logs import W1
from tests.bench.workers import busy_rate

PUBLISHED = Published(records=10, distinct=9, users=frozenset({b"u", b"v"}), by_topic={"clicks": 10}, seconds=1.0)


def sample(
    read: int, *, at_s: float = 0.0, cpu_s: float = 0.0, accepted: int = 9, users: int = 2, held: int = 0
) -> Sample:
    figures = Figures(
        {
            (EVENTS.name, ("clicks", "accepted")): accepted,
            (EVENTS.name, ("clicks", "duplicate")): 1,
            (TABLE_USERS.name, ("0",)): users,
            (OUTPUTS.name, ("segment-changes",)): 5,
            (HELD_OUTPUTS.name, ()): held,
        }
    )
    return Sample(at_s, cpu_s, read, figures, {"engine": cpu_s})


def test_a_whole_run_is_accepted() -> None:
    check(PUBLISHED, [sample(10)])


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (sample(9), "9 records read"),
        (sample(10, accepted=8), "outcomes"),
        (sample(10, users=1), "1 users of 2"),
        (sample(10, held=3), "held"),
    ],
)
def test_a_broken_run_is_refused(last: Sample, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check(PUBLISHED, [last])


def test_cpu_and_time_count_from_ready_to_applied_over_all_workers() -> None:
    first = (sample(0, at_s=5.0, cpu_s=2.0), sample(2, at_s=5.1, cpu_s=2.5))
    last = (sample(6, at_s=9.0, cpu_s=4.0), sample(4, at_s=9.0, cpu_s=3.5))
    run = as_run(Applied(PUBLISHED, (first, last), start_s=3.0, peak_mb=200.0, trainer_cpu_s=0.8))
    assert (run.events, run.seconds, run.cpu_s) == (8, 4.0, 3.0)
    assert run.more["engine_us"] == pytest.approx(3.0 / 8 * 1e6)
    assert run.more["trainer_us"] == pytest.approx(1e5)


def test_the_steady_rate_leaves_out_beginning_and_end() -> None:
    progress = [(0.0, 0), (3.0, 10), (4.0, 30), (8.0, 90), (100.0, 100)]
    assert steady_rate(progress, 100) == (90 - 10) / (8 - 3)


def test_a_run_too_short_to_look_at_twice_is_taken_whole() -> None:
    assert steady_rate([(1.0, 0), (3.0, 100)], 100) == 50.0


def test_looks_come_closer_as_the_end_does() -> None:
    assert [pause_s([(0.0, 0), (10.0, done)], 1_000) for done in (0, 100, 900, 999)] == [
        0.5,
        1.0,
        pytest.approx(10.0 / 900 * 100 / 2),
        0.1,
    ]


def test_two_workers_are_busy_while_both_have_something_left() -> None:
    progress = [(0.0, [0, 0]), (1.0, [5, 0]), (2.0, [10, 10]), (4.0, [20, 30]), (5.0, [25, 40]), (9.0, [80, 40])]
    assert busy_rate(progress) == (50 - 20) / 2.0


def test_a_recent_log_ends_at_the_given_instant() -> None:
    log = Recent(W1.scaled(2_000), end_ms=1_900_000_000_000)
    times = [record.ts_ms for record in log.records()]
    assert times == sorted(times)
    assert 0 <= 1_900_000_000_000 - times[-1] < 3_600_000 * 3


def test_whoever_was_confined_is_free_again_behind() -> None:
    before = os.sched_getaffinity(0)
    with confined({min(before)}):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
