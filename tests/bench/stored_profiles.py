"""Stored profiles of as many users as asked: a real engine makes a few thousand, which are given to others as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from streams.core.cleaning import clean, cleaning_policy
from streams.core.engine import PartitionEngine
from streams.core.events import Event, Kind, Position
from streams.core.stored_profile import Header, Stored, read_header, repacked, unpack_profile
from tests.bench.reference_logs import W1, ReferenceLog, rows
from tests.support.partition_runs import POLICY
from tests.support.scorers import DailyCuts

SAMPLE: Final = W1.scaled(40_000)
SLICE: Final = 5_000
_KINDS: Final = {"click": Kind.CLICK, "search": Kind.SEARCH, "purchase": Kind.PURCHASE}


class Sample(NamedTuple):
    """Profiles as an engine left them at the end of a log, and the instants it had come to."""

    profiles: Sequence[tuple[Header, Stored]]
    watermark: int
    newest: int
    clock: int

    def value(self, number: int, user_id: str, writer: int) -> bytes:
        """What is stored of user ``number``: the profile of one of the sample, under another name."""
        header, stored = self.profiles[number % len(self.profiles)]
        theirs = msgspec.structs.replace(
            stored, open=[msgspec.structs.replace(event, user_id=user_id) for event in stored.open]
        )
        return repacked(theirs, header, writer=writer)


def user_name(number: int) -> str:
    """A user id of a usual length.

    >>> user_name(7)
    'user-0000007'
    """
    return f"user-{number:07d}"


def events(log: ReferenceLog) -> Iterator[Event]:
    """The events of a log, cleaned as a worker cleans them."""
    policy = cleaning_policy(POLICY)
    for number, row in enumerate(rows(log)):
        kind = _KINDS[row.pop("event_type")]
        event = clean(
            row,
            kind,
            position=Position(kind.name.lower(), 0, number),
            record_id=f"{log.id}-{number}",
            published_ms=row["ts"],
            policy=policy,
        )
        assert isinstance(event, Event), event
        yield event


def sample(log: ReferenceLog = SAMPLE) -> Sample:
    """The stored profiles at the end of a log, scores that wait and what was told of them included."""
    store: dict[str, bytes] = {}
    engine = PartitionEngine(POLICY, store, horizon_days=30, mode="live")
    cuts, found = DailyCuts(), list(events(log))
    for at in range(0, len(found), SLICE):
        for user_id in engine.process(found[at : at + SLICE], cuts).changed:
            if (value := engine.encoded(user_id)) is None:
                store.pop(user_id, None)
            else:
                store[user_id] = value
    profiles = [(read_header(value), unpack_profile(value)) for value in store.values()]
    return Sample(profiles, engine.watermark, engine.newest, engine.clock)
