"""The naive oracle: what is true of one user at one instant, recomputed from the whole event list.

Written from DESIGN alone and against the grain of the engine: nothing is carried along, every figure is a loop over
all events, and the stage is found by looking at every instant at which anything could change. Slow, and short enough
to be seen to be right. Only the schedule of scores and the hash behind it are taken over as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from statistics import median

from streams.core.events import ACTIONS, DAY_MS, HOUR_MS, MICRO, MINUTE_MS, Event, Kind
from streams.core.policy import Policy

ENGAGING = {"cart", "favourite", "share", "review"}
LIKING = {"cart": 3_000, "favourite": 2_000, "search_click": 2_000}


def hash_of(user: str) -> int:
    """The 63-bit hash that spreads users over the week."""
    return int.from_bytes(blake2b(user.encode(), digest_size=8).digest(), "big") % (1 << 63)


def is_buying(event: Event) -> bool:
    """Whether a purchase has a line that was bought."""
    return any(line.quantity > 0 for line in event.lines)


def is_alive(event: Event) -> bool:
    """Whether an event is a sign of life: refunds are none."""
    return event.kind != Kind.PURCHASE or is_buying(event)


@dataclass
class Bought:
    """An order that stands."""

    key: str
    opened: int
    last: int
    touched: int
    amount: int


@dataclass(frozen=True)
class Sums:
    """One window."""

    clicks: int
    searches: int
    carts: int
    orders: int
    amount: int


@dataclass(frozen=True)
class Past:
    """Everything about one user that follows from their events up to now, without any memory."""

    events: Sequence[Event]
    policy: Policy

    def _value(self, price: int | None, quantity: int) -> int:
        value = (price or 0) * quantity
        return 0 if abs(value) > self.policy.limits.line_value * MICRO else value

    def gross(self, event: Event) -> int:
        """Money of the bought lines of an event."""
        return sum(self._value(line.price, line.quantity) for line in event.lines if line.quantity > 0)

    def returned(self, event: Event) -> int:
        """Money of the returned lines of an event."""
        return -sum(self._value(line.price, line.quantity) for line in event.lines if line.quantity < 0)

    def of(self, kind: Kind) -> list[Event]:
        """Events of a kind; of purchases those that bought something."""
        return [event for event in self.events if event.kind == kind and is_alive(event)]

    @cached_property
    def standing(self) -> list[Bought]:
        """Orders that were not taken back, by their last line."""
        orders: dict[str, Bought] = {}
        for number, event in enumerate(self.events):
            if is_buying(event):
                order = orders.setdefault(event.order_key, Bought(event.order_key, event.ts, event.ts, number, 0))
                order.amount += self.gross(event)
                if event.ts > order.last:
                    order.last, order.touched = event.ts, number
            named = orders.get(f"o:{event.refund_of}")
            if named is not None and any(line.quantity < 0 for line in event.lines):
                before = named.amount
                named.amount -= self.returned(event)
                if before > 0 >= named.amount:
                    del orders[f"o:{event.refund_of}"]
        return sorted(orders.values(), key=lambda order: (order.last, order.touched))

    @property
    def amount(self) -> int:
        return sum(self.gross(event) - self.returned(event) for event in self.events)

    @property
    def refunded(self) -> int:
        return sum(self.returned(event) for event in self.events)

    @property
    def lines(self) -> int:
        return sum(line.quantity > 0 for event in self.events for line in event.lines)

    @property
    def first_order(self) -> int:
        return min((order.opened for order in self.standing), default=-1)

    @property
    def last_order(self) -> int:
        return max((order.last for order in self.standing), default=-1)

    @property
    def purchase_days(self) -> list[int]:
        return sorted({order.opened // DAY_MS for order in self.standing})

    @property
    def gaps(self) -> list[int]:
        days = self.purchase_days[-13:]
        return [days[at + 1] - days[at] for at in range(len(days) - 1)]

    @property
    def usual_gap_ms(self) -> float:
        if len(self.purchase_days) < 3:
            return self.policy.gap.shop_days * DAY_MS
        return float(median(self.gaps)) * DAY_MS

    @property
    def active_at(self) -> int:
        return max([self.events[0].ts, *(event.ts for event in self.events if is_alive(event))])

    @property
    def active_days(self) -> int:
        return len({event.ts // DAY_MS for event in self.events if is_alive(event)})

    @cached_property
    def engaged(self) -> bool:
        """Cart, favourite, share, review; search and click in one session; or once a customer, all taken back."""
        if any(event.kind == Kind.CLICK and ACTIONS[event.action] in ENGAGING for event in self.events):
            return True
        for at, event in enumerate(self.events):
            if event.refund_of and Past(self.events[:at], self.policy).standing and not self._until(at).standing:
                return True
        kinds: set[int] = set()
        before: Event | None = None
        seen = self.events[0].ts
        for event in self.events:
            if event.kind != Kind.PURCHASE:
                if before is not None and (
                    event.session_id != before.session_id
                    or (event.session_id is None and event.ts - seen > 30 * MINUTE_MS)
                ):
                    kinds = set()
                kinds.add(event.kind)
                if len(kinds) == 2:
                    return True
                before = event
            if is_alive(event):
                seen = event.ts
        return False

    def _until(self, at: int) -> Past:
        return Past(self.events[: at + 1], self.policy)

    def _sums(self, since: int, unit: int) -> Sums:
        def recent(ts: int) -> bool:
            return ts // unit > since

        inside = [event for event in self.events if recent(event.ts)]
        clicks = [event for event in inside if event.kind == Kind.CLICK]
        return Sums(
            clicks=len(clicks),
            searches=sum(event.kind == Kind.SEARCH for event in inside),
            carts=sum(ACTIONS[event.action] == "cart" for event in clicks),
            orders=sum(recent(order.opened) for order in self.standing),
            amount=sum(self.gross(event) - self.returned(event) for event in inside),
        )

    def window(self, at: int, days: int) -> Sums:
        """The calendar day of an instant and the days - 1 before it."""
        return self._sums(at // DAY_MS - days, DAY_MS)

    def last_hours(self, at: int) -> Sums:
        """The hour of an instant and the 23 before it."""
        return self._sums(at // HOUR_MS - 24, HOUR_MS)

    def order_days(self, at: int, days: int) -> int:
        """Days with an order in a window."""
        return len({order.opened // DAY_MS for order in self.standing if order.opened // DAY_MS > at // DAY_MS - days})

    @property
    def interests(self) -> dict[str, int]:
        """Liking per category, fading by half in 30 days, at the days on which anything was liked; then 12 go on."""
        weights: dict[str, int] = {}
        today = 0
        for event in self.events:
            liked = [(line.category, 5_000) for line in event.lines if line.quantity > 0]
            if event.kind != Kind.PURCHASE:
                liked = [(event.category, LIKING.get(ACTIONS[event.action], 1_000))]
            for category, weight in liked:
                if category is None:
                    continue
                passed, today = event.ts // DAY_MS - today, event.ts // DAY_MS
                kept = round(2**32 * 0.5 ** (passed / 30)) if passed < 300 else 0
                if passed:
                    faded = {name: value * kept // 2**32 for name, value in weights.items()}
                    strongest = sorted(faded, key=lambda name: (-faded[name], name))[:12]
                    weights = {name: value for name, value in faded.items() if value and name in strongest}
                weights[category] = weights.get(category, 0) + weight
        return weights

    def rfm(self, at: int) -> tuple[int, int, int] | None:
        """R, F and M; None for who has no order."""
        if not self.standing:
            return None
        cuts, year = self.policy.rfm, self.window(at, 365)
        days = (at - self.last_order) // DAY_MS
        return (
            5 - sum(days > cut for cut in cuts.recency_days),
            1 + sum(year.orders >= cut for cut in cuts.frequency_orders),
            1 + sum(year.amount >= cut * MICRO for cut in cuts.monetary),
        )

    def tier(self, at: int) -> int:
        """0 bronze to 3 platinum; -1 for who has no order."""
        rfm, points = self.rfm(at), self.policy.value_tiers
        return -1 if rfm is None else sum(sum(rfm) >= point for point in (points.silver, points.gold, points.platinum))

    def at_risk_at(self) -> float:
        stages = self.policy.stages
        return self.last_order + max(stages.at_risk_gaps * self.usual_gap_ms, stages.at_risk_floor_days * DAY_MS)

    def churned_at(self) -> float:
        stages = self.policy.stages
        return self.last_order + max(stages.churned_gaps * self.usual_gap_ms, stages.churned_floor_days * DAY_MS)

    def loyal_at(self) -> float:
        return self.first_order + self.policy.stages.loyal_tenure_gaps * self.usual_gap_ms

    def looks(self) -> Iterable[int]:
        """Every instant at which silence alone might change something, if nothing else happens."""
        yield self.active_at + round(self.policy.stages.dormant_days * DAY_MS)
        if self.standing:
            yield from (round(self.at_risk_at()), round(self.churned_at()), round(self.loyal_at()))
            yield from (self.last_order + (days + 1) * DAY_MS for days in self.policy.rfm.recency_days)
        yield from ((event.ts // DAY_MS + 365) * DAY_MS for event in self.events)


@dataclass
class Observation:
    """A scheduled score."""

    as_of: int
    due: int
    returned: bool
    stage: str
    tier: int
    past: Past


@dataclass
class Truth:
    """What is true of a user at an instant."""

    at: int
    past: Past
    stage: str = "visitor"
    since: int = -1
    loyal: bool = False
    observations: list[Observation] = field(default_factory=list)
    """All that were due to be taken until now."""


def lives(events: Sequence[Event], policy: Policy) -> list[list[Event]]:
    """The user's events, parted where the profile was forgotten in between."""
    parted: list[list[Event]] = []
    for event in events:
        if not parted or event.ts > parted[-1][-1].ts + policy.limits.forget_days * DAY_MS:
            parted.append([])
        parted[-1].append(event)
    return parted


def truth(events: Sequence[Event], at: int, policy: Policy, horizon_days: int) -> Truth | None:
    """What is true of one user at an instant, after the events of that instant; None for who is unknown or forgotten.

    Parameters
    ----------
    events
        All of the user's events, in (ts, kind, id) order; those after the instant are not looked at but for labels.
    """
    known = [event for event in events if event.ts <= at and (event.kind != Kind.PURCHASE or event.lines)]
    walks = [_walk(life, at, policy) for life in lives(known, policy)]
    if not walks:
        return None
    result = walks[-1]
    result.observations = [observation for walk in walks for observation in walk.observations]
    for observation in result.observations:
        observation.due = observation.as_of + horizon_days * DAY_MS
        observation.returned = any(
            is_buying(event) and observation.as_of < event.ts <= observation.due for event in events
        )
    return result


def is_known(events: Sequence[Event], at: int, policy: Policy) -> bool:
    """Whether the user has a profile at an instant."""
    known = [event for event in events if event.ts <= at and (event.kind != Kind.PURCHASE or event.lines)]
    return bool(known) and at < known[-1].ts + policy.limits.forget_days * DAY_MS


def _walk(life: list[Event], at: int, policy: Policy) -> Truth:
    result = Truth(at, Past(life, policy))
    end = min(at, life[-1].ts + policy.limits.forget_days * DAY_MS - 1)
    slot = hash_of(life[0].user_id) % 168
    for count in range(1, len(life) + 1):
        past, event = Past(life[:count], policy), life[count - 1]
        before = {order.key for order in Past(life[: count - 1], policy).standing}
        opened = is_buying(event) and event.order_key not in before
        customer = bool(past.standing)
        if (
            count == 1
            or opened
            or not is_alive(event)
            or not customer
            or (is_buying(event) and result.stage in {"at_risk", "churned"})
        ):
            _decide(result, past, event.ts, opened)
        until = end + 1 if count == len(life) else min(end + 1, life[count].ts)
        looks = {look for look in past.looks() if event.ts <= look < until}
        first_hour = -(-event.ts // HOUR_MS)
        slots = set(range((first_hour + (slot - first_hour) % 168) * HOUR_MS, until, 168 * HOUR_MS))
        for look in sorted(looks | slots):
            _decide(result, past, look, False)
            if look in slots and past.standing and look <= _scored_until(past):
                result.observations.append(Observation(look, -1, False, result.stage, past.tier(look), past))
    return result


def _decide(result: Truth, past: Past, at: int, ordered: bool) -> None:
    stage = _stage(result, past, at, ordered)
    if stage != result.stage or result.since < 0:
        result.stage, result.since = stage, at


def _stage(result: Truth, past: Past, at: int, ordered: bool) -> str:
    stages = past.policy.stages
    if not past.standing:
        result.loyal = False
        if at >= past.active_at + stages.dormant_days * DAY_MS:
            return "dormant"
        return "activated" if past.engaged or past.active_days >= 2 else "visitor"
    if at >= past.churned_at():
        result.loyal = False
        return "churned"
    orders = past.window(at, 365).orders
    if result.loyal:
        result.loyal = orders >= stages.loyal_leave_orders
    else:
        result.loyal = orders >= stages.loyal_orders and at >= past.loyal_at()
    if at >= past.at_risk_at():
        return "churned" if result.stage == "churned" else "at_risk"
    if (result.stage == "churned" and ordered) or (result.stage == "reactivated" and not ordered):
        return "reactivated"
    if result.loyal:
        return "loyal"
    return "growing" if len(past.standing) >= 2 else "new_customer"


def _scored_until(past: Past) -> int:
    """540 days after the last sign of life, unless a silence that long came after the last purchase."""
    stop = past.policy.limits.scores_stop_days * DAY_MS
    until = -1
    for event in past.events:
        if is_buying(event) or (is_alive(event) and event.ts <= until):
            until = event.ts + stop
    return until
