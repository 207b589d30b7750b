"""What comes in: one clean :class:`Event` per accepted record, and the catalogue of inputs."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
MICRO: Final = 1_000_000
"""Money is kept in millionths, as integers: the real logs have prices of 0.0018."""


class Kind(IntEnum):
    """The three inputs, in the order in which equal instants are merged."""

    CLICK = 0
    SEARCH = 1
    PURCHASE = 2


INPUT_TOPICS: Final[tuple[str, str, str]] = ("clicks", "searches", "purchases")
"""Topic of each :class:`Kind`; partition n of all three has one owner."""

ACTIONS: Final = (
    "other",
    "view",
    "cart",
    "favourite",
    "share",
    "review",
    "remove",
    "search_click",
)
"""What a click can be; an index into this tuple is what a profile stores."""

BUY: Final = "buy"
REFUND_ACTIONS: Final = frozenset({"refund", "cancel"})


class Position(NamedTuple):
    """Where a record was read: topic, partition, offset; for files the name, 0 and the row."""

    topic: str
    partition: int
    offset: int


class Line(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One line of an order. ``price`` in millionths, None where unknown."""

    item_id: str | None
    category: str | None
    brand: str | None
    price: int | None
    quantity: int


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One clean record.

    ``ts`` is event time in ms since the epoch. ``id`` is the event_id, or the record's position where
    it has none; ``named`` says which. ``offset`` is -1 where a record's position cannot repeat (files).
    """

    ts: int
    kind: int
    id: str
    user_id: str
    partition: int
    offset: int
    named: bool
    action: int = 0
    item_id: str | None = None
    category: str | None = None
    price: int | None = None
    query: str | None = None
    session_id: str | None = None
    order_key: str = ""
    lines: tuple[Line, ...] = ()
    refund: bool = False
    refund_of: str | None = None

    @property
    def sort_key(self) -> tuple[int, int, str]:
        """The one order in which a user's events are folded: instant, kind, id."""
        return (self.ts, self.kind, self.id)
