"""The log decides, not the run: arrival, slices, restarts, redelivery and cache size leave no trace."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streams.core.engine import GRACE_MS, TOO_LATE_MS
from streams.core.events import DAY_MS, Event, Kind
from streams.core.state import STAGE_NAMES
from streams.core.stored_profile import read_header, unpack_profile
from streams.core.tally import BOUGHT, PROPENSITY, pending
from tests.support.partition_runs import PartitionRun
from tests.support.scorers import DailyCuts
from tests.support.worlds import START, Shape, arrivals, at_offsets, splits, worlds

Both = tuple[list[Event], list[Event]]
"""A world in time order, and an order in which it arrived."""

AFTER = (0, 1, GRACE_MS, DAY_MS, 8 * DAY_MS, 61 * DAY_MS, 600 * DAY_MS, 731 * DAY_MS)
ANY = (
    worlds()
    | worlds(Shape(users=("ada",), most=16))
    | worlds(Shape(midnights=True, most=16))
    | worlds(Shape(close=True, users=("ada",)))
)


def ran(events: list[Event], after: int, slices: list[int] | None = None, cache: int | None = None) -> PartitionRun:
    run = PartitionRun(DailyCuts(warm_from=START + 3 * DAY_MS), cache_profiles=cache)
    run.feed(events, slices=slices or ())
    run.close(max(event.ts for event in events) + after)
    return run


def bodies(run: PartitionRun) -> list[tuple[str, str, object]]:
    return [(output.topic, output.id, output.body) for output in run.outputs]


@st.composite
def shuffled(draw: st.DrawFn) -> Both:
    events = draw(ANY)
    return events, draw(arrivals(events))


@given(shuffled(), st.sampled_from(AFTER))
def test_any_arrival_within_the_grace_settles_to_the_same_bytes(both: Both, after: int) -> None:
    in_order, arrived = both
    one, other = ran(in_order, after), ran(arrived, after)
    assert other.store.keys() == one.store.keys()
    for user in one.store:
        assert other.engine.settled(user) == one.engine.settled(user)


@given(shuffled(), st.sampled_from(AFTER))
def test_any_arrival_within_the_grace_gives_the_same_labels(both: Both, after: int) -> None:
    in_order, arrived = both
    one, other = ran(in_order, after), ran(arrived, after)
    assert other.labels() == one.labels()
    assert len(other.examples) + len(other.propensities) == len(other.labels())


@given(shuffled(), st.sampled_from(AFTER))
def test_any_arrival_within_the_grace_ends_with_the_same_last_word(both: Both, after: int) -> None:
    in_order, arrived = both
    assert ran(arrived, after).last_told() == ran(in_order, after).last_told()


@given(shuffled(), st.data())
def test_any_split_into_slices_gives_the_same_outputs_and_profiles(both: Both, data: st.DataObject) -> None:
    _, arrived = both
    one = ran(arrived, DAY_MS)
    other = ran(arrived, DAY_MS, slices=data.draw(splits(len(arrived))))
    assert bodies(other) == bodies(one)
    assert other.examples == one.examples
    assert other.profiles() == one.profiles()
    assert other.facts == one.facts
    assert other.engine.stages == one.engine.stages


@given(shuffled(), st.data(), st.booleans())
def test_redelivery_of_any_suffix_changes_nothing(both: Both, data: st.DataObject, restarted: bool) -> None:
    arrived = at_offsets(both[1])
    run = PartitionRun()
    run.feed(arrived)
    before, outputs, examples = dict(run.store), list(run.outputs), list(run.examples)
    if restarted:
        run.restart()
    # What has no effect (an order without lines, what is too late by now) may still move the offset of its profile.
    too_late = run.engine.watermark - TOO_LATE_MS
    again = [
        event
        for event in arrived[data.draw(st.integers(0, len(arrived))) :]
        if event.ts >= too_late and (event.kind != Kind.PURCHASE or event.lines)
    ]
    run.feed(again)
    assert run.outputs == outputs
    assert run.examples == examples
    assert run.store == before


@given(shuffled(), st.data())
def test_a_restart_at_any_moment_goes_on_as_if_nothing_had_happened(both: Both, data: st.DataObject) -> None:
    arrived = at_offsets(both[1])
    end = max(event.ts for event in arrived) + data.draw(st.sampled_from(AFTER))
    cut = data.draw(st.integers(0, len(arrived)))
    one, other = PartitionRun(), PartitionRun()
    for run in (one, other):
        run.feed(arrived[:cut])
        if run is other:
            run.restart()
        run.feed(arrived[cut:])
        run.close(end)
    assert bodies(other) == bodies(one)
    assert other.labels() == one.labels()
    assert other.profiles() == one.profiles()
    assert +other.engine.stages == +one.engine.stages


@given(shuffled(), st.data())
def test_a_restart_before_the_silence_goes_on_as_if_nothing_had_happened(both: Both, data: st.DataObject) -> None:
    arrived = both[1]
    last = max(event.ts for event in arrived)
    silences = data.draw(st.lists(st.sampled_from(AFTER), min_size=1, max_size=3).map(sorted))
    one, other = PartitionRun(), PartitionRun()
    for run in (one, other):
        run.feed(arrived)
        for silence in silences:
            run.close(last + silence)
            if run is other:
                run.restart()
    assert bodies(other) == bodies(one)
    assert other.labels() == one.labels()
    assert other.profiles() == one.profiles()
    assert +other.engine.stages == +one.engine.stages


@given(shuffled(), st.integers(0, 2), st.data())
def test_the_size_of_the_cache_leaves_no_trace(both: Both, cache: int, data: st.DataObject) -> None:
    _, arrived = both
    sizes = data.draw(splits(len(arrived)))
    one, other = ran(arrived, 61 * DAY_MS, sizes), ran(arrived, 61 * DAY_MS, sizes, cache)
    assert bodies(other) == bodies(one)
    assert other.labels() == one.labels()
    assert other.profiles() == one.profiles()


@given(shuffled(), st.sampled_from(AFTER))
def test_what_was_opened_is_churned_returned_erased_or_pending(both: Both, after: int) -> None:
    run = ran(both[1], after)
    facts = run.facts
    assert facts["opened"] == facts["churned"] + facts["returned"] + facts["erased"] + run.pending()
    waiting = sum(len(unpack_profile(value).delivery.propensity_served) for value in run.store.values())
    assert pending(run.tally.get(PROPENSITY, {})) == waiting
    assert run.tally.get(PROPENSITY, {}).get(BOUGHT, 0) == sum(example.outcome for example in run.propensities)


@given(shuffled(), st.sampled_from(AFTER))
def test_users_per_stage_add_up_to_the_stored_profiles(both: Both, after: int) -> None:
    run = ran(both[1], after)
    assert run.engine.stages.total() == len(run.store)
    before = +run.engine.stages
    run.restart()
    assert run.engine.stages == before


@given(shuffled())
def test_the_same_log_repeats_every_id_and_body(both: Both) -> None:
    assert bodies(ran(both[1], DAY_MS)) == bodies(ran(both[1], DAY_MS))


@given(shuffled(), st.data())
def test_what_comes_after_an_instant_changes_nothing_told_until_then(both: Both, data: st.DataObject) -> None:
    events = both[0]
    cut = data.draw(st.integers(0, len(events)))
    t = events[cut].ts - 1 if cut < len(events) else events[-1].ts
    known = [event for event in events if event.ts <= t]
    one, other = PartitionRun(), PartitionRun()
    one.feed(known)
    one.advance(t)
    other.feed(events)
    other.advance(events[-1].ts)
    assert one.outputs == [output for output in other.outputs if output.as_of_ms <= t]


@given(shuffled(), st.data())
def test_what_comes_after_an_instant_changes_nothing_settled_until_then(both: Both, data: st.DataObject) -> None:
    in_order, arrived = both
    cut = data.draw(st.integers(1, len(in_order)))
    newest = in_order[cut - 1].ts
    later = PartitionRun()
    later.feed([event for event in arrived if event.ts <= newest])
    watermark = later.engine.watermark
    until = PartitionRun()
    until.feed([event for event in in_order if event.ts < watermark])
    until.advance(watermark - 1, watermark=watermark)
    for user in until.store:
        assert later.engine.settled(user) == until.engine.settled(user)


@given(shuffled(), st.data())
def test_a_named_event_that_comes_again_within_the_grace_is_counted_and_dropped(
    both: Both, data: st.DataObject
) -> None:
    in_order, arrived = both
    repeats = data.draw(st.lists(st.sampled_from(in_order), max_size=8))
    mixed = data.draw(arrivals(sorted([*arrived, *repeats], key=lambda event: event.sort_key)))
    one, other = ran(in_order, DAY_MS), ran(mixed, DAY_MS)
    lines = [event for event in repeats if event.kind < 2 or event.lines]
    assert other.facts["duplicates"] == len(lines)
    for user in one.store:
        assert other.engine.settled(user) == one.engine.settled(user)


@given(shuffled(), st.data(), st.sampled_from(AFTER))
def test_profiles_restored_in_bulk_go_on_as_those_restored_one_by_one(
    both: Both, data: st.DataObject, after: int
) -> None:
    _, arrived = both
    at = data.draw(st.integers(0, len(arrived)))
    silent = data.draw(st.sampled_from(AFTER))
    runs = []
    for one_by_one in (False, True):
        run = PartitionRun(DailyCuts(warm_from=START + 3 * DAY_MS), cache_profiles=1)
        run.feed(arrived[:at])
        run.restart(one_by_one=one_by_one)
        assert run.engine.stages == Counter(STAGE_NAMES[read_header(value).stage] for value in run.store.values())
        run.advance(run.engine.newest + silent)
        run.feed(arrived[at:])
        run.close(max(event.ts for event in arrived) + after)
        runs.append(run)
    in_bulk, singly = runs
    assert bodies(in_bulk) == bodies(singly)
    assert (in_bulk.examples, in_bulk.propensities) == (singly.examples, singly.propensities)
    assert in_bulk.profiles() == singly.profiles()
    assert in_bulk.engine.stages == singly.engine.stages
