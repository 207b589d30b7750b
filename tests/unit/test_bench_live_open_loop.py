"""Open-loop schedules, latencies from the intended instant, exact percentiles."""

from __future__ import annotations

import random
from statistics import quantiles

import pytest

from tests.bench.open_loop import Schedule, Sighting, latencies_ms, percentile, unanswered


def test_a_schedule_spaces_records_evenly_from_its_begin() -> None:
    plan = Schedule(rate=50.0, count=4)
    assert [plan.due_s(number) for number in range(4)] == [0.0, 0.02, 0.04, 0.06]


def test_a_schedule_lasts_as_long_as_its_rate_says() -> None:
    assert Schedule(rate=50.0, count=1_000).seconds == 20.0


def test_nothing_is_due_before_the_begin() -> None:
    assert Schedule(rate=10.0, count=5).due_by(-0.001) == 0


def test_a_loader_that_was_held_up_owes_all_that_was_due_meanwhile() -> None:
    assert Schedule(rate=1_000.0, count=10_000).due_by(2.5) == 2_501


def test_no_more_is_due_than_there_is() -> None:
    assert Schedule(rate=1_000.0, count=10).due_by(60.0) == 10


@pytest.mark.parametrize("rate", [3.0, 7.0, 333.3, 12_345.0])
def test_every_record_is_due_at_its_own_instant_and_not_before_the_one_ahead_of_it(rate: float) -> None:
    plan = Schedule(rate, count=500)
    for number in range(1, plan.count):
        between = (plan.due_s(number - 1) + plan.due_s(number)) / 2
        assert plan.due_by(between) == number


def test_a_stall_is_felt_by_every_record_that_was_due_in_it() -> None:
    # Ten records, 100 ms apart. The system answers at once, but for a stall from 0.2 s to 0.7 s.
    plan = Schedule(rate=10.0, count=10)
    intended = {f"e{number}": plan.due_s(number) for number in range(plan.count)}
    seen = [
        Sighting(f"o{number}", f"e{number}", max(due_s, 0.7) if due_s >= 0.2 else due_s)
        for number, due_s in enumerate(intended.values())
    ]
    # A loader that waited would have sent one record into the stall, and told of one latency of 500 ms.
    assert sorted(round(ms) for ms in latencies_ms(intended, seen)) == [0, 0, 0, 0, 0, 100, 200, 300, 400, 500]


def test_a_repeated_output_counts_when_it_came_first() -> None:
    seen = [Sighting("o", "e", 1.5), Sighting("o", "e", 1.1), Sighting("o", "e", 3.0)]
    assert latencies_ms({"e": 1.0}, seen) == [pytest.approx(100.0)]


def test_two_outputs_of_one_event_count_both() -> None:
    seen = [Sighting("o1", "e", 1.1), Sighting("o2", "e", 1.2)]
    assert latencies_ms({"e": 1.0}, seen) == pytest.approx([100.0, 200.0])


def test_outputs_of_silence_and_of_older_events_do_not_count() -> None:
    seen = [Sighting("o1", "somebody at 2020-01-01T00:00:00.000Z", 1.1), Sighting("o2", "older", 1.2)]
    assert latencies_ms({"e": 1.0}, seen) == []


def test_events_that_must_have_an_output_and_have_none_are_named() -> None:
    assert unanswered(["e1", "e2"], [Sighting("o", "e2", 1.0), Sighting("p", "e9", 1.0)]) == {"e1"}


def test_the_highest_percentile_is_the_highest_value() -> None:
    assert percentile([5.0, 9.0, 7.0], 1.0) == 9.0


def test_p99_9_of_a_thousand_leaves_out_one() -> None:
    assert percentile([float(value) for value in range(1, 1_001)], 0.999) == 999.0


def test_of_one_value_every_percentile_is_that_value() -> None:
    assert [percentile([4.0], share) for share in (0.01, 0.5, 0.999)] == [4.0, 4.0, 4.0]


def test_percentiles_lie_beside_those_of_the_standard_library() -> None:
    draw = random.Random(5)
    values = sorted(draw.expovariate(1.0) for _ in range(2_000))
    cut = quantiles(values, n=100, method="inclusive")
    for at in (50, 90, 99):
        place = values.index(percentile(values, at / 100))
        assert values[place - 1] <= cut[at - 1] <= values[place + 1]


def test_of_no_values_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile([], 0.5)
