"""A user's profile: settled bytes, open events, the view folded from both, and what was told to the world.

*Settled* is folded in (ts, kind, id) order and is a function of the log alone. *Open* holds the events after it,
sorted. The *view* is the fold of open onto settled with every deadline in between fired in order; decisions come from
it. When everything open has settled and the view has gone no further, the view *is* the settled state and is adopted
as it stands: that is what makes the usual, in-order case cost one fold per event.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, cast

import msgspec

from streams.core.events import Event, Kind
from streams.core.fold import Fold
from streams.core.hashing import stable_hash
from streams.core.instants import LAST_INSTANT
from streams.core.refold_marks import MARK_EVERY, Mark, Marks, Walk
from streams.core.remembering import identity
from streams.core.state import FAR, MAX_IDS, NO_TIME, Observation, State, decode_state, encode_state
from streams.core.stored_profile import (
    Bootstrapped,
    Delivery,
    Stored,
    damaged,
    pack_profile,
    unpack_profile,
)
from streams.core.tally import CHURN, PROPENSITY

MAX_OPEN: Final = 128
MOST_OPEN: Final = 1_280
"""Open events at most, whatever orders they belong to: each that comes out of order may fold all of them again."""
MOST_OPEN_BYTES: Final = 400_000
"""Open purchases take no more than this in the stored value, which has to fit what a broker takes (1 MiB)."""
PACK_FROM: Final = 8
"""Open events from which each is packed once and kept so: whoever is busy is stored with every slice."""
AFTER_EVENTS: Final = len(Kind)
"""The place of a deadline among the kinds of its instant: behind all events."""
Ripe = tuple[str, Observation]
"""A head, and a score of it whose label is decided."""
EMPTY_STATE: Final = encode_state(State())
_encode: Final = msgspec.msgpack.Encoder().encode


class Profile:
    """A decoded profile, as the engine holds it."""

    __slots__ = (
        "_marks",
        "_open_ids",
        "_packed",
        "applied",
        "applied_until",
        "delivery",
        "open",
        "open_bytes",
        "settled",
        "settled_key",
        "settled_through",
        "user_hash",
        "user_id",
        "view",
    )

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.user_hash = stable_hash(user_id)
        self.settled = EMPTY_STATE
        self.settled_through = NO_TIME
        self.settled_key: tuple[int, int, str] | None = None
        self.open: list[Event] = []
        self.open_bytes = 0
        """What the open purchases take when stored; other events are small, and few."""
        self.delivery = Delivery()
        self.applied: list[tuple[int, int]] = [(0, -1)] * len(Kind)
        self.applied_until = NO_TIME
        """Events at or before it are in: a bootstrap brought them."""
        self.view = State()
        self._marks = Marks()
        self._open_ids: set[tuple[int, str]] = set()
        self._packed: list[msgspec.Raw] = []
        """The first of the open events, as they are stored."""

    # -- reading -----------------------------------------------------------------------------------------------------

    def is_late(self, event: Event, watermark: int) -> bool:
        """Whether the instant of an event is settled already."""
        return event.ts < watermark or (self.settled_key is not None and event.sort_key <= self.settled_key)

    def knows(self, event: Event) -> bool:
        """Whether an event with this event_id is in, as far back as ids are kept."""
        if identity(event) in self.view.ids:
            return True
        # The view forgets ids beyond the newest 32; what is open is still whole.
        if len(self.open) <= MAX_IDS // 2:
            return False
        if len(self._open_ids) != len(self.open):
            self._open_ids = {(other.kind, other.id) for other in self.open}
        return (event.kind, event.id) in self._open_ids

    def follows(self, event: Event) -> bool:
        """Whether an event comes after everything in the view, so that the view can simply go on."""
        if event.ts <= self.view.fired:
            return False
        return not self.open or self.open[-1].sort_key <= event.sort_key

    @property
    def maturity_at(self) -> int:
        """The instant that W has to pass for something to be released: a label, or the end of the profile."""
        view = self.view
        if view.pending or view.expected:
            return min(waiting[0].due for waiting in (view.pending, view.expected) if waiting)
        return FAR if view.since >= 0 else view.fired

    # -- folding -----------------------------------------------------------------------------------------------------

    def refold(self, fold: Fold, clock: int, walk: Walk | None = None) -> None:
        """Make the view anew: settled, then what is open, with the deadlines in between and up to the clock."""
        marks = self._marks
        begin, encoded, walked = marks.nearest(self.settled, walk)
        state = decode_state(encoded)
        if state.next_at < 0:
            raise ValueError(f"the next deadline is {state.next_at}")
        user_hash, open_events = self.user_hash, self.open
        told = None if walk is None else walk.told
        quiet, marked = walked is None, begin
        for at in range(begin, len(open_events)):
            event = open_events[at]
            if at - marked >= MARK_EVERY and (quiet or walk is not None):
                heard = None if quiet or walk is None else walk.walked()
                marks.leave(Mark(at, encode_state(state), heard))
                marked = at
            if state.next_at < event.ts:
                quiet = False
                fold.advance(state, event.ts - 1, user_hash, told)
            _, opened, _ = fold.apply(state, event, user_hash)
            if opened:
                quiet = False
                if walk is not None:
                    walk.ordered(state, event)
        fold.advance(state, clock, user_hash, told)
        self.view = state

    def settle(self, fold: Fold, through: int) -> list[Ripe]:
        """Settle every event and deadline at or before an instant, and take out the labels it decides, with their head.

        The view must have fired its own deadlines up to there.
        """
        if through <= self.settled_through:
            return []
        view, open_events = self.view, self.open
        if (not open_events or open_events[-1].ts <= through) and view.fired <= through < view.next_at:
            ripe = _take_ripe(view, through)
            self.settled = encode_state(view)
            open_events.clear()
            self._packed.clear()
            self.open_bytes = 0
            self._open_ids.clear()
        else:
            count = 0
            for event in open_events:
                if event.ts > through:
                    break
                count += 1
            state = self._folded(fold, count, through)
            ripe = _take_ripe(state, through)
            self.settled = encode_state(state)
            _take_ripe(view, through)
        self.settled_through = through
        self.settled_key = None
        self.delivery.settle_bands((through, AFTER_EVENTS, ""))
        return ripe

    def settle_early(self, fold: Fold, keep: int) -> int:
        """Settle all but the newest open events before their time; how many is returned."""
        count = len(self.open) - keep
        # Whatever shares the instant of the last one that stays open, stays open with it or goes with it by key.
        last = self.open[count - 1]
        self.settled = encode_state(self._folded(fold, count, last.ts - 1))
        self.settled_key = last.sort_key
        self.delivery.settle_bands(last.sort_key)
        self.settled_through = max(self.settled_through, last.ts - 1)
        return count

    def _folded(self, fold: Fold, count: int, through: int) -> State:
        state = decode_state(self.settled)
        user_hash = self.user_hash
        for event in self.open[:count]:
            fold.advance(state, event.ts - 1, user_hash)
            fold.apply(state, event, user_hash)
        fold.advance(state, through, user_hash)
        del self.open[:count]
        del self._packed[:count]
        self.open_bytes = _bytes_of(self.open)
        self._open_ids.clear()
        return state

    def insert(self, event: Event) -> None:
        """Keep an event among the open ones, in order."""
        if self._open_ids:
            self._open_ids.add((event.kind, event.id))
        if event.lines:
            self.open_bytes += len(_encode(event))
        if not self.open or self.open[-1].sort_key <= event.sort_key:
            self.open.append(event)
        else:
            at = bisect_right(self.open, event.sort_key, key=_key)
            self.open.insert(at, event)
            if at < len(self._packed):
                self._packed.insert(at, _raw(event))
            self._marks.inserted(at)

    def to_keep_open(self) -> int | None:
        """How many of the newest open events there is room for; None while there is room for all."""
        count = len(self.open)
        if self.open_bytes > MOST_OPEN_BYTES:
            room, kept = MOST_OPEN_BYTES // 2, 0
            for event in reversed(self.open):
                room -= len(_encode(event))
                if room < 0:
                    break
                kept += 1
            return kept
        if count > MAX_OPEN and count % (MAX_OPEN // 2) == 0 and (count > MOST_OPEN or self.open_size() > MAX_OPEN):
            return MAX_OPEN // 2
        return None

    def open_size(self) -> int:
        """Open entries; the lines of one order at one instant count once."""
        if len(self.open) <= MAX_OPEN:
            return len(self.open)
        return len({(e.ts, e.kind, e.order_key if e.kind == Kind.PURCHASE else e.id) for e in self.open})

    # -- storing -----------------------------------------------------------------------------------------------------

    def encode(self, writer: int, policy: int) -> bytes:
        """The value to store."""
        view, delivery = self.view, self.delivery
        opened = self.open if len(self.open) < PACK_FROM else cast(list[Event], self._pack())
        fields = (self.settled, self.settled_through, self.settled_key, opened, view.fired, delivery, self.applied)
        return pack_profile(
            Stored(*fields) if self.applied_until == NO_TIME else Bootstrapped(*fields, self.applied_until),
            writer=writer,
            silence_at=view.next_at,
            maturity_at=self.maturity_at,
            stage=view.stage,
            tier=view.tier,
            band=delivery.band,
            policy=policy,
        )

    def _pack(self) -> list[msgspec.Raw]:
        """All open events as they are stored."""
        packed = self._packed
        packed += map(_raw, self.open[len(packed) :])
        return packed


def _raw(event: Event) -> msgspec.Raw:
    return msgspec.Raw(_encode(event))


def _key(event: Event) -> tuple[int, int, str]:
    return event.sort_key


def _bytes_of(events: Iterable[Event]) -> int:
    return sum(len(_encode(event)) for event in events if event.lines)


def _take_ripe(state: State, through: int) -> list[Ripe]:
    expected, pending = state.expected, state.pending
    ripe_expected: list[Observation] = []
    if expected and expected[0].due <= through:
        ripe_expected = [observation for observation in expected if observation.due <= through]
        state.expected = expected[len(ripe_expected) :]
    ripe: list[Observation] = []
    if pending and pending[0].due <= through:
        ripe = [observation for observation in pending if observation.due <= through]
        state.pending = pending[len(ripe) :]
    for observation in reversed(ripe):
        # A label of somebody forgotten since then says nothing about who came after.
        if not observation.returned and 0 <= state.first_seen <= observation.as_of:
            state.last_churned = (observation.as_of, observation.due)
            break
    return [*((CHURN, one) for one in ripe), *((PROPENSITY, one) for one in ripe_expected)]


def decode_profile(user_id: str, value: bytes, fold: Fold) -> Profile:
    """Decode a stored profile and fold its view as far as it was told.

    Raises
    ------
    StateError
        Damaged, foreign or newer bytes.
    """
    where = f"The stored profile of hash {stable_hash(user_id):x}"
    stored = unpack_profile(value, where)
    profile = Profile(user_id)
    profile.settled = stored.settled
    profile.settled_through = stored.settled_through
    profile.settled_key = stored.settled_key
    profile.open = stored.open
    profile.open_bytes = _bytes_of(stored.open)
    profile.delivery = stored.delivery
    profile.applied = stored.applied
    if type(stored) is Bootstrapped:
        profile.applied_until = stored.applied_until
    if len(stored.applied) != len(Kind):
        raise damaged(where, "it does not hold together")
    # Beyond the calendar there would be deadlines to fire for ever.
    if stored.fired > LAST_INSTANT or any(event.ts > LAST_INSTANT for event in stored.open):
        raise damaged(where, "it names an instant that does not exist")
    try:
        profile.refold(fold, stored.fired)
    except (msgspec.DecodeError, LookupError, ArithmeticError, TypeError, ValueError) as error:
        # The checksum fits, so somebody wrote it on purpose: another program, or a hand.
        raise damaged(where, f"it does not fold, {type(error).__name__}: {error}") from error
    return profile
