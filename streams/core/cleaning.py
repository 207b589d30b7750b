"""Cleaning: one decoded record in, one :class:`Event` or one :class:`Rejection` out, whatever the record holds.

Unknown fields are ignored. A known field that cannot mean what it should is a reason to reject the record, never to
guess; a field that is absent, null or blank is simply unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from streams.core.actions import DEFAULT_ACTIONS, canonical_action
from streams.core.events import ACTIONS, MINUTE_MS, REFUND_ACTIONS, Event, Kind, Line, Position
from streams.core.fields import MAX_QUERY_CHARS, UnfitError, micro_units, name_of, text_of, user_id, whole_quantity
from streams.core.instants import parse_instant
from streams.core.policy import Policy
from streams.core.ports import Rejection

REASONS: Final = (
    "not_json",
    "not_an_object",
    "missing_user",
    "bad_user",
    "missing_time",
    "bad_time",
    "future",
    "bad_price",
    "bad_quantity",
    "bad_field",
    "too_late",
    "oversized",
    "unknown_type",
)
"""Every reason code a dead letter can carry; some are given by readers and the fold, not here."""

EARLIEST_MS: Final = 631_152_000_000
"""1990-01-01: an older instant is a clock that was never set, or epoch seconds."""

MAX_LINES: Final = 5_000
_ACTION_INDEX: Final = {name: index for index, name in enumerate(ACTIONS)}
_CLICK: Final = int(Kind.CLICK)
_PURCHASE: Final = int(Kind.PURCHASE)


class CleaningPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a shop decides about its records.

    Parameters
    ----------
    actions
        Raw action -> one of :data:`~streams.core.actions.ACTION_NAMES`.
    future_tolerance_ms
        How far an event may be ahead of its publishing, in ms.
    max_record_bytes
        Records beyond it are refused undecoded, as ``oversized``.
    """

    actions: dict[str, str] = msgspec.field(default_factory=DEFAULT_ACTIONS.copy)
    future_tolerance_ms: int = 5 * MINUTE_MS
    max_record_bytes: int = 262_144


def cleaning_policy(policy: Policy, max_record_bytes: int = 262_144) -> CleaningPolicy:
    """What a policy says about records: its names of actions over the built-in ones, and what is the future."""
    return CleaningPolicy(
        actions={**DEFAULT_ACTIONS, **policy.actions},
        future_tolerance_ms=round(policy.limits.future_minutes * MINUTE_MS),
        max_record_bytes=max_record_bytes,
    )


def clean(
    raw: object,
    kind: int,
    *,
    position: Position,
    record_id: str,
    published_ms: int,
    policy: CleaningPolicy,
    from_file: bool = False,
) -> Event | Rejection:
    """Turn one decoded record into an event, or say why not. Never raises, whatever ``raw`` holds.

    Parameters
    ----------
    raw
        The decoded JSON value, or a file row.
    kind
        A :class:`~streams.core.events.Kind`: which input it came in by.
    position
        Where it was read.
    record_id
        The event's id if it has no event_id of its own.
    published_ms
        The record's Kafka timestamp (files: the start of the run), ms: the measure of "future".
    policy
        The shop's decisions.
    from_file
        True for file rows, whose position cannot come twice (the event's offset is then -1).

    >>> where = Position("clicks", 0, 7)
    >>> raw = {"user_id": "u1", "ts": "2024-05-01T10:00:00Z", "action": "fav"}
    >>> policy = CleaningPolicy()
    >>> clean(raw, 0, position=where, record_id="clicks-0-7", published_ms=1714557600000, policy=policy).action
    3
    """
    try:
        return _event(raw, kind, position, record_id, published_ms, policy, from_file)
    except UnfitError as unfit:
        return Rejection(unfit.reason, unfit.message, position)


def user_of(value: object) -> str | None:
    """The user id a record's ``user_id`` means (text, or an integer), or None if it means none.

    Publishers key records by it, so a record's partition and the cleaned event's user always agree.
    """
    try:
        return user_id(value)
    except UnfitError:
        return None


def is_unknown_action(event: Event, raw: Mapping[str, object], policy: CleaningPolicy) -> bool:
    """Whether a cleaned click became ``other`` because nobody knows its action (worth counting)."""
    if event.kind != _CLICK or event.action != 0:
        return False
    action = raw.get("action")
    return not isinstance(action, str) or canonical_action(action, policy.actions) != "other"


def _event(
    raw: object,
    kind: int,
    position: Position,
    record_id: str,
    published_ms: int,
    policy: CleaningPolicy,
    from_file: bool,
) -> Event:
    if type(raw) is not dict:
        raise UnfitError("not_an_object", f"a record must be a JSON object, this is {name_of(raw)}")
    get = raw.get
    user = user_id(get("user_id"))
    ts = _instant(get("ts"), published_ms, policy)
    event_id = text_of(get("event_id"), "event_id")
    session = text_of(get("session_id"), "session_id")
    partition = position.partition
    offset = -1 if from_file else position.offset
    # A file row is named by its place in the file, as `ebbtide publish` names it: the same state either way.
    named = from_file or event_id is not None
    if event_id is None:
        event_id = record_id
    if kind == _PURCHASE:
        lines, refund = _lines(raw, policy)
        order = text_of(get("order_id"), "order_id")
        order_key = order_key_of(order, session, ts)
        return Event(
            ts,
            kind,
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
            order_key,
            lines,
            refund,
            text_of(get("refund_of"), "refund_of"),
        )
    category = text_of(get("category"), "category")
    if kind == _CLICK:
        return Event(
            ts,
            kind,
            event_id,
            user,
            partition,
            offset,
            named,
            _ACTION_INDEX.get(_action(get("action"), policy), 0),
            text_of(get("item_id"), "item_id"),
            category,
            micro_units(get("price")),
            None,
            session,
        )
    query = get("query")
    if type(query) is str and len(query) > MAX_QUERY_CHARS:
        query = query.strip()[:MAX_QUERY_CHARS]
    return Event(
        ts,
        kind,
        event_id,
        user,
        partition,
        offset,
        named,
        0,
        None,
        category,
        None,
        text_of(query, "query", MAX_QUERY_CHARS),
        session,
    )


def _instant(value: object, published_ms: int, policy: CleaningPolicy) -> int:
    ts = parse_instant(value)
    if ts is None:
        if value is None or value == "":
            raise UnfitError("missing_time", "ts is absent, null or blank")
        shown = repr(value[:40]) if isinstance(value, str) else name_of(value)
        raise UnfitError("bad_time", f"ts must be RFC 3339 or epoch milliseconds, this is {shown}")
    if ts < EARLIEST_MS:
        raise UnfitError(
            "bad_time", f"ts is before 1990 ({ts} ms since the epoch); numbers are milliseconds, not seconds"
        )
    if ts > published_ms + policy.future_tolerance_ms:
        raise UnfitError("future", f"ts is {ts - published_ms} ms after the record was published")
    return ts


def order_key_of(order: str | None, session: str | None, ts: int) -> str:
    """What makes lines one order: order_id, else session_id, else (user and) instant."""
    return f"o:{order}" if order is not None else f"s:{session}" if session is not None else f"t:{ts}"


def _lines(raw: Mapping[str, object], policy: CleaningPolicy) -> tuple[tuple[Line, ...], bool]:
    """The lines of an order with signed quantities, and whether the whole of it is a refund."""
    returned = _action(raw.get("action"), policy) in REFUND_ACTIONS
    listed = raw.get("lines")
    if listed is None:
        line = _line(raw, returned)
        if line is None:
            return (), returned
        return (line,), line.quantity < 0
    if type(listed) is not list:
        raise UnfitError("bad_field", f"lines must be a list, this is {name_of(listed)}")
    if len(listed) > MAX_LINES:
        raise UnfitError("oversized", f"the order has {len(listed)} lines, at most {MAX_LINES} are taken")
    lines: list[Line] = []
    for entry in listed:
        if type(entry) is not dict:
            raise UnfitError("bad_field", f"a line must be an object, this is {name_of(entry)}")
        line = _line(entry, returned)
        if line is not None:
            lines.append(line)
    return tuple(lines), all(line.quantity < 0 for line in lines) if lines else returned


def _line(raw: Mapping[str, object], returned: bool) -> Line | None:
    get = raw.get
    price = micro_units(get("price"))
    quantity = whole_quantity(get("quantity"))
    item = text_of(get("item_id"), "item_id")
    category = text_of(get("category"), "category")
    brand = text_of(get("brand"), "brand")
    if quantity == 0:
        return None
    return Line(item, category, brand, price, -quantity if returned and quantity > 0 else quantity)


def _action(value: object, policy: CleaningPolicy) -> str:
    if value is None:
        return "other"
    if type(value) is not str:
        raise UnfitError("bad_field", f"action must be text, this is {name_of(value)}")
    return canonical_action(value, policy.actions) or "other"
