"""The straight way to an event, for records as producers ought to send them: cleaning without a detour.

Nearly all records of a healthy feed are well formed, and what cleaning asks of every field costs more than the answer.
Here each kind of record is read in one go; at the first thing out of the ordinary it is left to
:func:`~streams.core.cleaning.clean`, which is the reference: where this one makes an event, it is that one's event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from streams.core.cleaning import EARLIEST_MS, MAX_LINES, CleaningPolicy, order_key_of
from streams.core.events import ACTIONS, REFUND_ACTIONS, Event, Kind, Line
from streams.core.fields import MAX_AMOUNT, MAX_ID_CHARS, MAX_QUERY_CHARS, MAX_USER_CHARS, is_unicode, micro_units
from streams.core.instants import LAST_INSTANT, parse_instant

UsualRecord = Callable[[Any, int, int, str | None, int], Event | None]
"""(decoded record, partition, offset, its name if it has no event_id, Kafka timestamp in ms) -> its event, or None."""

_CLICK: Final = int(Kind.CLICK)
_SEARCH: Final = int(Kind.SEARCH)
_PURCHASE: Final = int(Kind.PURCHASE)
_ABSENT: Final = (False, None)
_ODD: Final = (True, None)


class UsualRecords:
    """Reads well-formed records of one shop.

    Parameters
    ----------
    policy
        The shop's decisions.
    from_file
        Whether they are rows of files, which are named by their place; their offset is -1.

    >>> usual = UsualRecords(CleaningPolicy())
    >>> raw = {"event_id": "e", "user_id": "u1", "ts": 1714557600000, "action": "fav", "item_id": "i"}
    >>> usual.click(raw, 0, 7, None, 1714557600000).action
    3
    >>> usual.click(raw | {"price": "cheap"}, 0, 7, None, 1714557600000) is None
    True
    """

    def __init__(self, policy: CleaningPolicy, *, from_file: bool = False) -> None:
        index = {name: number for number, name in enumerate(ACTIONS)}
        self._all_named = from_file
        self._tolerance_ms = policy.future_tolerance_ms
        self._clicks: dict[Any, int] = {raw: index[name] for raw, name in policy.actions.items() if name in index}
        self._sales = {raw for raw, name in policy.actions.items() if name and name not in REFUND_ACTIONS}

    def of(self, kind: int) -> UsualRecord:
        """What reads the records of one input."""
        return (self.click, self.search, self.purchase)[kind]

    def click(self, raw: Any, partition: int, offset: int, record_id: str | None, published_ms: int) -> Event | None:
        """A click."""
        if type(raw) is not dict:
            return None
        get = raw.get
        user = get("user_id")
        if type(user) is not str or not (user := user.strip()) or not _names_a_user(user):
            return None
        if (ts := self._instant(get("ts"), published_ms)) < 0:
            return None
        try:
            action = self._clicks.get(get("action"))
        except TypeError:
            return None
        if action is None:
            return None
        odd, event_id = _text(get("event_id"))
        odd_item, item = _text(get("item_id"))
        odd_category, category = _text(get("category"))
        odd_session, session = _text(get("session_id"))
        if odd or odd_item or odd_category or odd_session:
            return None
        if (price := get("price")) is not None and (price := _price(price)) is None:
            return None
        named = event_id is not None or self._all_named
        if event_id is None:
            if record_id is None:
                return None
            event_id = record_id
        return Event(ts, _CLICK, event_id, user, partition, offset, named, action, item, category, price, None, session)

    def search(self, raw: Any, partition: int, offset: int, record_id: str | None, published_ms: int) -> Event | None:
        """A search."""
        if type(raw) is not dict:
            return None
        get = raw.get
        user = get("user_id")
        if type(user) is not str or not (user := user.strip()) or not _names_a_user(user):
            return None
        if (ts := self._instant(get("ts"), published_ms)) < 0:
            return None
        odd, event_id = _text(get("event_id"))
        odd_category, category = _text(get("category"))
        odd_session, session = _text(get("session_id"))
        odd_query, query = _text(get("query"), MAX_QUERY_CHARS)
        if odd or odd_category or odd_session or odd_query:
            return None
        named = event_id is not None or self._all_named
        if event_id is None:
            if record_id is None:
                return None
            event_id = record_id
        return Event(ts, _SEARCH, event_id, user, partition, offset, named, 0, None, category, None, query, session)

    def purchase(self, raw: Any, partition: int, offset: int, record_id: str | None, published_ms: int) -> Event | None:
        """A purchase: lines, or one flat line, all of them bought."""
        if type(raw) is not dict:
            return None
        get = raw.get
        user = get("user_id")
        if type(user) is not str or not (user := user.strip()) or not _names_a_user(user):
            return None
        if (ts := self._instant(get("ts"), published_ms)) < 0 or get("refund_of") is not None:
            return None
        if (action := get("action")) is not None and (type(action) is not str or action not in self._sales):
            return None
        odd, event_id = _text(get("event_id"))
        odd_session, session = _text(get("session_id"))
        odd_order, order = _text(get("order_id"))
        if odd or odd_session or odd_order:
            return None
        listed = get("lines")
        if listed is None:
            listed = (raw,)
        elif type(listed) is not list or not listed or len(listed) > MAX_LINES:
            return None
        lines = []
        for entry in listed:
            if type(entry) is not dict or (line := _line(entry)) is None:
                return None
            lines.append(line)
        named = event_id is not None or self._all_named
        if event_id is None:
            if record_id is None:
                return None
            event_id = record_id
        return Event(
            ts,
            _PURCHASE,
            event_id,
            user,
            partition,
            offset,
            named,
            0,
            None,
            None,
            None,
            None,
            session,
            order_key_of(order, session, ts),
            tuple(lines),
        )

    def _instant(self, value: Any, published_ms: int) -> int:
        """Event time in ms, or -1."""
        if type(value) is int:
            ts = value
        elif type(value) is not str or (ts := parse_instant(value) or -1) < 0:
            return -1
        return ts if EARLIEST_MS <= ts <= published_ms + self._tolerance_ms and ts <= LAST_INSTANT else -1


def _names_a_user(user: str) -> bool:
    return len(user) <= MAX_USER_CHARS and user[0] != "\0" and (user.isascii() or is_unicode(user))


def _text(value: Any, most: int = MAX_ID_CHARS) -> tuple[bool, str | None]:
    """Whether a field is odd, and its text."""
    if value is None:
        return _ABSENT
    if type(value) is not str or not (text := value.strip()) or len(text) > most:
        return _ODD
    return (False, text) if text.isascii() or is_unicode(text) else _ODD


def _price(value: Any) -> int | None:
    """In millionths; None where it is odd."""
    if (type(value) is float or type(value) is int) and 0 <= value <= MAX_AMOUNT:
        return micro_units(value)
    return None


def _line(entry: dict[str, Any]) -> Line | None:
    """A line that somebody bought; None where it is odd."""
    get = entry.get
    odd_item, item = _text(get("item_id"))
    odd_category, category = _text(get("category"))
    odd_brand, brand = _text(get("brand"))
    if odd_item or odd_category or odd_brand:
        return None
    if (price := get("price")) is not None and (price := _price(price)) is None:
        return None
    if (quantity := get("quantity", 1)) is None:
        quantity = 1
    if type(quantity) is not int or not 0 < quantity <= MAX_AMOUNT:
        return None
    return Line(item, category, brand, price, quantity)
