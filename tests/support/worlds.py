"""Event generators: single events by name, and whole random worlds for Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from streams.core.engine import GRACE_MS
from streams.core.events import ACTIONS, DAY_MS, HOUR_MS, MICRO, MINUTE_MS, Event, Kind, Line

START: Final = 1_700_006_400_000
"""2023-11-15T00:00:00Z, a midnight."""
_ids = count()


def _id() -> str:
    return f"e{next(_ids)}"


def click(
    ts: int,
    user: str = "u",
    *,
    action: str = "view",
    event_id: str = "",
    session: str | None = None,
    category: str | None = None,
    offset: int = -1,
    named: bool = True,
) -> Event:
    """A click."""
    return Event(
        ts,
        Kind.CLICK,
        event_id or _id(),
        user,
        0,
        offset,
        named,
        ACTIONS.index(action),
        "i",
        category,
        session_id=session,
    )


def search(
    ts: int,
    user: str = "u",
    *,
    event_id: str = "",
    session: str | None = None,
    category: str | None = None,
    offset: int = -1,
) -> Event:
    """A search."""
    return Event(
        ts, Kind.SEARCH, event_id or _id(), user, 0, offset, True, category=category, query="q", session_id=session
    )


def purchase(
    ts: int,
    user: str = "u",
    *,
    price: float | None = 10.0,
    quantity: int = 1,
    order: str | None = None,
    session: str | None = None,
    event_id: str = "",
    refund_of: str | None = None,
    offset: int = -1,
    category: str | None = None,
    lines: tuple[Line, ...] | None = None,
    named: bool = True,
) -> Event:
    """A purchase of one line, keyed as the cleaner keys it; a negative quantity is a refund, 0 leaves no line."""
    if lines is None:
        micro = None if price is None else round(price * MICRO)
        lines = (Line("i", category, None, micro, quantity),) if quantity else ()
    key = f"o:{order}" if order is not None else f"s:{session}" if session is not None else f"t:{ts}"
    refund = bool(lines) and all(line.quantity < 0 for line in lines)
    return Event(
        ts,
        Kind.PURCHASE,
        event_id or _id(),
        user,
        0,
        offset,
        named,
        session_id=session,
        order_key=key,
        lines=lines,
        refund=refund,
        refund_of=refund_of,
    )


def refund(
    ts: int, user: str = "u", *, price: float = 10.0, quantity: int = 1, of: str | None = None, event_id: str = ""
) -> Event:
    """A refund of a line."""
    return purchase(ts, user, price=price, quantity=-quantity, refund_of=of, event_id=event_id)


# -- random worlds ----------------------------------------------------------------------------------------------------
# Generation takes a `choose`: Hypothesis in the tests, random.Random.choice where thousands of worlds are wanted fast.

Choose = Callable[[Sequence[Any]], Any]
Make = Callable[[int, str, str], Event]

USERS: Final = ("ada", "bob", "小明")
_NEAR: Final = (0, 0, 0, 1, 7_000, MINUTE_MS, 4 * MINUTE_MS, 9 * MINUTE_MS, 11 * MINUTE_MS, 29 * MINUTE_MS)
_FAR: Final = (
    *(31 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, 23 * HOUR_MS, DAY_MS, DAY_MS + 1, 3 * DAY_MS, 7 * DAY_MS, 14 * DAY_MS),
    *(15 * DAY_MS, 21 * DAY_MS, 28 * DAY_MS, 45 * DAY_MS, 60 * DAY_MS, 91 * DAY_MS, 121 * DAY_MS),
)
_AGES: Final = (
    *(180 * DAY_MS, 364 * DAY_MS, 365 * DAY_MS, 541 * DAY_MS, 700 * DAY_MS, 730 * DAY_MS),
    730 * DAY_MS + 5 * MINUTE_MS,
)


def _line(price: int | None, quantity: int = 1, category: str | None = None) -> Line:
    return Line("i", category, None, price, quantity)


def _click(action: str, session: str | None, category: str | None) -> Make:
    return lambda ts, user, name: click(ts, user, action=action, event_id=name, session=session, category=category)


def _search(session: str | None, category: str | None) -> Make:
    return lambda ts, user, name: search(ts, user, event_id=name, session=session, category=category)


def _purchase(*lines: Line, order: str | None = None, session: str | None = None, refund_of: str | None = None) -> Make:
    return lambda ts, user, name: purchase(
        ts, user, order=order, session=session, event_id=name, lines=lines, refund_of=refund_of
    )


_CLICKS: Final = [
    _click(action, session, category)
    for action in ACTIONS
    for session, category in ((None, None), ("s1", "tea"), ("s2", "茶"))
]
_SEARCHES: Final = [
    _search(session, category) for session, category in ((None, None), ("s1", None), ("s2", "tea"), (None, "cups"))
]
_TEN: Final = _line(10 * MICRO, category="tea")
_BUYS: Final = [
    _purchase(_TEN),
    _purchase(_TEN, _line(25_500_000, 2, "cups")),
    _purchase(_line(1_800)),
    _purchase(_line(0)),
    _purchase(_line(None, 3)),
    _purchase(_line(900 * MICRO, 3)),
    _purchase(_line(50_000 * MICRO)),
    _purchase(_line(50_001 * MICRO)),
    _purchase(_TEN, session="s1"),
    _purchase(_TEN, session="s2"),
    *(_purchase(_TEN, order=order) for order in ("o1", "o2", "o3")),
    _purchase(_line(1_800, 2), order="o2"),
    _purchase(),
]
_REFUNDS: Final = [
    _purchase(_line(10 * MICRO, -1)),
    _purchase(_line(50_001 * MICRO, -1)),
    _purchase(_line(4 * MICRO, -1), refund_of="o1"),
    *(_purchase(_line(10 * MICRO, -1), refund_of=order) for order in ("o1", "o2", "o3")),
    _purchase(_line(10 * MICRO, -3), refund_of="o2"),
    _purchase(_TEN, _line(4 * MICRO, -1), order="o3"),
    _purchase(_TEN, _line(10 * MICRO, -1), order="o1", refund_of="o2"),
]


@dataclass(frozen=True)
class Shape:
    """What a random world may hold."""

    users: tuple[str, ...] = USERS
    most: int = 24
    ages: bool = True
    """Silences of half a year and more."""
    close: bool = False
    """Everything within minutes."""
    midnights: bool = False
    """Every instant is a midnight."""
    refunds: bool = True

    def templates(self) -> list[Make]:
        """What an event can be: about half of them purchases."""
        return _CLICKS + 2 * _SEARCHES + 2 * _BUYS + (_REFUNDS if self.refunds else [])

    def gaps(self) -> tuple[int, ...]:
        """How long after the one before an event may come."""
        return _NEAR if self.close else _NEAR + _FAR + _NEAR + (_AGES if self.ages else ())


def world(choose: Choose, shape: Shape) -> list[Event]:
    """Events in time order, with ids that follow no order."""
    templates, gaps = shape.templates(), shape.gaps()
    ts = START + choose((0, 1, 13 * HOUR_MS, 23 * HOUR_MS + 59 * MINUTE_MS))
    events = []
    for number in range(choose(range(1, shape.most + 1))):
        ts += choose(gaps)
        at = ts // DAY_MS * DAY_MS if shape.midnights else ts
        events.append(choose(templates)(at, choose(shape.users), f"w{number * 37 % 101:03d}"))
    return sorted(events, key=lambda event: event.sort_key)


def arrival(choose: Choose, events: Sequence[Event], grace_ms: int = GRACE_MS) -> list[Event]:
    """An order of arrival in which no event comes the grace or more behind the newest before it."""
    delays = (0, 0, 1, MINUTE_MS, 3 * MINUTE_MS + 1, 5 * MINUTE_MS, grace_ms - 1)
    keyed = [(event.ts + choose(delays), choose(range(8)), at) for at, event in enumerate(events)]
    return [events[at] for _, _, at in sorted(keyed)]


@st.composite
def worlds(draw: st.DrawFn, shape: Shape = Shape()) -> list[Event]:
    """Random worlds for Hypothesis."""
    return world(lambda options: draw(st.sampled_from(options)), shape)


@st.composite
def arrivals(draw: st.DrawFn, events: Sequence[Event], grace_ms: int = GRACE_MS) -> list[Event]:
    """Random arrivals for Hypothesis."""
    return arrival(lambda options: draw(st.sampled_from(options)), events, grace_ms)


def at_offsets(events: Sequence[Event]) -> list[Event]:
    """The same arrivals with the partition offsets a broker would have given them."""
    following = [0] * len(Kind)
    placed = []
    for event in events:
        placed.append(msgspec.structs.replace(event, offset=following[event.kind]))
        following[event.kind] += 1
    return placed


def splits(size: int) -> st.SearchStrategy[list[int]]:
    """Sizes of slices, any of which may be empty or reach past the end."""
    return st.lists(st.integers(0, max(1, size)), max_size=6)
