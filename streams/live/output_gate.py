"""Whether a partition's outputs go out or are held, and what becomes of those that were held.

While the gate holds, segment changes and risks go to ``held-outputs`` instead of their own topics, in order, with their
ids; portraits wait, as the newest is all that a reader of ``user-profiles`` wants. Everything else goes on: state,
changelog, acks, learning, late events, dead letters, and the end of a portrait (nobody's erasure waits).

What is held is recorded *before* the profiles of its slice: else a crash between the two would leave profiles that have
applied events whose outputs nobody knows of. What was carried out is recorded *behind* what it did: a crash between the
two repeats it, and an output that is released twice has one id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec

from streams.codec import decode
from streams.core.alignment import UNKNOWN
from streams.core.breaker import Breaker
from streams.core.instants import format_instant
from streams.core.output_hold import Hold, Holding, begun, counted, decode_holding, encode_holding
from streams.core.ports import Output, Seen, Step
from streams.hold_notices import DISCARD, hold_notice
from streams.live.changelog import ChangelogReader, Write
from streams.live.effects import Effects, EffectsInOrder
from streams.live.fence import HOLD_KEY, RESERVED
from streams.live.held_log import HeldLog, HeldRecord
from streams.live.hold_feed import Notices
from streams.live.observer import Observer
from streams.live.seams import Engine, steady_s
from streams.topics import SEGMENT_CHANGES

log = logging.getLogger(__name__)

AT_ONCE: Final = 2_000
"""Held outputs taken back, and portraits published, in one go."""
SAY_AGAIN_S: Final = 5.0
COUNT_EVERY_S: Final = 10.0
MOST_REMEMBERED: Final = 200_000
"""Users remembered as published; beyond it some are published twice, which a compacted topic forgives."""
_OF_SEGMENTS: Final = ("ce_type", f"ebbtide.{SEGMENT_CHANGES}".encode())


class Actor(Protocol):
    """What the gate needs of the partition owner."""

    @property
    def stopping(self) -> bool:
        """Whether the partition is to be released."""

    async def took(self, step: Step, *, force: bool = False) -> bool:
        """Make a step take effect."""

    def portraits_of(self, users: Sequence[str]) -> Iterator[tuple[str, Output | None]]:
        """Portraits as of now."""

    def beat(self) -> None:
        """Still alive."""


class OpenGate:
    """A gate that never holds anything."""

    holds = False

    def watch(self, seen: Sequence[Seen], portraits_from: int) -> None:
        """Nobody looks."""

    def appended(self, batches: Sequence[tuple[int, int]]) -> None:
        """Nothing is held."""

    def writes(self) -> list[Write]:
        """Nothing is to be stored."""
        return []

    async def settle(self, actor: Actor) -> bool:
        """Nothing is to be decided."""
        return False

    async def say(self) -> None:
        """Nothing is to be said."""


class OutputGate:
    """The gate of one partition.

    Parameters
    ----------
    partition, engine, effects
        Whose outputs, and how they go out.
    breaker
        Trips; None where nothing is to be held from now on. What is held already stays so until somebody decides.
    stored
        What was stored under :data:`~streams.live.fence.HOLD_KEY`; None where nothing was.
    held, changelog
        Read back what is held, and whose profile changed meanwhile.
    changelog_end
        Offset of our last changelog record.
    notices
        What was decided.
    now_ms
        Wall clock, ms.
    """

    def __init__(
        self,
        partition: int,
        engine: Engine,
        effects: EffectsInOrder,
        breaker: Breaker | None,
        stored: bytes | None,
        held: HeldLog,
        changelog: ChangelogReader,
        notices: Notices,
        observer: Observer,
        *,
        changelog_end: Callable[[], int],
        now_ms: Callable[[], int],
    ) -> None:
        holding = decode_holding(stored)
        self.hold: Hold | None = holding.hold
        self._partition = partition
        self._engine = engine
        self._effects = effects
        self._breaker = breaker
        if breaker is not None:
            breaker.trusted = holding.trusted
        self._stored = holding
        self._held = held
        self._changelog = changelog
        self._changelog_end = changelog_end
        self._notices = notices
        self._observer = observer
        self._now_ms = now_ms
        self._settled: tuple[Hold, str] | None = None
        self._said: tuple[int, int] | None = None
        self._said_at = float("-inf")
        observer.holding(partition, self.hold is not None, 0)

    # -- holding -----------------------------------------------------------------------------------------------------

    @property
    def holds(self) -> bool:
        """Whether outputs are held now."""
        return self.hold is not None

    def watch(self, seen: Sequence[Seen], portraits_from: int) -> None:
        """Take note of who was seen; from here on outputs may be held.

        ``portraits_from`` is the changelog offset from which on changed profiles may not have been published.
        """
        breaker = self._breaker
        if breaker is None or (self.hold is not None and not breaker.tripped):
            return
        trip = breaker.saw(seen)
        if self.hold is not None and seen:
            self.hold = counted(self.hold, breaker.figures())
        if trip is None:
            return
        self.hold = begun(
            breaker.figures(),
            breaker.share,
            at=self._changelog_end() + 1,
            tripped_ms=self._now_ms(),
            portraits_from=portraits_from,
        )
        log.warning(
            "Outputs of partition %d are held: %s in the minute from %s, more than %s. State and learning go on. "
            "Look with `ebbtide outputs`, then decide: `ebbtide outputs release` or `ebbtide outputs discard`.",
            self._partition,
            self.hold.reason(),
            format_instant(trip.minute_ms),
            f"{self.hold.share:.0%}",
        )

    def appended(self, batches: Sequence[tuple[int, int]]) -> None:
        """Outputs now stand in ``held-outputs``: (base offset, number of records) of every batch."""
        hold = self.hold
        if hold is None or not batches:
            return
        count = sum(records for _, records in batches)
        last, records = batches[-1]
        first = batches[0][0] if hold.first == UNKNOWN else hold.first
        self.hold = msgspec.structs.replace(hold, first=first, next=last + records, count=hold.count + count)
        self._observer.holding(self._partition, True, count)

    def writes(self) -> list[Write]:
        """What is to be stored, before the profiles; [] where it is stored already."""
        trusted = self._stored.trusted if self._breaker is None else self._breaker.trusted
        holding = Holding(hold=self.hold, trusted=trusted)
        if holding == self._stored:
            return []
        self._stored = holding
        return [(HOLD_KEY, encode_holding(holding))]

    # -- deciding ----------------------------------------------------------------------------------------------------

    async def settle(self, actor: Actor) -> bool:
        """Carry out what was decided about the hold; whether there was anything to carry out.

        Nothing else happens in the partition meanwhile, so what is released stands before what comes after it.
        """
        hold = self.hold
        decision = None if hold is None else self._notices.decision(self._partition, hold.id)
        if hold is None or decision is None:
            return False
        log.info("Held outputs of partition %d: %s (%d outputs).", self._partition, decision, hold.count)
        carried_out = await (self._discard(actor) if decision == DISCARD else self._release(actor))
        if not carried_out or not await self._publish_portraits(actor, hold):
            return True  # the partition is to be released: its next owner goes on
        self.hold = None
        self._settled = (hold, decision)
        if self._breaker is not None:
            self._breaker.reset() if decision == DISCARD else self._breaker.trust()
        await actor.took(Step(), force=True)
        self._observer.holding(self._partition, False, 0)
        log.info("Outputs of partition %d go out again.", self._partition)
        await self.say()
        return True

    async def _release(self, actor: Actor) -> bool:
        """Send what is held where it belongs, the oldest first."""
        hold = self.hold
        assert hold is not None
        async for records in self._held.read(hold.first, hold.next):
            await self._effects.forward(records)
            self.hold = hold = msgspec.structs.replace(hold, first=records[-1].offset + 1)
            await actor.took(Step(), force=True)
            actor.beat()
            if actor.stopping:
                return False
        return True

    async def _discard(self, actor: Actor) -> bool:
        """Take back, the newest first, what the world is never told: what it then knows last is what it was told."""
        while (hold := self.hold) is not None and hold.first < hold.next:
            begin = max(hold.first, hold.next - AT_ONCE)
            records = [record async for portion in self._held.read(begin, hold.next) for record in portion]
            await actor.took(self._engine.untell([_change(one) for one in reversed(records) if _is_change(one)]))
            self.hold = msgspec.structs.replace(hold, next=begin)
            await actor.took(Step(), force=True)
            actor.beat()
            if actor.stopping:
                return False
        return True

    async def _publish_portraits(self, actor: Actor, hold: Hold) -> bool:
        """The portrait of today, for everybody whose portrait was not published meanwhile."""
        published: set[bytes] = set()
        async for records in self._changelog.read(hold.portraits_from, self._changelog_end()):
            fresh = {one.key for one in records if not one.key.startswith(RESERVED)} - published
            if len(published) > MOST_REMEMBERED:
                published.clear()
            published |= fresh
            users = sorted(key.decode() for key in fresh)
            for at in range(0, len(users), AT_ONCE):
                await self._effects.publish(Effects(portraits=actor.portraits_of(users[at : at + AT_ONCE])))
                actor.beat()
                if actor.stopping:
                    return False
        return True

    # -- saying ------------------------------------------------------------------------------------------------------

    async def say(self) -> None:
        """Keep ``output-holds`` in step with what is held."""
        hold = self.hold
        standing = (UNKNOWN, 0) if hold is None else (hold.id, hold.count)
        told = self._notices.told(self._partition)
        since_s = steady_s() - self._said_at
        unsaid = self._said is None or self._said[0] != standing[0] or since_s >= SAY_AGAIN_S
        news = (UNKNOWN if told is None else told) != standing[0] and unsaid
        grown = hold is not None and self._said != standing and since_s >= COUNT_EVERY_S
        if not (news or grown):
            return
        key, body = hold_notice(self._partition, hold, self._settled)
        await self._effects.notify(key, body)
        self._said, self._said_at = standing, steady_s()


def _is_change(record: HeldRecord) -> bool:
    return _OF_SEGMENTS in record.headers


def _change(record: HeldRecord) -> tuple[str, str, str | None]:
    body: dict[str, Any] = decode(record.value or b"")
    return body["user_id"], body["dimension"], body["previous"]
