"""What a log gives: one :class:`RawRecord` per row, and the order in which logs are merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from streams.core.events import Kind

KINDS: Final[dict[str, int]] = {
    "click": int(Kind.CLICK),
    "search": int(Kind.SEARCH),
    "purchase": int(Kind.PURCHASE),
    "clicks": int(Kind.CLICK),
    "searches": int(Kind.SEARCH),
    "purchases": int(Kind.PURCHASE),
}
"""What ``event_type`` may say."""

REQUIRED_COLUMNS: Final = ("event_type", "user_id", "ts")
KNOWN_COLUMNS: Final = frozenset(
    (
        *REQUIRED_COLUMNS,
        *("action", "item_id", "category", "query", "price", "quantity", "order_id", "session_id", "source"),
        *("event_id", "brand", "results", "channel", "campaign_id", "lines", "currency", "coupon", "refund_of"),
    )
)
"""The columns of a log: those of the shared form, and the fields of the Kafka messages."""

DEFAULT_MAX_RECORD_BYTES: Final = 262_144


class Fault(NamedTuple):
    """Why a row cannot even be cleaned: a reason code and one plain sentence."""

    reason: str
    message: str


class RawRecord(NamedTuple):
    """One row of a log, not cleaned yet.

    ``row`` counts from 0 in the original file. ``kind`` and ``ts_ms`` are None where the row does not say. ``raw`` is
    the row's fields (null ones absent in Parquet), or the original bytes where they are no JSON object; then, and where
    ``kind`` is None, ``fault`` says what is wrong.
    """

    row: int
    kind: int | None
    ts_ms: int | None
    raw: dict[str, Any] | bytes
    fault: Fault | None


class EventLog(Protocol):
    """A log that was looked through from end to end and can be read, any number of times."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, hex."""

    @property
    def rows(self) -> int:
        """How many records it gives."""

    @property
    def in_order(self) -> bool:
        """Whether it is in time order; if not it is sorted each time it is read, on disk if it is long."""

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Columns that nobody reads, sorted."""

    def records(self) -> Iterator[RawRecord]:
        """Every row, by (time; clicks, searches, purchases; row)."""


class RowOrder:
    """The place of each row in time: by instant, then kind.

    A row without a readable instant or kind stands where it stood in the file: with the row before it.

    >>> order = RowOrder()
    >>> [order.key(10, 2), order.key(None, 0), order.key(11, 0)]
    [42, 42, 44]
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = -1

    def key(self, ts_ms: int | None, kind: int | None) -> int:
        """The next row's sort key; rows of equal keys keep their order."""
        if ts_ms is not None and kind is not None:
            self._last = ts_ms << 2 | kind
        return self._last


class OrderCheck:
    """Whether keys come in order, and if not, whether at least their instants do."""

    __slots__ = ("_last", "kinds", "times")

    def __init__(self) -> None:
        self._last = -1
        self.times = True
        """Instants never go back."""
        self.kinds = True
        """Nor do kinds within an instant."""

    def see_one(self, key: int) -> None:
        """Take the next key."""
        if key < self._last:
            self.kinds = False
            self.times &= key >> 2 >= self._last >> 2
        self._last = key

    def see(self, keys: Sequence[int]) -> None:
        """Take the next keys, in file order."""
        before = self._last
        if not keys or (keys[0] >= before and list(keys) == sorted(keys)):
            self._last = keys[-1] if keys else before
            return
        self.kinds = False
        for key in keys:
            self.times &= key >> 2 >= before >> 2
            before = key
        self._last = before


def with_kinds_in_order(records: Iterable[RawRecord]) -> Iterator[RawRecord]:
    """Put clicks before searches before purchases within each instant of a log that is in time order."""
    order = RowOrder()
    instant = -1
    group: list[tuple[int, RawRecord]] = []
    for record in records:
        key = order.key(record.ts_ms, record.kind)
        if key >> 2 != instant:
            if len(group) > 1:
                group.sort(key=itemgetter(0))
            for _, standing in group:
                yield standing
            group.clear()
            instant = key >> 2
        group.append((key, record))
    group.sort(key=itemgetter(0))
    for _, standing in group:
        yield standing


def record_id(digest: str, row: int) -> str:
    """The id of a row that has no event_id: the same whenever and wherever the same bytes are read.

    >>> record_id("0123456789abcdef", 7)
    '0123456789ab-000000007'
    """
    return f"{digest[:12]}-{row:09d}"


def unknown_type(event_type: object) -> Fault:
    """The fault of a row whose ``event_type`` is none of ours."""
    shown = "absent" if event_type is None else repr(event_type)[:60]
    return Fault("unknown_type", f"event_type must be click, search or purchase, this is {shown}")
