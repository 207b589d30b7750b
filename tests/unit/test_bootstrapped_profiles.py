"""What a bootstrap brought is not counted again: every profile says through which instant everything is in."""

from __future__ import annotations

import pytest

from streams.core.errors import StateError
from streams.core.events import DAY_MS, Event, Kind
from streams.core.fold import Fold
from streams.core.profile import decode_profile
from streams.core.state import NO_TIME
from streams.core.stored_profile import Bootstrapped, Stored, pack_profile, read_header, unpack_profile
from tests.support.partition_runs import COMPILED, HORIZON_DAYS, PartitionRun
from tests.support.scorers import FixedScorer
from tests.support.worlds import START, click, purchase, search

FOLD = Fold(COMPILED, HORIZON_DAYS * DAY_MS)
END = START + 9 * DAY_MS
HISTORY = [
    purchase(START, event_id="a", offset=-1),
    search(START + DAY_MS, event_id="b"),
    click(START + 2 * DAY_MS, "v", event_id="c"),
]


def brought() -> PartitionRun:
    """A partition that goes on from a run over the history, as a worker does after a bootstrap."""
    past = PartitionRun(FixedScorer(0.4))
    past.feed(HISTORY)
    past.close(END)
    past.engine.applied_until = END
    run = PartitionRun(FixedScorer(0.4))
    for user_id in list(past.engine.users()):
        value = past.engine.encoded(user_id)
        assert value is not None
        run.store[user_id] = value
        run.engine.restore(user_id, value)
    run.engine.watermark = run.engine.newest = END + 1
    run.engine.clock = run.engine.applied_until = END
    return run


def again(event: Event, offset: int) -> Event:
    """The same event, as it stands in a topic without an event_id."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return Event(**{**fields, "id": f"clicks-0-{offset}", "named": False, "offset": offset})


def test_the_history_that_comes_again_is_skipped_and_counted() -> None:
    run = brought()
    before = dict(run.store)
    step = run.feed([again(event, offset) for offset, event in enumerate(HISTORY)])
    assert (step.facts.bootstrapped, step.facts.accepted, step.outputs, step.changed) == (3, 0, [], {})
    assert run.store == before


def test_it_is_counted_by_input() -> None:
    step = brought().feed([again(HISTORY[0], 0)])
    assert step.facts.by_input == {(Kind.PURCHASE, "bootstrapped"): 1}


def test_an_event_of_the_last_instant_is_in() -> None:
    assert brought().feed([click(END, event_id="x", offset=7)]).facts.bootstrapped == 1


def test_an_event_behind_it_counts() -> None:
    run = brought()
    run.feed([click(END + 1, event_id="x", offset=7)])
    assert (run.facts["accepted"], decode_profile("u", run.store["u"], FOLD).view.clicks) == (1, 1)


def test_somebody_whom_the_bootstrap_did_not_bring_has_no_history_either() -> None:
    run = brought()
    assert run.feed([click(END - 5, "stranger", event_id="x", offset=7)]).facts.bootstrapped == 1
    assert "stranger" not in run.store


def test_who_comes_new_keeps_it_too() -> None:
    run = brought()
    run.feed([click(END + 1, "new", event_id="x", offset=7)])
    assert decode_profile("new", run.store["new"], FOLD).applied_until == END


def test_a_profile_keeps_it_over_changes() -> None:
    run = brought()
    run.feed([click(END + 1, event_id="x", offset=7)])
    assert decode_profile("u", run.store["u"], FOLD).applied_until == END


def test_a_profile_skips_by_itself_where_its_partition_knows_of_nothing() -> None:
    run = brought()
    run.engine.applied_until = NO_TIME
    assert run.feed([again(HISTORY[0], 0)]).facts.bootstrapped == 1


def test_who_was_never_bootstrapped_is_stored_as_before() -> None:
    run = PartitionRun(FixedScorer(0.4))
    run.feed(HISTORY)
    assert type(unpack_profile(run.store["u"])) is Stored


def test_a_bootstrapped_profile_is_stored_again_as_it_was() -> None:
    value = brought().store["u"]
    stored, header = unpack_profile(value), read_header(value)
    assert isinstance(stored, Bootstrapped)
    fields = {name: getattr(header, name) for name in ("writer", "silence_at", "maturity_at", "stage", "tier", "band")}
    assert pack_profile(stored, **fields, policy=header.policy) == value


def test_a_bootstrapped_profile_that_was_cut_short_is_refused() -> None:
    value = brought().store["u"]
    with pytest.raises(StateError, match="damaged"):
        unpack_profile(value[:-1])
