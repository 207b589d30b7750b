"""The pure parts of the chaos run: faults from a seed, recovery, exits, and a verdict that bites."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import pytest

from streams.core.events import MINUTE_MS
from streams.topics import CHURN_RISK, SEGMENT_CHANGES
from tests.chaos.judging import judged, repeats
from tests.chaos.processes import Exit
from tests.chaos.recovery import Chunk, felt, hung_for, seconds_to_recover, unless_overtaken
from tests.chaos.report import Outage, generalised, outage
from tests.chaos.schedule import LONG_AWAY_S, Kind, schedule
from tests.chaos.shop_days import DaysLog, ShopDays
from tests.chaos.truth import Body, Left
from tests.chaos.watching import Sight

SESSION_S = 10.0


def test_the_same_seed_is_the_same_schedule() -> None:
    assert schedule(3, 40, SESSION_S) == schedule(3, 40, SESSION_S)


def test_another_seed_is_another_schedule() -> None:
    assert schedule(3, 40, SESSION_S) != schedule(4, 40, SESSION_S)


@pytest.mark.parametrize("seed", range(20))
def test_a_full_run_has_fifty_faults_and_every_kind(seed: int) -> None:
    counts = Counter(fault.kind for fault in schedule(seed, 40, SESSION_S).faults)
    assert counts.total() >= 50
    assert set(counts) == set(Kind)


@pytest.mark.parametrize("seed", range(20))
def test_the_broker_is_away_for_ten_minutes_once(seed: int) -> None:
    away = [fault for fault in schedule(seed, 40, SESSION_S).faults if fault.kind is Kind.BROKER_AWAY]
    assert [fault.seconds for fault in away] == [LONG_AWAY_S]


@pytest.mark.parametrize("seed", range(20))
def test_whoever_is_frozen_is_frozen_past_the_session(seed: int) -> None:
    frozen = [fault for fault in schedule(seed, 40, SESSION_S).faults if fault.kind is Kind.FROZEN]
    assert all(fault.seconds > SESSION_S for fault in frozen)


@pytest.mark.parametrize("minutes", [3, 4, 10, 40])
def test_all_faults_come_within_the_load(minutes: float) -> None:
    plan = schedule(1, minutes, SESSION_S)
    assert all(fault.at_s < plan.load_s for fault in plan.faults)


def test_a_run_too_short_for_a_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="3 minutes"):
        schedule(1, 2, SESSION_S)


# -- the load ---------------------------------------------------------------------------------------------------------


def test_a_day_lies_within_the_grace() -> None:
    days = ShopDays(5)
    for number in range(30):
        instants = [arrival.ts for arrival in days.day(number)]
        assert max(instants) - min(instants) < 10 * MINUTE_MS


def test_a_user_uses_one_input_a_day() -> None:
    kinds: dict[str, set[int]] = {}
    for arrival in ShopDays(5).day(9):
        kinds.setdefault(arrival.raw["user_id"], set()).add(arrival.kind)
    assert all(len(each) == 1 for each in kinds.values())


def test_event_ids_are_unique() -> None:
    records = [record.raw for record in DaysLog(ShopDays(5), 10).records()]
    ids = [raw["event_id"] for raw in records if isinstance(raw, dict)]
    assert len(set(ids)) == len(ids) == DaysLog(ShopDays(5), 10).rows


# -- recovery ---------------------------------------------------------------------------------------------------------


def test_a_fault_that_nobody_felt_took_no_time() -> None:
    chunks = [Chunk(at, at, {}, at + 1.0) for at in (8.0, 9.0, 10.5, 11.0)]
    assert seconds_to_recover(10.0, chunks) == 0.0


def test_a_fault_is_over_with_the_last_delayed_portion() -> None:
    chunks = [Chunk(9.5, 9.5, {}, 22.0), Chunk(10.5, 10.5, {}, 22.5), Chunk(22.0, 22.0, {}, 23.0)]
    assert seconds_to_recover(10.0, chunks) == 12.5


def test_a_fault_without_an_end_has_no_time() -> None:
    assert seconds_to_recover(10.0, [Chunk(11.0, 11.0)]) is None


def test_a_portion_is_applied_once_all_its_partitions_are() -> None:
    chunk = Chunk(0.0, 0.0, {("clicks", 0): 5, ("clicks", 1): 7})
    assert not chunk.covered_by({("clicks", 0): 5, ("clicks", 1): 6})
    assert chunk.covered_by({("clicks", 0): 5, ("clicks", 1): 7})


def test_a_broker_that_is_away_hangs_nobody() -> None:
    assert hung_for(999.0, None, [Chunk(1.0, 1.0)]) == 0.0


def test_waiting_counts_from_the_brokers_return() -> None:
    assert hung_for(999.0, 900.0, [Chunk(1.0, 1.0)]) == 99.0


def test_a_fault_still_felt_when_the_next_comes_has_no_time() -> None:
    assert unless_overtaken(10.0, 30.0, next_s=37.0) is None


def test_the_worst_and_the_median_leave_out_what_is_unknown() -> None:
    assert felt([None, 3.0, 9.0, 4.0]).median_s == 4.0


# -- exits and the long outage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "asked"),
    [(-9, "", "SIGKILL"), (0, "", "SIGTERM"), (1, "fenced", None), (1, "no space", "no disk"), (0, "", "the end")],
)
def test_ends_that_may_be(code: int, reason: str, asked: str | None) -> None:
    assert Exit(0.0, "w", code, reason, asked).wrong is None


@pytest.mark.parametrize(
    ("code", "reason", "asked"),
    [
        (70, "a fault", None),
        (70, "a fault", "SIGTERM"),
        (-11, "", None),
        (0, "", None),
        (1, "", None),
        (1, "", "SIGTERM"),
    ],
)
def test_ends_that_may_not_be(code: int, reason: str, asked: str | None) -> None:
    assert Exit(0.0, "w", code, reason, asked).wrong is not None


def test_reasons_that_differ_in_numbers_are_one() -> None:
    assert generalised("stood still for 13 s (x)") == generalised("stood still for 15.2 s (x)")


def seen(at_s: float, *, ready: bool = False, rss_mb: float = 100.0, pid: int = 1) -> Sight:
    return Sight(at_s, "worker-0", pid, ready, rss_mb)


def test_memory_that_grows_while_the_broker_is_away_is_told() -> None:
    looked = outage(0.0, 600.0, [seen(-1.0), seen(100.0), seen(500.0, rss_mb=300.0)], ["worker-0"])
    assert looked.growth_mb == 200.0
    assert looked.wrong


def test_ready_while_the_broker_is_away_is_told() -> None:
    assert outage(0.0, 600.0, [seen(300.0, ready=True)], ["worker-0"]).wrong


def test_an_outage_borne_well_is_not_told() -> None:
    looked = outage(0.0, 600.0, [seen(-1.0, ready=True), seen(300.0), seen(601.0, ready=True)], ["worker-0"])
    assert (looked.wrong, looked.same_processes) == ([], True)
    assert isinstance(looked, Outage)


# -- the verdict ------------------------------------------------------------------------------------------------------


def change(seq: int, current: str) -> Body:
    return {"id": f"c{seq}", "user_id": "ann", "dimension": "lifecycle", "seq": seq, "current": current}


def risk(seq: int) -> Body:
    return {"id": f"r{seq}", "user_id": "ann", "seq": seq, "probability": 0.5, "band": "low", "model": {}}


def label(name: str) -> Body:
    fields = {"as_of": "2024-01-01", "label_at": "2024-01-08", "churned": 0, "features": None}
    return {"id": name, "stage": "growing", "tier": None, **fields}


def sound() -> Left:
    return Left(
        settled={"ann": b"state"},
        told={SEGMENT_CHANGES: [change(1, "visitor"), change(2, "growing")], CHURN_RISK: [risk(3)]},
        labels=[label("l")],
        portraits={"ann": {"seq": 3}},
        model="v",
        learned=1,
    )


def broken(left: Left, *, by_log: bool = True) -> list[str]:
    return [check.promise for check in judged(left, sound(), by_log=by_log) if not check.kept]


def test_a_run_like_the_fault_free_one_is_sound() -> None:
    assert broken(sound()) == []


def test_messages_that_come_again_unchanged_are_counted_and_sound() -> None:
    left = sound()
    left.told[SEGMENT_CHANGES].insert(1, change(1, "visitor"))
    assert broken(left) == []
    assert repeats(left)[SEGMENT_CHANGES] == 1


def test_a_byte_of_a_profile_breaks_it() -> None:
    left = sound()
    left.settled["ann"] = b"stale"
    assert broken(left) == ["settled profiles equal, byte by byte"]


def test_a_lost_user_breaks_it() -> None:
    left = sound()
    del left.settled["ann"]
    assert broken(left) == ["settled profiles equal, byte by byte"]


def test_an_id_with_two_contents_breaks_it() -> None:
    left = sound()
    left.told[CHURN_RISK].insert(0, {**risk(3), "probability": 0.4})
    assert broken(left) == ["one output id, one content"]


def test_a_lost_output_breaks_it() -> None:
    left = sound()
    del left.told[SEGMENT_CHANGES][1]
    assert "last output per user and dimension equal" in broken(left)
    assert "segment-changes: the very same messages" in broken(left)


def test_a_lost_label_breaks_it() -> None:
    left = sound()
    left.labels.clear()
    assert broken(left) == ["labels equal"]


def test_an_example_learned_twice_breaks_it() -> None:
    left = sound()
    left.learned = 2
    assert broken(left) == ["every example learned once"]


def test_another_model_breaks_it() -> None:
    left = sound()
    left.model = "w"
    assert broken(left) == ["final model equal"]


def test_offsets_that_are_not_at_the_end_break_it() -> None:
    left = sound()
    left.beyond.append("clicks, partition 0: committed 3, end 4")
    assert broken(left) == ["committed offsets at the end of every input"]


def test_under_the_wall_clock_scores_may_differ() -> None:
    left = deepcopy(sound())
    left.told[CHURN_RISK] = []
    left.model = "another"
    assert broken(left, by_log=False) == []
