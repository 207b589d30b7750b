"""A simulated shop with known truth: the same seed makes the same records, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from streams import codec
from streams.core.events import DAY_MS, HOUR_MS, MINUTE_MS, Kind
from streams.demo.customers import MIX, Archetype, Season, UserTruth, live
from streams.demo.sessions import Draft, finished, make_goods

START_MS: Final = 1_704_067_200_000
"""2024-01-01T00:00:00Z."""

DIRT: Final[dict[str, float]] = {
    "duplicate": 0.004,
    "late": 0.002,
    "missing_user": 0.003,
    "unknown_action": 0.002,
    "negative_price": 0.0008,
    "not_json": 0.0005,
}
"""Dirty records, as shares of the clean ones. Those that are not sound come on top: the truth of users stays whole."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record as it comes in: when it happened, which input, the fields (bytes where it is no JSON)."""

    ts: int
    kind: int
    raw: dict[str, Any] | bytes


@dataclass(frozen=True, slots=True)
class Truth:
    """What the simulator knows and a reader of its records has to find out."""

    season: Season
    users: dict[str, UserTruth]
    dirt: Counter[str]
    """Dirty records put in, by what is wrong: a duplicate event_id, too late for the grace, or a rejection's reason."""
    records: int
    """All of them, the dirty ones among them."""

    def of(self, archetype: Archetype) -> list[UserTruth]:
        """The users of one archetype."""
        return [user for user in self.users.values() if user.archetype is archetype]


class Shop:
    """A shop over half a year: visitors, regulars, slipping customers, one-timers, and a flash sale's deal hunters.

    Parameters
    ----------
    seed
        Another seed is another shop.
    days
        Simulated time, in days.
    users
        How many people come, in the shares of :data:`~streams.demo.customers.MIX`.
    start_ms
        When it opens, a midnight in ms since the epoch.

    Examples
    --------
    >>> shop = Shop(seed=7, days=60, users=40)
    >>> sum(1 for _ in shop.arrivals()) == shop.truth.records
    True
    """

    def __init__(self, seed: int = 7, days: int = 180, users: int = 1_300, start_ms: int = START_MS) -> None:
        if days < 30 or users < 20:
            raise ValueError("a shop needs at least 30 days and 20 users")
        self.name = f"shop seed={seed} days={days} users={users} start={start_ms}"
        rng = Random(f"{seed}:shop")
        goods = make_goods(rng)
        sale = start_ms + int(days * 0.6) * DAY_MS
        season = Season(start_ms, start_ms + days * DAY_MS, sale, sale + 2 * DAY_MS)
        drafts: list[Draft] = []
        truths: dict[str, UserTruth] = {}
        for user, archetype in _population(rng, users):
            lived, truths[user] = live(seed, goods, season, user, archetype)
            drafts += lived
        drafts.sort(key=lambda draft: (draft.ts, draft.kind, draft.fields["user_id"]))
        self._arrivals, dirt = _with_dirt(rng, drafts)
        self.truth = Truth(season, truths, dirt, len(self._arrivals))

    def arrivals(self) -> Iterator[Arrival]:
        """Every record in the order of arrival: that of time, but for duplicates and late ones."""
        return iter(self._arrivals)


def simulate(
    seed: int = 7, days: int = 180, users: int = 1_300, start_ms: int = START_MS
) -> Iterator[tuple[int, dict[str, Any] | bytes]]:
    """(kind, record) of every arrival of a :class:`Shop`."""
    return ((arrival.kind, arrival.raw) for arrival in Shop(seed, days, users, start_ms).arrivals())


def _population(rng: Random, users: int) -> list[tuple[str, Archetype]]:
    """Users by name, in the shares of the mix, the names telling nothing."""
    archetypes: list[Archetype] = []
    for archetype, share in MIX.items():
        archetypes += [archetype] * max(1, round(users * share))
    rng.shuffle(archetypes)
    return [(f"u{number:05d}", archetype) for number, archetype in enumerate(archetypes)]


def _with_dirt(rng: Random, drafts: list[Draft]) -> tuple[list[Arrival], Counter[str]]:
    """Number the records and add what real logs have: the order is that of arrival."""
    dirt: Counter[str] = Counter()
    arriving: list[tuple[int, int, Arrival]] = []

    def add(at: int, ts: int, kind: int, raw: dict[str, Any] | bytes) -> None:
        arriving.append((at, len(arriving), Arrival(ts, kind, raw)))

    for number, draft in enumerate(drafts):
        raw = finished(draft, f"shop-{number:07d}")
        at = draft.ts
        if draft.kind != Kind.PURCHASE and rng.random() < DIRT["late"]:
            at += rng.randrange(25 * MINUTE_MS, 3 * HOUR_MS)
            dirt["late"] += 1
        add(at, draft.ts, draft.kind, raw)
        if rng.random() < DIRT["duplicate"]:
            add(at + rng.randrange(MINUTE_MS, 4 * MINUTE_MS), draft.ts, draft.kind, raw)
            dirt["duplicate"] += 1
        for fault in ("missing_user", "unknown_action", "negative_price", "not_json"):
            if draft.kind == Kind.CLICK and rng.random() < DIRT[fault]:
                add(at, draft.ts, draft.kind, _spoilt(fault, {**raw, "event_id": f"shop-{number:07d}-{fault}"}))
                dirt[fault] += 1
    arriving.sort(key=lambda entry: entry[:2])
    return [arrival for _, _, arrival in arriving], dirt


def _spoilt(fault: str, raw: dict[str, Any]) -> dict[str, Any] | bytes:
    if fault == "missing_user":
        return {**raw, "user_id": None}
    if fault == "unknown_action":
        return {**raw, "action": "hover"}
    if fault == "negative_price":
        return {**raw, "price": -raw["price"]}
    return codec.encode(raw)[:-9]
