"""Lives of the simulated users: who comes when, buys what, and begins to slip away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from streams.core.events import DAY_MS, Kind
from streams.demo.sessions import Draft, Item, Visit, by_daylight, refund_of, session


class Archetype(StrEnum):
    """What a user is, as nobody but the simulator knows."""

    VISITOR = "visitor"
    REGULAR = "regular"
    SLIPPING = "slipping"
    ONE_TIMER = "one_timer"
    DEAL_HUNTER = "deal_hunter"


MIX: Final[dict[Archetype, float]] = {
    Archetype.VISITOR: 0.45,
    Archetype.REGULAR: 0.37,
    Archetype.SLIPPING: 0.10,
    Archetype.ONE_TIMER: 0.05,
    Archetype.DEAL_HUNTER: 0.03,
}
"""Shares of all users."""

_REFUNDS: Final = 0.02
_HOLIDAYS: Final = 0.12
_SALE: Final = 0.7
"""What is paid during the flash sale, of the usual price."""


@dataclass(frozen=True, slots=True)
class Season:
    """The simulated time, ms since the epoch: from, to, and the flash sale in it."""

    start: int
    end: int
    sale_start: int
    sale_end: int


@dataclass(frozen=True, slots=True)
class UserTruth:
    """What really happened to a user. Instants in ms since the epoch."""

    user_id: str
    archetype: Archetype
    slips_at: int | None
    """When a slipping customer's gaps began to lengthen."""
    orders: tuple[int, ...]
    """Instants of the orders, refunds not among them."""

    @property
    def last_order(self) -> int | None:
        """The last order in the simulated time."""
        return self.orders[-1] if self.orders else None


class Life:
    """One user's visits from the first to the last, with randomness of their own."""

    def __init__(self, rng: Random, goods: tuple[Item, ...], season: Season, user: str) -> None:
        self.rng = rng
        self.season = season
        self.slips_at: int | None = None
        self.drafts: list[Draft] = []
        self._goods = goods
        self._user = user
        self._visits = 0

    def day(self, earliest: float, latest: float) -> int:
        """An instant between two shares of the season."""
        span = self.season.end - self.season.start
        return self.season.start + int(span * self.rng.uniform(earliest, latest))

    def visit(self, ts: int, visit: Visit) -> None:
        """Come once, on the day of ``ts``; some orders are given back later."""
        self._visits += 1
        drafts = session(self.rng, self._goods, self._user, self._visits, by_daylight(self.rng, ts), visit)
        self.drafts += drafts
        if drafts[-1].kind == Kind.PURCHASE and self.rng.random() < _REFUNDS:
            self.drafts.append(refund_of(self.rng, drafts[-1]))

    def browse(self, since: int, until: int, every_days: float, visit: Visit) -> None:
        """Look around without buying between two orders."""
        ts = since + self.gap(every_days)
        while ts < until - DAY_MS:
            self.visit(ts, visit)
            ts += self.gap(every_days)

    def gap(self, mean_days: float) -> int:
        """Time to the next visit, ms: a day at least, half its mean in spread."""
        return int(DAY_MS * max(1.0, self.rng.gammavariate(4.0, mean_days / 4.0)))

    def buy_regularly(self, first: int, until: int, gap_days: float) -> int:
        """Orders at a steady pace; gives the instant of the order that would come next."""
        ts = first
        while ts < until:
            sale = self.season.sale_start <= ts < self.season.sale_end
            lines = self.rng.choice((1, 2, 2, 3, 3, 4, 5))
            self.visit(ts, Visit(searches=0.5, views=2.5, lines=lines, thrift=_SALE if sale else 1.0))
            following = ts + self.gap(gap_days)
            if self.rng.random() < _HOLIDAYS / (120 / gap_days):
                following += self.rng.randrange(10, 21) * DAY_MS  # away, not lost: what a model must not take for it
            self.browse(ts, min(following, until), gap_days * 0.9, Visit(searches=0.3, views=2.0, lines=0))
            ts = following
        return ts


def _visitor(life: Life) -> None:
    first = life.day(0, 0.97)
    for _ in range(life.rng.choice((1, 1, 1, 2, 2, 3))):
        life.visit(first, Visit(searches=0.6, views=3.0, lines=0))
        first += life.gap(6)


def _regular(life: Life) -> None:
    life.buy_regularly(life.day(0, 0.45), life.season.end, _usual_gap(life.rng))


def _one_timer(life: Life) -> None:
    first = life.day(0.02, 0.95)
    if life.rng.random() < 0.6:
        life.visit(first - life.gap(3), Visit(searches=1.0, views=3.0, lines=0))
    life.visit(first, Visit(searches=0.6, views=4.0, lines=life.rng.choice((1, 1, 2))))
    if life.rng.random() < 0.4:
        life.visit(first + life.gap(7), Visit(searches=0.2, views=2.0, lines=0))


def _deal_hunter(life: Life) -> None:
    ts = life.season.sale_start + int((life.season.sale_end - life.season.sale_start) * life.rng.random() * 0.9)
    life.visit(ts, Visit(searches=0.8, views=6.0, lines=life.rng.choice((2, 3, 4)), thrift=_SALE))
    if life.rng.random() < 0.5:
        life.browse(ts, min(ts + 30 * DAY_MS, life.season.end), 9, Visit(searches=1.2, views=2.0, lines=0, thrift=0.4))


def _slipping(life: Life) -> None:
    """Regular at first; then each gap is longer than the one before, there is more looking and less in the basket."""
    rng = life.rng
    gap_days = min(_usual_gap(rng), 11.0)
    life.slips_at = life.day(0.36, 0.70)
    ts = life.buy_regularly(life.day(0, 0.15), life.slips_at, gap_days)
    longer = 1.35
    for left in range(rng.choice((2, 3, 3, 4)), 0, -1):
        pause = life.gap(gap_days * longer)
        life.visit(ts, Visit(searches=2.0, views=2.0, lines=1 if left < 3 else 2, thrift=0.5))
        life.browse(ts, ts + pause, gap_days * 0.7, Visit(searches=2.5, views=1.5, lines=0, thrift=0.5))
        ts += pause
        longer *= 1.4
    life.browse(ts - pause, ts + 20 * DAY_MS, gap_days * 1.4, Visit(searches=1.5, views=1.0, lines=0, thrift=0.5))


_LIVES: Final[dict[Archetype, Callable[[Life], None]]] = {
    Archetype.VISITOR: _visitor,
    Archetype.REGULAR: _regular,
    Archetype.SLIPPING: _slipping,
    Archetype.ONE_TIMER: _one_timer,
    Archetype.DEAL_HUNTER: _deal_hunter,
}


def live(
    seed: int, goods: tuple[Item, ...], season: Season, user: str, archetype: Archetype
) -> tuple[list[Draft], UserTruth]:
    """One user's records in the season, in time order, and the truth about them: a function of seed and user."""
    life = Life(Random(f"{seed}:{user}"), goods, season, user)
    _LIVES[archetype](life)
    drafts = sorted((draft for draft in life.drafts if season.start <= draft.ts < season.end), key=lambda d: d.ts)
    orders = tuple(d.ts for d in drafts if d.kind == Kind.PURCHASE and "action" not in d.fields)
    return drafts, UserTruth(user, archetype, life.slips_at, orders)


def _usual_gap(rng: Random) -> float:
    """Days between the orders of one customer, on average."""
    return min(16.0, max(4.0, rng.lognormvariate(2.2, 0.33)))
