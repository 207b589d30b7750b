"""The engine beside the naive oracle on customers of the real logs, shuffled within the grace."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import islice

import pytest

from streams.core.cleaning import CleaningPolicy, clean
from streams.core.events import DAY_MS, Event, Position
from streams.replay.files import open_log, record_id
from tests.support.oracle import is_known, truth
from tests.support.oracle_check import assert_same, by_user
from tests.support.partition_runs import HORIZON_DAYS, POLICY, PartitionRun
from tests.support.shared_logs import real_log
from tests.support.worlds import arrival

MOST_EVENTS = 40
USERS = 40
FIRST_ROWS = 40_000


def customers(name: str, rng: random.Random) -> list[Event]:
    """All events, in the first rows of a log, of some users who have few enough for the oracle."""
    log = open_log(real_log(name))
    events: dict[str, list[Event]] = defaultdict(list)
    for record in islice(log.records(), FIRST_ROWS):
        if record.kind is not None:
            event = clean(
                record.raw,
                record.kind,
                position=Position(log.path.name, 0, record.row),
                record_id=record_id(log.digest, record.row),
                published_ms=1_900_000_000_000,
                policy=CleaningPolicy(),
                from_file=True,
            )
            if isinstance(event, Event):
                events[event.user_id].append(event)
    users = sorted(user for user, own in events.items() if len(own) <= MOST_EVENTS)
    return [event for user in rng.sample(users, min(USERS, len(users))) for event in events[user]]


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    ["cdnow", "taobao_users_dev", "complete_journey_dev", "rees46_sample", "google_merch", "retailrocket_sample"],
)
def test_states_and_labels_of_real_customers_are_what_the_oracle_says(name: str) -> None:
    rng = random.Random(name)
    events = sorted(customers(name, rng), key=lambda event: event.sort_key)
    end = events[-1].ts + rng.choice((0, DAY_MS, 40 * DAY_MS))
    run = PartitionRun()
    run.feed(arrival(rng.choice, events))
    run.close(end)
    for user, own in by_user(events).items():
        if not is_known(own, end, POLICY):
            continue
        assert_same(run.state(user), own, end)
        known = truth(own, end, POLICY, HORIZON_DAYS)
        assert known is not None
        assert {one.as_of_ms: one.churned for one in run.examples if one.user_id == user} == {
            one.as_of: not one.returned for one in known.observations if one.due <= end
        }
