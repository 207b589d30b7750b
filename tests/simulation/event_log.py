"""Small logs of a shop, made from a seed: what the inputs hold, and when it arrives.

*Live* logs come in bursts of a few minutes with days between them, as the wall clock of the simulation races; within a
burst records arrive in any order, which is disorder within the grace. *Finished* logs are there from the beginning and
hold late events too: under ``--clock log`` one order of applying them is promised.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final
from zlib import crc32

from streams.core.events import DAY_MS, HOUR_MS, INPUT_TOPICS, MINUTE_MS, Kind

BEGIN_MS: Final = 1_700_006_400_000
"""2023-11-15T00:00:00Z."""
SPREAD_MS: Final = 9 * MINUTE_MS
"""Events of a burst lie within it: less than the grace."""
BURST_EVERY_S: Final = 12.0
WALL_RATE: Final = DAY_MS / 2.0
"""Milliseconds of wall clock in one simulated second of a live run: a burst every 6 days."""
FIRST_BURST_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record and when it is published, in seconds from the beginning."""

    at_s: float
    kind: int
    user: str
    value: bytes | None
    ts: int


@dataclass(frozen=True, slots=True)
class EventLog:
    """What is published in one run."""

    live: bool
    partitions: int
    arrivals: tuple[Arrival, ...]
    end_s: float
    """Everything is published; a live run's wall clock stands still from here."""
    until_ms: int
    """The end of a run under ``--clock log``."""
    named: bool = False
    """Every record has an event_id: offsets name nothing, so a topic may be created anew and nothing differs."""

    def partition(self, user: str) -> int:
        """Where a user's records go."""
        return crc32(user.encode()) % self.partitions

    def without(self, numbers: frozenset[int]) -> EventLog:
        """The log with some records left out: what is left of a failing one while it is made shorter."""
        kept = tuple(arrival for number, arrival in enumerate(self.arrivals) if number not in numbers)
        return replace(self, arrivals=kept)


def event_log(seed: int) -> EventLog:
    """The log of a seed."""
    dice = Random(f"log {seed}")
    live = seed % 2 == 0
    named = dice.random() < 0.4
    shop = _Shop(dice, [f"u{number}" for number in range(dice.randint(3, 8))], 1.0 if named else 0.5)
    partitions = dice.choice((1, 2, 2))
    log = _live(shop, dice, partitions) if live else _finished(shop, dice, partitions)
    return replace(log, named=named)


def _live(shop: _Shop, dice: Random, partitions: int) -> EventLog:
    bursts = dice.randint(5, 9)
    arrivals: list[Arrival] = []
    for burst in range(bursts):
        at_s = FIRST_BURST_S + burst * BURST_EVERY_S
        base = BEGIN_MS + round(at_s * WALL_RATE) - SPREAD_MS
        for _ in range(dice.randint(4, 14)):
            ts = base + dice.choice((0, SPREAD_MS - 1, dice.randrange(SPREAD_MS), dice.randrange(SPREAD_MS)))
            arrivals += shop.visit(ts, at_s + dice.random() * 2.0)
    arrivals.sort(key=lambda arrival: arrival.at_s)
    end_s = FIRST_BURST_S + bursts * BURST_EVERY_S
    return EventLog(True, partitions, tuple(arrivals), end_s, 0)


def _finished(shop: _Shop, dice: Random, partitions: int) -> EventLog:
    ts = BEGIN_MS + dice.choice((0, 1, 13 * HOUR_MS))
    near = (0, 0, 1, MINUTE_MS, 4 * MINUTE_MS, 9 * MINUTE_MS, 11 * MINUTE_MS)
    far = (HOUR_MS, 5 * HOUR_MS, DAY_MS, DAY_MS + 1, 2 * DAY_MS, 5 * DAY_MS)
    arrivals: list[Arrival] = []
    for number in range(dice.randint(30, 80)):
        ts += dice.choice(near + near + far[: dice.randint(1, len(far))])
        late = dice.random() < 0.04
        told = ts - dice.choice((HOUR_MS, 3 * DAY_MS, 20 * DAY_MS)) if late else ts
        # The place in its topic's log: a record may stand behind one that is up to nine minutes younger.
        arrivals += shop.visit(told, number + dice.choice((0.0, 0.0, 0.0, 0.5)) * (not late), twice=not late)
    arrivals.sort(key=lambda arrival: arrival.at_s)
    newest = max(arrival.ts for arrival in arrivals)
    placed = tuple(Arrival(0.0, one.kind, one.user, one.value, one.ts) for one in arrivals)
    until_ms = newest + dice.choice((0, HOUR_MS, 8 * DAY_MS))
    return EventLog(False, partitions, placed, 0.0, until_ms)


class _Shop:
    """Says what users do."""

    def __init__(self, dice: Random, users: list[str], named: float) -> None:
        self._dice = dice
        self._named = named
        self._users = users
        self._number = 0
        self._orders: dict[str, list[str]] = {user: [] for user in users}

    def visit(self, ts: int, at_s: float, *, twice: bool = True) -> list[Arrival]:
        """A record, sometimes twice (the shop's producer retried), sometimes one that will be rejected.

        A repeat of what is late by more than a day is beyond the horizon of repeats: such come once.
        """
        dice = self._dice
        user = dice.choice(self._users)
        kind = dice.choice((Kind.CLICK, Kind.CLICK, Kind.SEARCH, Kind.PURCHASE, Kind.PURCHASE))
        self._number += 1
        if dice.random() < 0.02:
            bad = dice.choice((b"{", b"[]", b'{"user_id":"u0"}', None))
            return [Arrival(at_s, int(kind), user, bad, ts)]
        body: dict[str, Any] = {"user_id": user, "ts": ts}
        named = dice.random() < self._named
        if named:
            body["event_id"] = f"e{self._number:04d}"
        body |= {Kind.CLICK: self._click, Kind.SEARCH: self._search, Kind.PURCHASE: self._purchase}[kind](user)
        arrival = Arrival(at_s, int(kind), user, json.dumps(body).encode(), ts)
        again = twice and named and dice.random() < 0.1
        return [arrival, Arrival(at_s + 0.2, arrival.kind, user, arrival.value, ts)] if again else [arrival]

    def _click(self, user: str) -> dict[str, Any]:
        action = self._dice.choice(("view", "view", "cart", "favourite", "share", "beam up"))
        return {"item_id": "i", "action": action, "category": self._dice.choice(("tea", "cups"))}

    def _search(self, user: str) -> dict[str, Any]:
        return {"query": "tea", "session_id": self._dice.choice(("s1", "s2"))}

    def _purchase(self, user: str) -> dict[str, Any]:
        dice, orders = self._dice, self._orders[user]
        if orders and dice.random() < 0.15:
            price, refunded = 10.0, dice.choice(orders)
            return {
                "item_id": "i",
                "price": price,
                "quantity": -1,
                "refund_of": refunded,
                "order_id": f"r{self._number}",
            }
        order = f"o{self._number}"
        orders.append(order)
        price = dice.choice((10.0, 25.5, 0.0018, 900.0))
        return {"item_id": "i", "price": price, "quantity": dice.choice((1, 1, 3)), "order_id": order}


def topic_of(arrival: Arrival) -> str:
    """The input topic of a record."""
    return INPUT_TOPICS[arrival.kind]
