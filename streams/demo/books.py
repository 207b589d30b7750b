"""The books of a demo: what the simulator put in against what Ebbtide found; nothing lost, nothing counted twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streams.demo.shop import Shop
from streams.demo.state import DemoState

_REFUSED: Final = {"missing_user": "missing_user", "negative_price": "bad_price", "not_json": "not_json"}
"""Reason codes by what the simulator spoilt."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the books: so many sent, so many found."""

    name: str
    sent: int
    found: int
    where: str
    exact: bool = True
    """Whether the two must be equal; else no more than sent can be found."""

    @property
    def balanced(self) -> bool:
        """Whether it adds up."""
        return self.found == self.sent if self.exact else self.found <= self.sent


@dataclass(frozen=True, slots=True)
class Deeds:
    """What people did in the shop, each thing counted once, whatever came twice or spoilt on the way."""

    clicks: int
    searches: int
    orders: int
    """Less those given back whole."""


def deeds(shop: Shop) -> Deeds:
    """Count them by the simulator's records.

    >>> deeds(Shop(seed=3, days=40, users=30)).searches > 0
    True
    """
    seen: set[str] = set()
    counts = [0, 0, 0]
    for arrival in shop.arrivals():
        raw = arrival.raw
        if isinstance(raw, bytes) or raw["user_id"] is None or raw.get("price", 0) < 0 or raw["event_id"] in seen:
            continue
        seen.add(raw["event_id"])
        counts[arrival.kind] += -1 if raw.get("action") == "refund" else 1
    return Deeds(*counts)


def books(shop: Shop, state: DemoState) -> list[Entry]:
    """Every record and every deed, sent and found."""
    truth, progress, letters = shop.truth, state.progress, state.dead_letters
    dirt, done = truth.dirt, deeds(shop)

    def held(name: str) -> int:
        return sum(int(totals[name]) for totals in state.totals.values())

    def refused(fault: str) -> Entry:
        reason = _REFUSED[fault]
        name = fault if fault == reason else f"{fault} ({reason})"
        return Entry(name, dirt[fault], letters.get(reason, 0), "dead-letters")

    return [
        Entry(
            "records, whatever became of them",
            truth.records,
            progress.accepted + progress.duplicates + progress.rejected,
            "metrics",
        ),
        Entry("duplicates", dirt["duplicate"], progress.duplicates, "metrics"),
        *(refused(fault) for fault in _REFUSED),
        Entry("rejected, in all", sum(dirt[fault] for fault in _REFUSED), sum(letters.values()), "dead-letters"),
        Entry("unknown actions (other)", dirt["unknown_action"], progress.unknown_actions, "metrics"),
        Entry("late by 25 min to 3 h", dirt["late"], state.late, "late-events", exact=False),
        Entry("clicks", done.clicks, held("clicks"), "user-profiles"),
        Entry("searches", done.searches, held("searches"), "user-profiles"),
        Entry("orders, less those given back", done.orders, held("orders"), "user-profiles"),
    ]
