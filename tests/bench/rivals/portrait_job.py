"""The whole job, one event at a time, as the rivals run it: Ebbtide's own decoding, cleaning, engine and messages.

Only what a framework is for is left to the framework: reading, state, sending, committing. Nothing here is batched,
as an application on these frameworks is handed one event at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from models.serving import Cuts
from streams.cloud_events import cloud_event_headers
from streams.codec import decode, encode
from streams.core.cleaning import clean, cleaning_policy
from streams.core.engine import PartitionEngine
from streams.core.events import Event, Position
from streams.core.messages import example_body
from streams.core.ports import Output
from streams.core.profile_cache import ProfileStore
from streams.model_records import SCHEMAS, new_cuts
from streams.policies.reader import read_policy
from streams.topics import (
    CHURN_RISK,
    CUSTOMER_VALUE,
    LATE_EVENTS,
    PURCHASE_PROPENSITY,
    SEGMENT_CHANGES,
    TRAINING_EXAMPLES,
    USER_PROFILES,
)

HORIZON_DAYS: Final = 30
PORTRAIT_EVERY_S: Final = 60.0
OUTPUTS: Final = (
    SEGMENT_CHANGES,
    CHURN_RISK,
    PURCHASE_PROPENSITY,
    CUSTOMER_VALUE,
    LATE_EVENTS,
    TRAINING_EXAMPLES,
    USER_PROFILES,
)
"""Where its messages go."""
KINDS: Final = {"click": 0, "search": 1, "purchase": 2}


class Message(NamedTuple):
    """One record to send; ``topic`` without prefix."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Applied(NamedTuple):
    """What one event leads to."""

    changed: dict[str, bytes | None]
    """The profiles to store, by user; None deletes."""
    messages: list[Message]


class NoStore:
    """For engines that keep all of their profiles themselves."""

    def get(self, user_id: str, /) -> bytes | None:
        """Nothing is stored."""
        return None


class OneUser:
    """What is stored of the user whose event it is: all that a keyed state shows."""

    def __init__(self) -> None:
        self.user_id, self.value = "", None  # type: str, bytes | None

    def get(self, user_id: str, /) -> bytes | None:
        """The stored profile of that user, nothing of anybody else's."""
        return self.value if user_id == self.user_id else None


def totals_of(profiles: Mapping[str, bytes]) -> dict[str, Any]:
    """By user, what their portrait says of events, orders and money so far, from the profile as it is stored."""
    engine = PartitionEngine(read_policy(None), profiles, horizon_days=HORIZON_DAYS, mode="live")
    portraits = ((user_id, engine.portrait(user_id)) for user_id in profiles)
    return {user_id: portrait.body["totals"] for user_id, portrait in portraits if portrait is not None}


def cuts_from(path: str) -> Cuts:
    """The models to score with."""
    cuts = new_cuts(HORIZON_DAYS)
    for line in Path(path).read_bytes().splitlines():
        cuts.add(decode(line), own=True)
    return cuts


class PortraitJob:
    """What an application does with an event; frameworks wrap their reading, state and sending around it.

    Parameters
    ----------
    cuts
        The models to score with, see :func:`cuts_from`.
    source
        Who says so, in the messages' headers.
    """

    def __init__(self, cuts: Cuts, source: str) -> None:
        self._cuts = cuts
        self._source = source
        self._policy = read_policy(None)
        self._cleaning = cleaning_policy(self._policy)
        self._published: dict[str, float] = {}

    def engine(self, store: ProfileStore, partition: int, *, cache_profiles: int | None) -> PartitionEngine:
        """An engine whose profiles are stored elsewhere; it keeps ``cache_profiles`` decoded ones between events."""
        return PartitionEngine(
            self._policy,
            store,
            horizon_days=HORIZON_DAYS,
            mode="live",
            partition=partition,
            cache_profiles=cache_profiles,
        )

    def event(self, value: bytes, position: Position, published_ms: int) -> Event:
        """Decode and clean a record."""
        raw = decode(value)
        cleaned = clean(
            raw,
            KINDS[raw["event_type"]],
            position=position,
            record_id=f"{position.topic}-{position.partition}-{position.offset}",
            published_ms=published_ms,
            policy=self._cleaning,
        )
        if not isinstance(cleaned, Event):
            raise AssertionError(f"the reference log holds a record that is rejected: {cleaned}")
        return cleaned

    def apply(self, engine: PartitionEngine, event: Event, *, store: bool = True) -> Applied:
        """One event through an engine; ``store`` where profiles are kept as bytes."""
        step = engine.process([event], self._cuts)
        if step.rejected:
            raise AssertionError(f"the engine rejected an event of the reference log: {step.rejected[0][1]}")
        changed = {user_id: engine.encoded(user_id) for user_id in step.changed} if store else {}
        messages = [self._message(output) for output in step.outputs]
        messages += [
            Message(
                TRAINING_EXAMPLES,
                example.user_id.encode(),
                encode(example_body(example, engine.partition, SCHEMAS[example.head])),
                [],
            )
            for example in step.examples
        ]
        messages += [self._message(portrait) for portrait in self._portraits(engine, step.portraits)]
        return Applied(changed, messages)

    def forget(self, engine: PartitionEngine) -> None:
        """Let an engine that keeps no decoded profiles let go of the last one too: the next event has another state."""
        engine.process([], self._cuts)

    def _portraits(self, engine: PartitionEngine, users: dict[str, None]) -> Iterator[Output]:
        """At most once a minute each, as Ebbtide publishes them."""
        now = time.monotonic()
        for user_id in users:
            if now - self._published.get(user_id, -PORTRAIT_EVERY_S) >= PORTRAIT_EVERY_S:
                portrait = engine.portrait(user_id)
                if portrait is not None:
                    self._published[user_id] = now
                    yield portrait

    def _message(self, output: Output) -> Message:
        headers = cloud_event_headers(output.id, output.topic, self._source, output.as_of_ms)
        return Message(output.topic, output.user_id.encode(), encode(output.body), headers)
