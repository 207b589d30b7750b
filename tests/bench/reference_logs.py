"""The reference logs of every benchmark: generated from permanent ids and seeds, the same on every machine.

``w1``: clicks, searches and purchases of users of Zipf-distributed activity, in order, without repeats. ``w3``: the
same events, of which one in twenty arrives out of order within the grace and one in fifty comes twice. ``w2`` is a real
log (complete_journey_dev) and is read where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.codec import encode
from streams.core.events import DAY_MS, INPUT_TOPICS, MINUTE_MS, Kind

BEGIN_MS: Final = 1_700_000_000_000 // DAY_MS * DAY_MS
"""2023-11-14T00:00Z: the first event of a log."""
BLOCK: Final = 65_536
"""Events that are put into words at a time."""
ITEMS: Final = 20_000
CATEGORIES: Final = 120
_ACTIONS: Final = ("view", "view", "view", "view", "view", "view", "view", "cart", "favourite", "search_click")
_EVENT_TYPES: Final = ("click", "search", "purchase")
"""By :class:`~streams.core.events.Kind`."""


@dataclass(frozen=True, slots=True)
class ReferenceLog:
    """A log by its permanent id.

    Parameters
    ----------
    id
        Its name in tables and results; whoever changes what it generates gives it a new one.
    events, users, days
        How many, over how many users and days.
    exponent
        Of the Zipf law of the users' activity.
    shares
        Of clicks, searches and purchases.
    displaced, repeated
        Shares of events that arrive late within the grace, and that come twice.
    seed
        Of everything random.
    """

    id: str
    events: int = 2_000_000
    users: int = 200_000
    days: int = 60
    exponent: float = 1.1
    shares: tuple[float, float, float] = (0.80, 0.12, 0.08)
    displaced: float = 0.0
    repeated: float = 0.0
    seed: int = 20_231_114

    def scaled(self, events: int, users: int | None = None) -> ReferenceLog:
        """The same kind of log in another size; its id says so."""
        users = max(1, round(self.users * events / self.events)) if users is None else users
        return replace(self, id=f"{self.id}-{events}x{users}", events=events, users=users)


W1: Final = ReferenceLog("w1")
W3: Final = ReferenceLog("w3", displaced=0.05, repeated=0.02)


class Record(NamedTuple):
    """One record in order of arrival."""

    topic: str
    key: bytes
    value: bytes
    ts_ms: int
    """Event time."""


class _Events(NamedTuple):
    """Columns of a whole log in event time."""

    ts: npt.NDArray[np.int64]
    user: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    item: npt.NDArray[np.int32]
    action: npt.NDArray[np.int8]
    cents: npt.NDArray[np.int32]
    quantity: npt.NDArray[np.int8]


def _zipf(log: ReferenceLog, draw: np.random.Generator) -> npt.NDArray[np.int32]:
    """Users by rank of activity, hidden behind a permutation: number 0 is not the busiest."""
    weights = 1.0 / np.arange(1, log.users + 1) ** log.exponent
    ranks = np.searchsorted(np.cumsum(weights / weights.sum()), draw.random(log.events), side="right")
    return draw.permutation(log.users)[np.minimum(ranks, log.users - 1)].astype(np.int32)


def _events(log: ReferenceLog) -> _Events:
    draw = np.random.default_rng(log.seed)
    span = log.days * DAY_MS
    return _Events(
        ts=BEGIN_MS + np.sort(draw.integers(0, span, log.events)),
        user=_zipf(log, draw),
        kind=np.searchsorted(np.cumsum(log.shares)[:2], draw.random(log.events), side="right").astype(np.int8),
        item=draw.integers(0, ITEMS, log.events, dtype=np.int32),
        action=draw.integers(0, len(_ACTIONS), log.events, dtype=np.int8),
        cents=np.maximum(99, np.exp(draw.normal(7.5, 0.9, log.events))).astype(np.int32),
        quantity=draw.integers(1, 4, log.events, dtype=np.int8),
    )


def _arrival(log: ReferenceLog, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers of the events in order of arrival, repeats included."""
    if not log.displaced and not log.repeated:
        return np.arange(len(ts))
    draw = np.random.default_rng(log.seed + 1)
    arrives = ts.astype(np.float64)
    late = draw.random(len(ts)) < log.displaced
    # Nine of the ten minutes of grace: a partition's own newest event may be ahead of the log's by a little.
    arrives[late] += draw.uniform(0, 9 * MINUTE_MS, int(late.sum()))
    again = np.flatnonzero(draw.random(len(ts)) < log.repeated)
    numbers = np.concatenate([np.arange(len(ts)), again])
    order = np.concatenate([arrives, arrives[again] + draw.uniform(0, 5 * MINUTE_MS, len(again))])
    return numbers[np.argsort(order, kind="stable")]


def rows(log: ReferenceLog) -> Iterator[dict[str, Any]]:
    """Events in order of arrival, in the words of the input topics, with ``event_type`` as files name it.

    Examples
    --------
    >>> next(rows(W1.scaled(1_000)))["event_type"] in ("click", "search", "purchase")
    True
    """
    events = _events(log)
    arrival = _arrival(log, events.ts)
    for begin in range(0, len(arrival), BLOCK):
        numbers = arrival[begin : begin + BLOCK]
        columns = (column[numbers].tolist() for column in events)
        yield from map(_row, repeat(log.id), numbers.tolist(), *columns)


def _row(
    log_id: str, number: int, ts: int, user: int, kind: int, item: int, action: int, cents: int, quantity: int
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "event_type": _EVENT_TYPES[kind],
        "event_id": f"{log_id}-{number}",
        "user_id": f"u{user}",
        "ts": ts,
        "category": f"c{item % CATEGORIES}",
    }
    if kind == Kind.SEARCH:
        row["query"] = f"query {item}"
        return row
    row["item_id"] = f"i{item}"
    if kind == Kind.CLICK:
        row["action"] = _ACTIONS[action]
    else:
        row |= {"order_id": f"o{number}", "price": cents / 100, "quantity": quantity}
    return row


def records(log: ReferenceLog) -> Iterator[Record]:
    """The records that a shop's producers would send, in order of arrival."""
    for row in rows(log):
        topic = INPUT_TOPICS[_EVENT_TYPES.index(row.pop("event_type"))]
        yield Record(topic, row["user_id"].encode(), encode(row), row["ts"])


def written(log: ReferenceLog, folder: Path) -> Path:
    """The log as a file of JSON lines in order of arrival, as ``ebbtide backfill`` reads it; made once per folder."""
    path = folder / f"{log.id}.jsonl"
    if not path.is_file():
        beside = path.with_suffix(".part")
        with beside.open("wb") as file:
            file.writelines(encode(row, newline=True) for row in rows(log))
        beside.replace(path)
    return path
