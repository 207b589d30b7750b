"""Visits to the simulated shop: its goods, and what one session looks like record by record."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

from streams.core.events import DAY_MS, HOUR_MS, SECOND_MS, Kind
from streams.core.instants import format_instant

CATEGORIES: Final = ("shoes", "jackets", "kitchen", "garden", "toys", "books", "audio", "beauty")
QUERY_WORDS: Final = ("red", "cheap", "new", "large", "small", "best", "gift", "sale")
CHANNELS: Final = ("web", "app", "store")


class Item(NamedTuple):
    """One thing on sale; the price in units."""

    item_id: str
    category: str
    brand: str
    price: float


class Draft(NamedTuple):
    """A record before it is numbered: when it happened, which input it goes to, its fields but id and time."""

    ts: int
    kind: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """How one session goes.

    ``searches`` and ``views`` are how many there are on average; ``lines`` of the order, 0 for none; ``thrift`` scales
    what is spent (1: as usual).
    """

    searches: float
    views: float
    lines: int
    thrift: float = 1.0


def make_goods(rng: Random, count: int = 160) -> tuple[Item, ...]:
    """The shop's range, cheapest first."""
    items = []
    for number in range(count):
        price = round(min(400.0, rng.lognormvariate(3.1, 0.8)), 2)
        items.append(Item(f"i{number:04d}", rng.choice(CATEGORIES), f"b{rng.randrange(25):02d}", price))
    return tuple(sorted(items, key=lambda item: (item.price, item.item_id)))


def by_daylight(rng: Random, ts: int) -> int:
    """The instant moved to an hour of the same day at which people shop."""
    hour = min(23.4, max(6.0, rng.gauss(16.5, 4.0)))
    return ts - ts % DAY_MS + int(hour * HOUR_MS) + rng.randrange(20 * 60 * SECOND_MS)


def session(rng: Random, goods: tuple[Item, ...], user: str, number: int, ts: int, visit: Visit) -> list[Draft]:
    """The records of one visit, in time order; the order, if there is one, comes last.

    >>> goods = make_goods(Random(1))
    >>> drafts = session(Random(2), goods, "u1", 1, 0, Visit(searches=1, views=3, lines=2))
    >>> drafts[-1].kind == Kind.PURCHASE and len(drafts[-1].fields["lines"]) == 2
    True
    """
    common = {"user_id": user, "session_id": f"{user}-{number}", "channel": rng.choice(CHANNELS)}
    favourite = CATEGORIES[(hash_of(user) + (rng.random() < 0.25)) % len(CATEGORIES)]
    drafts: list[Draft] = []

    def add(kind: Kind, **fields: Any) -> None:
        nonlocal ts
        drafts.append(Draft(ts, int(kind), {**common, **fields}))
        ts += rng.randrange(8 * SECOND_MS, 90 * SECOND_MS)

    for _ in range(_about(rng, visit.searches)):
        add(Kind.SEARCH, query=f"{rng.choice(QUERY_WORDS)} {favourite}", results=rng.randrange(60), category=favourite)
        if rng.random() < 0.6:
            item = _pick(rng, goods, visit.thrift)
            add(Kind.CLICK, action="search_click", item_id=item.item_id, category=item.category, price=item.price)
    for _ in range(max(1, _about(rng, visit.views))):
        item = _pick(rng, goods, visit.thrift)
        action = "favourite" if rng.random() < 0.05 else "view"
        add(Kind.CLICK, action=action, item_id=item.item_id, category=item.category, price=item.price)
    lines: list[dict[str, Any]] = []
    for _ in range(visit.lines):
        item = _pick(rng, goods, visit.thrift)
        if not lines:
            add(Kind.CLICK, action="cart", item_id=item.item_id, category=item.category, price=item.price)
        price = round(item.price * min(1.0, visit.thrift), 2)
        lines.append({**item._asdict(), "price": price, "quantity": 1 + (rng.random() < 0.15)})
    if lines:
        add(Kind.PURCHASE, order_id=f"o-{user}-{number}", lines=lines, currency="EUR")
    return drafts


def refund_of(rng: Random, order: Draft) -> Draft:
    """An order given back, whole, some days later."""
    kept = {name: order.fields[name] for name in ("user_id", "lines", "currency", "channel")}
    ts = by_daylight(rng, order.ts + rng.randrange(1, 8) * DAY_MS)
    order_id = order.fields["order_id"]
    return Draft(
        ts, int(Kind.PURCHASE), {**kept, "action": "refund", "order_id": f"{order_id}-r", "refund_of": order_id}
    )


def finished(draft: Draft, event_id: str) -> dict[str, Any]:
    """The record as a shop's service would publish it."""
    return {"event_id": event_id, "ts": format_instant(draft.ts), **draft.fields}


def hash_of(user: str) -> int:
    """A number of the user that is the same in every run (Python's own is not)."""
    return sum(user.encode())


def _about(rng: Random, mean: float) -> int:
    """A small count with a given mean."""
    whole = int(mean)
    return max(0, whole + (rng.random() < mean - whole) + rng.choice((-1, 0, 0, 1)) * (whole > 0))


def _pick(rng: Random, goods: tuple[Item, ...], thrift: float) -> Item:
    """An item; the thriftier, the more from the cheap end."""
    return goods[min(len(goods) - 1, int(len(goods) * rng.random() ** (1 / max(0.2, thrift))))]
