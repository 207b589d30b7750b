"""The fold: one event, or one deadline, onto a state. The only arithmetic there is, live and offline.

Events are folded in (ts, kind, id) order and a deadline after the events of its own instant. The caller keeps that
order; :mod:`streams.core.profile` is the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streams.core.events import DAY_MS, HOUR_MS, MINUTE_MS, Event, Kind
from streams.core.feature_vector import vector
from streams.core.features import packed
from streams.core.hashing import stable_hash
from streams.core.lifecycle import evaluate, next_change, revalue
from streams.core.policy import Compiled
from streams.core.propensity_features import packed as pack_propensity
from streams.core.propensity_features import propensity_vector
from streams.core.purchases import fold_purchase
from streams.core.remembering import identity, interest, remember_id
from streams.core.schedule import (
    PROPENSITY_DAYS,
    daily,
    next_propensity,
    next_slot,
    propensity_sampled,
    sampled,
)
from streams.core.state import CARTS, CLICKED, CLICKS, FAR, SEARCHED, SEARCHES, Observation, Stage, State
from streams.core.windows import add, roll

SESSION_GAP_MS: Final = 30 * MINUTE_MS
"""Without a session_id a session ends after half an hour of silence."""
_CART, _FAVOURITE, _SHARE, _REVIEW, _SEARCH_CLICK = 2, 3, 4, 5, 7
_ENGAGING: Final = frozenset({_CART, _FAVOURITE, _SHARE, _REVIEW})
_INTEREST: Final = {_CART: 3_000, _FAVOURITE: 2_000, _SEARCH_CLICK: 2_000}


class Moment:
    """What a deadline did: the instant, the rule of the stage, the scheduled scores if it was time, the end if it was.

    ``state`` is as of ``at`` only while the moment is being told; ``features`` are there if they were needed anyway.
    ``propensity`` says that its score was due, and ``kept`` holds its features where that waits for its label.
    """

    __slots__ = ("at", "ended", "features", "kept", "propensity", "rule", "scheduled", "state")

    def __init__(
        self,
        state: State,
        at: int,
        rule: str,
        scheduled: bool,
        features: list[float] | None,
        *,
        propensity: bool = False,
        kept: bytes | None = None,
        ended: bool = False,
    ) -> None:
        self.state = state
        self.at = at
        self.rule = rule
        self.scheduled = scheduled
        self.features = features
        self.propensity = propensity
        self.kept = kept
        self.ended = ended


class Fold:
    """Applies events and deadlines to states under one policy, horizon and score schedule.

    Parameters
    ----------
    policy
        The compiled policy.
    horizon_ms
        H: how long after a score of churn its label is decided.
    propensity_days
        How long after a score of propensity its label is decided.
    """

    __slots__ = ("_daily", "horizon_ms", "policy", "propensity_days")

    def __init__(self, policy: Compiled, horizon_ms: int, propensity_days: int = PROPENSITY_DAYS) -> None:
        self.policy = policy
        self.horizon_ms = horizon_ms
        self.propensity_days = propensity_days
        self._daily = daily(propensity_days)

    # -- events ------------------------------------------------------------------------------------------------------

    def apply(self, state: State, event: Event, user_hash: int) -> tuple[str, bool, bool]:
        """Fold an event; all deadlines before it have fired.

        Returns
        -------
        tuple
            The rule of the stage as of the event, whether it opened an order, and whether it may move the propensity:
            an order, the first sign of life of a day, the first thing put into an empty cart.
        """
        ts = event.ts
        state.through = max(state.through, ts)
        state.heard_at = ts
        roll(state, ts)
        if event.named:
            remember_id(state, identity(event), ts)
        if state.first_seen < 0:
            state.first_seen = ts
            state.active_at = ts
        opened = False
        recheck = state.since < 0
        days, carts = state.active_days, state.carts_open
        if event.kind == Kind.PURCHASE:
            bought, opened = fold_purchase(state, event, self.policy, user_hash)
            if bought:
                self._activity(state, event, ts)
            # A further line of a known order moves money and with it the tier, but no stage and no deadline, unless
            # it ends a silence.
            recheck = opened or not bought or state.stage >= Stage.AT_RISK or state.score_at < ts
            if not recheck:
                revalue(state, ts, self.policy)
        else:
            engaged = state.engaged
            self._activity(state, event, ts)
            if event.kind == Kind.CLICK:
                self._click(state, event, ts)
            else:
                state.searches += 1
                add(state, ts, SEARCHES, 1)
                if event.category:
                    interest(state, event.category, 1_000, ts)
            recheck = recheck or (
                not state.orders
                and (engaged != state.engaged or days != state.active_days or state.stage == Stage.DORMANT)
            )
        fresh = days != state.active_days
        rule = ""
        if recheck:
            rule = evaluate(state, ts, self.policy, ordered=opened)
        # A deadline of this very instant stays: it fires after the events of its instant.
        if recheck or state.next_at > state.score_at >= ts or (fresh and self._daily):
            self.plan(state, ts - 1, user_hash)
        return rule, opened, fresh or opened or (not carts and state.carts_open > 0)

    def apply_late(self, state: State, event: Event, user_hash: int, settled_through: int) -> None:
        """Add an event that came after its instant was settled: totals and tiles, no label that was decided.

        The state is brought up to what is settled, so no past decision is made again.
        """
        ts = event.ts
        active_at, fresh = state.active_at, state.since < 0
        state.through = max(state.through, settled_through, ts)
        state.heard_at = max(state.heard_at, ts)
        if event.named:
            remember_id(state, identity(event), ts)
        if state.first_seen < 0:
            state.first_seen = state.active_at = ts
        if event.kind == Kind.PURCHASE:
            bought, _ = fold_purchase(state, event, self.policy, user_hash)
            if bought:
                self._seen(state, event.kind, ts)
        else:
            self._seen(state, event.kind, ts)
            if event.kind == Kind.CLICK:
                self._click(state, event, ts)
            else:
                state.searches += 1
                add(state, ts, SEARCHES, 1)
        state.active_at = max(active_at, ts)
        roll(state, state.through)
        if fresh or event.kind == Kind.PURCHASE or not state.orders:
            evaluate(state, state.through, self.policy, ordered=False)
        self.plan(state, state.through, user_hash)

    def _seen(self, state: State, kind: int, ts: int) -> None:
        if state.first[kind] < 0 or ts < state.first[kind]:
            state.first[kind] = ts
        state.last[kind] = max(state.last[kind], ts)
        state.first_seen = min(state.first_seen, ts)

    def _activity(self, state: State, event: Event, ts: int) -> None:
        kind = event.kind
        if state.first[kind] < 0:
            state.first[kind] = ts
        state.last[kind] = ts
        day = ts // DAY_MS
        if state.active_days == 0 or state.active_at // DAY_MS != day:
            state.active_days += 1
        if kind != Kind.PURCHASE:
            self._session(state, event, ts)
        state.active_at = ts
        if ts <= state.score_until:
            state.score_until = ts + self.policy.scores_stop_ms
        state.hour_counts[ts // HOUR_MS % 24] += 1

    def _session(self, state: State, event: Event, ts: int) -> None:
        if state.engaged:
            return
        if event.session_id is not None:
            session = stable_hash(event.session_id)
            fresh = session != state.session
        else:
            session = 0
            fresh = state.session != 0 or ts - state.active_at > SESSION_GAP_MS
        if fresh:
            state.session = session
            state.session_seen = 0
        state.session_seen |= SEARCHED if event.kind == Kind.SEARCH else CLICKED
        if state.session_seen == SEARCHED | CLICKED:
            state.engaged = True

    def _click(self, state: State, event: Event, ts: int) -> None:
        state.clicks += 1
        add(state, ts, CLICKS, 1)
        action = event.action
        if action in _ENGAGING:
            state.engaged = True
            if action == _CART:
                state.carts += 1
                state.carts_open += 1
                state.last_cart = max(state.last_cart, ts)
                add(state, ts, CARTS, 1)
            elif action == _FAVOURITE:
                state.last_favourite = max(state.last_favourite, ts)
        if event.category:
            interest(state, event.category, _INTEREST.get(action, 1_000), ts)

    # -- deadlines ---------------------------------------------------------------------------------------------------

    def advance(self, state: State, through: int, user_hash: int, told: Callable[[Moment], None] | None = None) -> None:
        """Fire every deadline at or before ``through``, in order; ``told`` hears of each one."""
        while state.next_at <= through:
            moment = self._fire(state, state.next_at, user_hash)
            if told is not None:
                told(moment)

    def _fire(self, state: State, at: int, user_hash: int) -> Moment:
        if at >= state.heard_at + self.policy.forget_ms:
            forget(state, at)
            return Moment(state, at, "silent for too long", False, None, ended=True)
        state.through = state.fired = at
        roll(state, at)
        rule = evaluate(state, at, self.policy)
        scheduled = at == state.score_at
        features: list[float] | None = None
        if scheduled:
            if sampled(user_hash, at):
                features = vector(state, at, self.policy)
            kept = None if features is None else packed(features)
            state.pending.append(Observation(at, at + self.horizon_ms, False, state.stage, state.tier, kept))
        propensity = at % HOUR_MS == 0 and at == next_propensity(state, at - 1, user_hash, daily=self._daily)
        packed_propensity: bytes | None = None
        if propensity and propensity_sampled(user_hash, at, daily=self._daily):
            packed_propensity = pack_propensity(propensity_vector(state, at, self.policy, self.propensity_days))
            due = at + self.propensity_days * DAY_MS
            state.expected.append(Observation(at, due, False, state.stage, state.tier, packed_propensity))
        self.plan(state, at, user_hash)
        return Moment(state, at, rule, scheduled, features, propensity=propensity, kept=packed_propensity)

    def plan(self, state: State, after: int, user_hash: int) -> None:
        """Say at which instant after ``after`` silence next changes something."""
        if state.score_at <= after:
            state.score_at = next_slot(after, user_hash)
        # Silent for too long: no score until a purchase moves score_until on.
        scored = state.score_at if state.score_at <= state.score_until else FAR
        if not state.orders or self._daily:
            scored = min(scored, next_propensity(state, after, user_hash, daily=self._daily))
        change = next_change(state, after, self.policy)
        forgotten = max(state.heard_at + self.policy.forget_ms, after + 1)
        state.next_at = min(change, scored, forgotten)


def forget(state: State, at: int) -> None:
    """End a user who was silent for too long: whatever comes later is somebody new, but known labels are still told."""
    fresh = State(through=at, fired=at)
    fresh.pending = [observation for observation in state.pending if observation.due <= at]
    fresh.expected = [observation for observation in state.expected if observation.due <= at]
    for name in State.__struct_fields__:
        setattr(state, name, getattr(fresh, name))
