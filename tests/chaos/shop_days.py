"""The load: a seeded shop that opens for some minutes a day, so that its log has one truth however it is read.

All events of a day lie within eight minutes, less than the grace, and days are published with a pause longer than an
input may count as drained without being asked. So no event is late, whichever input lags. A user uses one input a
day, and comes a little later from day to day at the same hour: so no deadline and no other event of theirs can
overtake. Everything that is told then follows from the log alone, and can be compared one to one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from streams.core.events import DAY_MS, HOUR_MS, MINUTE_MS, Kind
from streams.replay.records import RawRecord

START_MS: Final = 1_704_067_200_000
"""2024-01-01T00:00:00Z."""
SLOT_MS: Final = 700
DRIFT_MS: Final = 50
MOST_USERS: Final = 600
_TYPES: Final = {Kind.CLICK: "click", Kind.SEARCH: "search", Kind.PURCHASE: "purchase"}
_CATEGORIES: Final = ("tea", "cups", "books", "lamps", "茶具")


class Arrival(NamedTuple):
    """One record to publish."""

    ts: int
    kind: Kind
    raw: dict[str, Any]


class ShopDays:
    """The days of a seed, for ever.

    >>> days = ShopDays(7)
    >>> days.day(3) == ShopDays(7).day(3), len(days.day(3)) > 100
    (True, True)
    """

    def __init__(self, seed: int, users: int = MOST_USERS) -> None:
        if not 0 < users <= MOST_USERS:
            raise ValueError(f"from 1 to {MOST_USERS} users fit into a day")
        self.seed = seed
        self.users = users

    def day(self, number: int) -> list[Arrival]:
        """The events of a day, in time order."""
        opens = START_MS + number * DAY_MS + (8 + number * 5 % 12) * HOUR_MS + MINUTE_MS
        arrivals: list[Arrival] = []
        for user in range(self.users):
            dice = Random(f"{self.seed}:{number}:{user}")
            if dice.random() < self._eagerness(user, number):
                arrivals += _visit(dice, number, user, opens + user * SLOT_MS + number * DRIFT_MS)
        return sorted(arrivals, key=lambda arrival: (arrival.ts, arrival.kind))

    def _eagerness(self, user: int, day: int) -> float:
        habit = Random(f"{self.seed}:{user}")
        eager = habit.choice((0.12, 0.3, 0.5, 0.8))
        leaves, stays_away = habit.randrange(5, 90), habit.randrange(8, 60)
        return eager if not leaves <= day < leaves + stays_away else 0.0


def _visit(dice: Random, day: int, user: int, ts: int) -> Iterator[Arrival]:
    kind = dice.choices((Kind.CLICK, Kind.SEARCH, Kind.PURCHASE), (5, 2, 3))[0]
    for number in range(dice.randrange(1, 5)):
        raw: dict[str, Any] = {
            "event_id": f"d{day:03d}-{user:04d}-{number}",
            "user_id": f"c{user:04d}",
            "ts": ts + number * 100,
            "category": dice.choice(_CATEGORIES),
            "session_id": f"s{day}-{user}",
        }
        if kind == Kind.CLICK:
            raw |= {"item_id": f"i{dice.randrange(90)}", "action": dice.choice(("view", "view", "cart", "share"))}
        elif kind == Kind.SEARCH:
            raw |= {"query": dice.choice(("teapot", "light", "novel"))}
        else:
            price, pieces = dice.randrange(99, 20_000) / 100, dice.choice((1, 1, 1, 2, 3))
            raw |= {"order_id": f"o{day}-{user}", "item_id": f"i{dice.randrange(90)}"}
            raw |= {"price": price, "quantity": pieces}
        yield Arrival(raw["ts"], kind, raw)


class DaysLog:
    """The first so many days as an event log, for the fault-free run."""

    def __init__(self, days: ShopDays, count: int) -> None:
        self._days = days
        self._count = count
        self.path = Path(f"chaos load of seed {days.seed}")
        self.digest = hashlib.sha256(f"{days.seed}:{days.users}:{count}".encode()).hexdigest()
        self.rows = sum(len(days.day(number)) for number in range(count))
        self.in_order = True
        self.extra_columns: tuple[str, ...] = ()

    def records(self) -> Iterator[RawRecord]:
        """Every event, in time order."""
        row = 0
        for number in range(self._count):
            for arrival in self._days.day(number):
                yield RawRecord(
                    row, arrival.kind, arrival.ts, {"event_type": _TYPES[arrival.kind], **arrival.raw}, None
                )
                row += 1
