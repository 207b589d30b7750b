"""Late events and a silence clock ahead of the log: what they may change, and what they may not."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.core.events import DAY_MS, HOUR_MS, MICRO, MINUTE_MS, Event, Kind, Line
from streams.core.state import State
from streams.core.windows import last_hours, window
from tests.support.oracle import is_alive, is_known, truth
from tests.support.partition_runs import HORIZON_DAYS, POLICY, PartitionRun
from tests.support.worlds import Shape, arrivals, at_offsets, click, purchase, search, worlds

WORLDS = worlds(Shape(refunds=False)) | worlds(Shape(users=("ada",), refunds=False, most=12))
BEHIND = (0, MINUTE_MS, HOUR_MS, 26 * HOUR_MS, 8 * DAY_MS, 40 * DAY_MS, 100 * DAY_MS, 365 * DAY_MS - 1)
AHEAD = (0, 1, MINUTE_MS, HOUR_MS, 7 * DAY_MS, 40 * DAY_MS, 121 * DAY_MS, 731 * DAY_MS)
TEN = (Line("i", "tea", None, 10 * MICRO, 1),)


@st.composite
def with_a_late_one(draw: st.DrawFn) -> tuple[list[Event], Event, list[Event]]:
    """Events on time, one that comes after its instant was settled, and the events on time after it."""
    events = draw(WORLDS)
    cut = draw(st.integers(1, len(events)))
    watermark = events[cut - 1].ts - 10 * MINUTE_MS
    ts = watermark - 1 - draw(st.sampled_from(BEHIND))
    late = draw(
        st.sampled_from(
            [
                click(ts, "ada", action="cart", event_id="late", category="tea"),
                search(ts, "ada", event_id="late"),
                purchase(ts, "ada", order="late", event_id="late", lines=TEN),
            ]
        )
    )
    return events[:cut], late, events[cut:]


def figures(state: State, at: int) -> dict[str, object]:
    return {
        "first_seen": state.first_seen,
        "totals": (state.clicks, state.searches, state.carts, state.orders, state.lines, state.amount),
        "orders": (state.first_order, state.last_order, state.purchase_days),
        "first": state.first,
        "last": state.last,
        "windows": [tuple(window(state, at, days))[:5] for days in (7, 30, 90, 365)],
        "hours": tuple(last_hours(state, at))[:5],
    }


@given(with_a_late_one())
def test_totals_and_tiles_include_a_late_event(log: tuple[list[Event], Event, list[Event]]) -> None:
    before, late, after = log
    everything = sorted([*before, late, *after], key=lambda event: event.sort_key)
    own = [event for event in everything if event.user_id == "ada" and (event.kind != Kind.PURCHASE or event.lines)]
    on_time = [event for event in own if event is not late]
    known_until = [event.ts for event in on_time if event in before][-1:]
    assume(all(before[-1].ts < ts + 730 * DAY_MS for ts in known_until))
    for log_of_one in (own, on_time):
        assume(all(event.ts - earlier.ts < 730 * DAY_MS for earlier, event in pairwise(log_of_one)))
    run = PartitionRun()
    run.feed([*before, late, *after])
    end = everything[-1].ts
    run.close(end)
    assume(is_known(own, end, POLICY))
    known = truth(own, end, POLICY, HORIZON_DAYS)
    assert known is not None
    past = known.past
    times = [[event.ts for event in own if event.kind == kind and is_alive(event)] for kind in Kind]
    sums = [*(past.window(end, days) for days in (7, 30, 90, 365)), past.last_hours(end)]
    tiles = [(one.clicks, one.searches, one.carts, one.orders, one.amount) for one in sums]
    clicks = past.of(Kind.CLICK)
    carts = sum(event.action == 2 for event in clicks)
    searches = len(past.of(Kind.SEARCH))
    assert figures(run.state("ada"), end) == {
        "first_seen": own[0].ts,
        "totals": (len(clicks), searches, carts, len(past.standing), past.lines, past.amount),
        "orders": (past.first_order, past.last_order, past.purchase_days[-13:]),
        "first": [min(of_kind, default=-1) for of_kind in times],
        "last": [max(of_kind, default=-1) for of_kind in times],
        "windows": tiles[:4],
        "hours": tiles[4],
    }


@given(with_a_late_one())
def test_a_late_event_is_accepted_counted_and_copied(log: tuple[list[Event], Event, list[Event]]) -> None:
    before, late, _ = log
    run = PartitionRun()
    run.feed(before)
    accepted = run.facts["accepted"]
    run.feed([late])
    assert (run.facts["late"], run.facts["accepted"]) == (1, accepted + 1)
    copies = run.told("late-events")
    assert [copy.body["event"]["event_id"] for copy in copies] == ["late"]
    assert copies[0].body["late_by_ms"] == run.engine.watermark - late.ts


@given(with_a_late_one())
def test_a_late_event_changes_no_label_that_was_decided(log: tuple[list[Event], Event, list[Event]]) -> None:
    before, late, after = log
    run, without = PartitionRun(), PartitionRun()
    for one in (run, without):
        one.feed(before)
    decided = list(run.examples)
    run.feed([late, *after])
    without.feed(after)
    assert run.examples[: len(decided)] == decided
    known = {example.as_of_ms for example in decided if example.user_id == "ada"}
    assert not [e for e in run.examples[len(decided) :] if e.user_id == "ada" and e.as_of_ms in known]
    facts = run.facts
    assert facts["opened"] == facts["churned"] + facts["returned"] + facts["erased"] + run.pending()


@given(with_a_late_one())
def test_a_late_event_changes_nobody_else(log: tuple[list[Event], Event, list[Event]]) -> None:
    before, late, after = log
    run, without = PartitionRun(), PartitionRun()
    run.feed([*before, late, *after])
    without.feed([*before, *after])
    assert [o for o in run.outputs if o.user_id != "ada"] == [o for o in without.outputs if o.user_id != "ada"]
    for user in without.store.keys() - {"ada"}:
        assert run.store[user] == without.store[user]


@given(with_a_late_one(), st.integers(0, 3))
def test_a_late_event_that_is_redelivered_after_a_restart_counts_once(
    log: tuple[list[Event], Event, list[Event]], back: int
) -> None:
    before, late, after = log
    arrived = at_offsets([*before, late, *after])
    run = PartitionRun()
    run.feed(arrived)
    stored, outputs = dict(run.store), list(run.outputs)
    run.restart()
    again = [
        event for event in arrived[len(before) - back if back < len(before) else 0 :] if event.lines or event.kind < 2
    ]
    run.feed([event for event in again if event.ts >= run.engine.watermark - 365 * DAY_MS])
    assert run.outputs == outputs
    assert run.store == stored


@st.composite
def with_silences(draw: st.DrawFn) -> tuple[list[Event], dict[int, int]]:
    """Arrivals, and how far the silence clock ran ahead after some of them."""
    events = draw(worlds() | worlds(Shape(users=("ada",), most=12)))
    arrived = draw(arrivals(events))
    return arrived, draw(st.dictionaries(st.integers(0, len(arrived) - 1), st.sampled_from(AHEAD), max_size=4))


def run_with(arrived: list[Event], silences: dict[int, int], through: int = 0) -> PartitionRun:
    run = PartitionRun()
    for at, event in enumerate(arrived):
        run.feed([event])
        if at in silences:
            run.advance(run.engine.newest + silences[at])
    run.close(max(through, *(event.ts + 40 * DAY_MS for event in arrived)))
    return run


@given(with_silences())
def test_a_silence_clock_ahead_of_the_log_leaves_the_settled_profiles_alone(
    log: tuple[list[Event], dict[int, int]],
) -> None:
    arrived, silences = log
    ahead, by_log = run_with(arrived, silences), run_with(arrived, {})
    assert ahead.store.keys() == by_log.store.keys()
    for user in by_log.store:
        assert ahead.engine.settled(user) == by_log.engine.settled(user)


@given(with_silences())
def test_a_silence_clock_ahead_of_the_log_leaves_the_labels_alone(log: tuple[list[Event], dict[int, int]]) -> None:
    arrived, silences = log
    assert run_with(arrived, silences).labels() == run_with(arrived, {}).labels()


@given(with_silences())
def test_a_silence_clock_ahead_of_the_log_loses_no_score(log: tuple[list[Event], dict[int, int]]) -> None:
    run = run_with(*log)
    facts = run.facts
    assert facts["opened"] == facts["churned"] + facts["returned"] + facts["erased"] + run.pending()
    assert run.engine.stages.total() == len(run.store)


@given(with_silences())
def test_a_silence_clock_ahead_of_the_log_ends_with_the_same_last_word(log: tuple[list[Event], dict[int, int]]) -> None:
    # Of who is forgotten nothing more is told: where the clock goes so far ahead there is no last word to compare.
    arrived, silences = log[0], {at: ahead for at, ahead in log[1].items() if ahead < 700 * DAY_MS}
    furthest = max((max(event.ts for event in arrived[: at + 1]) + ahead for at, ahead in silences.items()), default=0)
    assert run_with(arrived, silences, furthest).last_told() == run_with(arrived, {}, furthest).last_told()


@given(worlds(), st.integers(1, 400))
def test_what_is_older_than_a_year_behind_w_is_rejected(events: list[Event], days: int) -> None:
    run = PartitionRun()
    run.feed(events)
    ts = run.engine.watermark - 365 * DAY_MS - days
    stored = dict(run.store)
    run.feed([msgspec.structs.replace(click(ts, "ada", event_id="old"))])
    assert run.rejected == ["old"]
    assert run.store == stored
