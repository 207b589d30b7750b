"""The engine: events and silence in, decisions out. The same for live, replay, backfill, tests and benchmarks.

One :class:`PartitionEngine` holds one partition: its log time, its deadline queues and a cache of decoded profiles. It
does no IO and reads no clock; every decision is made per event and per deadline, so no batch border shows in the
result. The caller stores what :meth:`PartitionEngine.encoded` gives for the users in ``Step.changed``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from streams.core.causes import Cause, by_event, by_policy
from streams.core.deadlines import DeadlineQueue, Roster
from streams.core.decisions import Decider, untold
from streams.core.events import DAY_MS, INPUT_TOPICS, MINUTE_MS, Event, Kind, Position
from streams.core.fold import Fold
from streams.core.instants import format_instant
from streams.core.labels import labelled
from streams.core.lifecycle import evaluate
from streams.core.messages import event_body
from streams.core.policy import Compiled, Policy
from streams.core.portrait import portrait
from streams.core.ports import ChurnScorer, Facts, Output, Rejection, Seen, Step
from streams.core.profile import MAX_OPEN, MOST_OPEN_BYTES, Profile
from streams.core.profile_cache import ProfileCache, ProfileStore
from streams.core.risk import CHURN_RISK
from streams.core.schedule import PROPENSITY_DAYS
from streams.core.state import NO_TIME, STAGE_NAMES, Observation, decode_state, encode_state
from streams.core.stored_profile import Delivery, read_header, read_turns
from streams.core.tally import BOUGHT, CHURN, CHURNED, ERASED, PROPENSITY, RETURNED, STATES, STAYED_AWAY
from streams.core.telling import Teller, unserve

GRACE_MS: Final = 10 * MINUTE_MS
MANY_OPEN: Final = 16
TOO_LATE_MS: Final = 365 * DAY_MS
_OUTCOMES: Final = {CHURN: (RETURNED, CHURNED), PROPENSITY: (BOUGHT, STAYED_AWAY)}
"""What a score comes to where its user bought within the horizon, and where not."""


class PartitionEngine:
    """The engine of one partition.

    Parameters
    ----------
    policy
        Every limit the engine decides by.
    store
        Read when a user is not in the cache.
    horizon_days
        H of the churn label, in days.
    propensity_days
        How far a propensity looks ahead, in days.
    mode
        ``live`` (wall clock) or ``replay`` (the log decides alone); goes into every message.
    partition
        Number of the partition, goes into training examples.
    grace_ms
        How far W stays behind the newest event time.
    cache_profiles
        Decoded profiles to keep; None for all of them (backfill keeps its state in memory anyway).
    redelivered
        Whether a record may be delivered again: then one at or below its user's applied offset is skipped. An offline
        run reads every record once, by event time: offsets may go back, and only say where it was.
    """

    def __init__(
        self,
        policy: Policy,
        store: ProfileStore | Mapping[str, bytes],
        *,
        horizon_days: int,
        propensity_days: int = PROPENSITY_DAYS,
        mode: str,
        partition: int = 0,
        grace_ms: int = GRACE_MS,
        cache_profiles: int | None = None,
        redelivered: bool = True,
    ) -> None:
        self.policy = Compiled(policy)
        self.partition = partition
        self.grace_ms = grace_ms
        self.mode = mode
        self.watermark = NO_TIME
        self.newest = NO_TIME
        self.clock = NO_TIME
        """Deadlines at or before it have fired into the views."""
        self.epochs = [0, 0, 0]
        """Epoch of each input topic; an applied offset of another epoch says nothing."""
        self.applied_until = NO_TIME
        """Events at or before it are in, or in no log that was loaded: the partition was bootstrapped."""
        self.stages: Counter[str] = Counter()
        """Users per stage."""
        self._fold = Fold(self.policy, horizon_days * DAY_MS, propensity_days)
        self._decider = Decider(self.policy, horizon_days, propensity_days, mode)
        self._teller = Teller(self.policy, self._fold, self._decider)
        self._roster = Roster()
        self._silence = DeadlineQueue(self._roster)
        self._maturity = DeadlineQueue(self._roster)
        self._profiles = ProfileCache(store, self._fold, cache_profiles)
        self._redelivered = redelivered
        self._unpolicied: dict[str, int] = {}
        """Users decided by another policy, and the stage they are counted in."""

    # -- what goes in ------------------------------------------------------------------------------------------------

    def process(self, events: Iterable[Event], model: ChurnScorer, *, head_bound: int | None = None) -> Step:
        """Apply events in merge order.

        Parameters
        ----------
        events
            Clean events; their instants need not ascend.
        model
            Hands out the cut to score with.
        head_bound
            Instant of the oldest record that waits in an undrained input: W stays the grace behind it.
        """
        self._profiles.begin()
        step = Step()
        for event in events:
            ts = event.ts
            if ts > self.newest:
                self._silence_until(ts - 1, model, step)
                self.newest = ts
            bound = self.newest if head_bound is None or head_bound > self.newest else head_bound
            if bound - self.grace_ms > self.watermark:
                self._raise_watermark(bound - self.grace_ms, model, step)
            self._event(event, model, step)
        self._profiles.trim(step.changed)
        return step

    def advance(self, clock_ms: int, model: ChurnScorer, *, watermark: int | None = None) -> Step:
        """Let silence pass.

        Parameters
        ----------
        clock_ms
            Deadlines at or before this instant fire into the views.
        watermark
            Where the log itself is known to have moved on without us: the new W.
        """
        self._profiles.begin()
        step = Step()
        self._silence_until(clock_ms, model, step)
        if watermark is not None:
            self.newest = max(self.newest, watermark)
            if watermark > self.watermark:
                self._raise_watermark(watermark, model, step)
        self._profiles.trim(step.changed)
        return step

    def restore(self, user_id: str, value: bytes) -> None:
        """Take note of a stored profile at start, from its header alone."""
        header = read_header(value)
        self.stages[STAGE_NAMES[header.stage]] += 1
        if header.policy != self.policy.fingerprint:
            self._unpolicied[user_id] = header.stage
            self._silence.file(user_id, NO_TIME)
        else:
            self._silence.file(user_id, header.silence_at)
        self._maturity.file(user_id, header.maturity_at)

    def restore_all(self, profiles: Iterable[tuple[bytes, bytes]]) -> None:
        """The same for many, by user id in UTF-8: a sixth of the memory, and of the time."""
        turns = read_turns(profiles, self.policy.fingerprint)
        silence_at = turns.silence_at
        if turns.other_policy:
            silence_at = list(silence_at)
            for number in turns.other_policy:
                self._unpolicied[turns.keys[number].decode()] = turns.stages[number]
                silence_at[number] = NO_TIME
        for stage, users in Counter(turns.stages).items():
            self.stages[STAGE_NAMES[stage]] += users
        self._roster.extend(turns.keys)
        self._silence.file_all(silence_at)
        self._maturity.file_all(turns.maturity_at)

    # -- what comes out ----------------------------------------------------------------------------------------------

    def encoded(self, user_id: str, writer: int = 0) -> bytes | None:
        """The value to store for a user; None for one who is forgotten."""
        profile = self._profiles.find(user_id)
        if profile is None:
            return None
        profile.applied_until = max(profile.applied_until, self.applied_until)
        return profile.encode(writer, self.policy.fingerprint)

    def portrait(self, user_id: str) -> Output | None:
        """The ``user-profiles`` message of a user as of its last change; None for one who is forgotten."""
        profile = self._profiles.find(user_id)
        return (
            None
            if profile is None or profile.view.since < 0
            else portrait(profile, self.mode, self._fold.propensity_days)
        )

    def untell(self, discarded: Iterable[tuple[str, str, str | None]]) -> Step:
        """Take back what the world was never told, as messages were discarded before they went out.

        What is known of the users stays. Where it differs from what the world was told last, the user's next change,
        scheduled score or new policy tells the difference; where it is the same again by then, nothing is told.

        Parameters
        ----------
        discarded
            (user, dimension, previous) of discarded segment changes, the newest first. Risk bands are left as they
            are: the way to the next one starts from them, and every score tells them.
        """
        self._profiles.begin()
        step = Step()
        for user_id, dimension, previous in discarded:
            profile = self._profiles.find(user_id)
            if profile is not None and untold(profile.delivery, dimension, previous):
                step.changed[user_id] = None
        self._profiles.trim(step.changed)
        return step

    def settled(self, user_id: str) -> bytes | None:
        """The settled state of a user as of W, byte for byte a function of the log."""
        profile = self._profiles.find(user_id)
        if profile is None:
            return None
        profile.settle(self._fold, self.watermark - 1)
        return profile.settled

    def pending(self, user_id: str) -> int:
        """Scheduled scores of a user that wait for their label."""
        profile = self._profiles.find(user_id)
        return 0 if profile is None else len(profile.delivery.served)

    def users(self) -> Iterable[str]:
        """Users in the cache (all of them where the cache is unbounded)."""
        return self._profiles.users()

    def score_now(self, user_id: str, at: int, model: ChurnScorer) -> list[Output]:
        """Score a customer as of an instant whatever the schedule; nothing of it is remembered."""
        profile = self._profiles.find(user_id)
        if profile is None or not profile.view.orders:
            return []
        cause = Cause("silence", f"asked:{at}", None, at)
        kept = profile.delivery
        profile.delivery = Delivery(seq=kept.seq, band=kept.band, explained=kept.explained)
        outputs: list[Output] = []
        self._decider.risk.score(profile, cause, at, None, model, outputs, Facts(), scheduled=False)
        profile.delivery = kept
        return [output for output in outputs if output.topic == CHURN_RISK]

    def __len__(self) -> int:
        """Users in the cache."""
        return len(self._profiles)

    def last_order(self, user_id: str) -> int:
        """Instant of a user's last order; -1 for who never bought."""
        profile = self._profiles.find(user_id)
        return NO_TIME if profile is None else profile.view.last_order

    # -- events ------------------------------------------------------------------------------------------------------

    def _event(self, event: Event, model: ChurnScorer, step: Step) -> None:
        facts, user_id = step.facts, event.user_id
        if event.ts <= self.applied_until:
            # The whole history may come before the first new event: nobody's profile is looked up for it.
            self._bootstrapped(event, facts)
            return
        profile = self._profiles.find(user_id) or self._profiles.fresh(user_id)
        if event.ts <= profile.applied_until:
            self._bootstrapped(event, facts)
            return
        if self._unpolicied and user_id in self._unpolicied:
            self._new_policy(profile, model, step)
        if self._redelivered and event.offset >= 0:
            epoch = self.epochs[event.kind]
            applied = profile.applied[event.kind]
            if applied[0] == epoch and event.offset <= applied[1]:
                facts.skipped += 1
                facts.count(event.kind, "skipped")
                return
            profile.applied[event.kind] = (epoch, event.offset)
            step.changed[user_id] = None
        if event.named and profile.knows(event):
            facts.duplicates += 1
            facts.count(event.kind, "duplicate")
            return
        if event.ts < self.watermark - TOO_LATE_MS:
            message = (
                f"the event is of {format_instant(event.ts)}, more than 365 d before {format_instant(self.watermark)}"
            )
            where = Position(INPUT_TOPICS[event.kind], event.partition, event.offset)
            step.rejected.append((event, Rejection("too_late", message, where)))
            facts.count(event.kind, "rejected")
            self._forget_if_empty(profile, step)
            return
        facts.accepted += 1
        facts.count(event.kind, "accepted")
        if event.kind == Kind.PURCHASE and not event.lines:
            self._forget_if_empty(profile, step)
            return
        if event.kind == Kind.PURCHASE:
            facts.outliers += self._outliers(event)
        step.changed[user_id] = None
        step.portraits[user_id] = None
        before = profile.view.stage if profile.delivery.seq else None
        told = profile.delivery.stage
        if profile.is_late(event, self.watermark):
            self._late(profile, event, model, step)
        else:
            if profile.open and profile.open[-1].ts < self.watermark:
                self._settle(profile, step)
            if profile.follows(event):
                self._follow(profile, event, model, step)
            else:
                self._refold(profile, event, model, step)
            if len(profile.open) > MAX_OPEN or profile.open_bytes > MOST_OPEN_BYTES:
                keep = profile.to_keep_open()
                if keep is not None:
                    facts.settled_early += profile.settle_early(self._fold, keep)
        self._restage(before, profile)
        self._seen(profile, told, step)
        self._silence.file(user_id, profile.view.next_at)
        if len(profile.open) > MANY_OPEN:
            # A long invoice is not carried along until the next visit: it settles as soon as W lets it.
            self._maturity.file(user_id, profile.open[-1].ts)
        elif profile.view.pending or profile.view.expected or profile.view.since < 0:
            self._maturity.file(user_id, profile.maturity_at)

    def _bootstrapped(self, event: Event, facts: Facts) -> None:
        facts.bootstrapped += 1
        facts.count(event.kind, "bootstrapped")

    def _follow(self, profile: Profile, event: Event, model: ChurnScorer, step: Step) -> None:
        view, ts = profile.view, event.ts
        if view.next_at < ts:
            self._fold.advance(view, ts - 1, profile.user_hash, self._teller.moments(profile, model, step))
        rule, opened, moved = self._fold.apply(view, event, profile.user_hash)
        profile.insert(event)
        cause = by_event(event)
        self._teller.tell(profile, cause, ts, rule, opened, model, step)
        if moved:
            self._decider.propensity.event(profile, cause, ts, model, step.outputs, step.facts)

    def _refold(self, profile: Profile, event: Event, model: ChurnScorer, step: Step) -> None:
        profile.insert(event)
        self._teller.correct(profile, by_event(event), self.clock, bool(event.lines), model, step)

    def _late(self, profile: Profile, event: Event, model: ChurnScorer, step: Step) -> None:
        self._settle(profile, step)
        fold = self._fold
        state = decode_state(profile.settled)
        fold.apply_late(state, event, profile.user_hash, profile.settled_through)
        profile.settled = encode_state(state)
        step.facts.late += 1
        since, due = state.last_churned
        if since < event.ts <= due and any(line.quantity > 0 for line in event.lines):
            step.facts.contradictions += 1
        self._teller.correct(profile, by_event(event), self.clock, bool(event.lines), model, step)
        step.outputs.append(self._decider.late(profile, event, self.watermark, event_body(event)))

    def _outliers(self, event: Event) -> int:
        limit = self.policy.line_value
        return sum(line.price is not None and abs(line.price * line.quantity) > limit for line in event.lines)

    # -- time --------------------------------------------------------------------------------------------------------

    def _silence_until(self, clock: int, model: ChurnScorer, step: Step) -> None:
        """Fire the deadlines of every view at or before an instant."""
        # A profile that changed behind the clock may have filed a deadline that the clock has passed already.
        clock = max(clock, self.clock)
        while (entry := self._silence.pop(clock)) is not None:
            at, user_id = entry
            profile = self._profiles.find(user_id)
            if profile is None:
                continue
            if user_id in self._unpolicied:
                self._new_policy(profile, model, step)
            before = profile.view.stage
            view = profile.view
            while view.next_at <= at:
                self._fold.advance(view, view.next_at, profile.user_hash, self._teller.moments(profile, model, step))
                step.changed[user_id] = None
                step.portraits[user_id] = None
            if profile.open and profile.open[-1].ts < self.watermark:
                self._settle(profile, step)
            self._restage(before, profile)
            self._silence.file(user_id, view.next_at)
            self._maturity.file(user_id, profile.maturity_at)
        self.clock = clock

    def _raise_watermark(self, watermark: int, model: ChurnScorer, step: Step) -> None:
        """Move W on and release what it decides: labels, and profiles silent for too long."""
        # Views first: a profile settles only as far as its view has gone.
        self._silence_until(watermark - 1, model, step)
        self.watermark = watermark
        while (entry := self._maturity.pop(watermark - 1)) is not None:
            _, user_id = entry
            profile = self._profiles.find(user_id)
            if profile is None:
                continue
            self._settle(profile, step)
            step.changed[user_id] = None
            if profile.view.since < 0 and profile.view.fired < watermark and not profile.open:
                self._erase(profile, step)
            else:
                self._maturity.file(user_id, max(profile.maturity_at, watermark))

    def _settle(self, profile: Profile, step: Step) -> None:
        for head, observation in profile.settle(self._fold, self.watermark - 1):
            self._label(profile, head, observation, step)

    def _label(self, profile: Profile, head: str, observation: Observation, step: Step) -> None:
        served = profile.delivery.served_of(head).pop(observation.as_of, None)
        if served is None:
            return
        bought, stayed_away = _OUTCOMES[head]
        step.facts.tally(profile.user_id, head, bought if observation.returned else stayed_away)
        step.examples.append(labelled(profile, head, observation, served))

    def _erase(self, profile: Profile, step: Step) -> None:
        user_id = profile.user_id
        for head in STATES:
            step.facts.tally(user_id, head, ERASED, len(profile.delivery.served_of(head)))
        self.stages[STAGE_NAMES[profile.view.stage]] -= 1
        self._profiles.forget(user_id)
        self._silence.drop(user_id)
        self._maturity.drop(user_id)
        step.changed[user_id] = None
        step.portraits[user_id] = None

    # -- policy ------------------------------------------------------------------------------------------------------

    def _new_policy(self, profile: Profile, model: ChurnScorer, step: Step) -> None:
        """Bring a profile of another policy over; only what is different now is told."""
        before = self._unpolicied.pop(profile.user_id)
        told = profile.delivery.stage
        fold = self._fold
        state = decode_state(profile.settled)
        if state.since >= 0:
            evaluate(state, max(state.through, profile.settled_through), self.policy)
            fold.plan(state, state.through, profile.user_hash)
            profile.settled = encode_state(state)
        profile.refold(fold, max(self.clock, profile.view.fired))
        unserve(profile, step.facts)
        at = max(self.clock, profile.delivery.as_of)
        cause = by_policy(at, self.policy.fingerprint)
        self._teller.tell(profile, cause, at, f"policy {self.policy.version}", False, model, step)
        self._decider.risk.rebanded(profile, cause, at, step.outputs, step.facts)
        self._restage(before, profile)
        self._seen(profile, told, step)
        step.changed[profile.user_id] = None
        step.portraits[profile.user_id] = None

    def _seen(self, profile: Profile, told: int, step: Step) -> None:
        now = profile.delivery.stage
        change = (STAGE_NAMES[told], STAGE_NAMES[now]) if told != now and told >= 0 and now >= 0 else None
        step.seen.append(Seen(self.newest, profile.user_id, change))

    def _restage(self, before: int | None, profile: Profile) -> None:
        after = profile.view.stage
        if before != after:
            if before is not None:
                self.stages[STAGE_NAMES[before]] -= 1
            self.stages[STAGE_NAMES[after]] += 1

    def _forget_if_empty(self, profile: Profile, step: Step) -> None:
        """A user whose only record was rejected is no user."""
        if not profile.delivery.seq and not self._profiles.drop(profile.user_id):
            step.changed.pop(profile.user_id, None)
