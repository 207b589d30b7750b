"""Plain counting, the least that a portrait can be: what a person writes in an afternoon, for ratios to be against.

It reads the same lines with the same JSON reader, knows who was seen first and last and when, counts events by kind and
day, adds up money and orders, and writes one line for each user. It forgets nothing, decides nothing, predicts nothing,
knows no lateness, no repeats, no silence and no bad record. What Ebbtide takes beyond it is what all of that costs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from streams.codec import decode, encode
from streams.core.events import DAY_MS
from streams.core.instants import parse_instant

WINDOW_DAYS: Final = 30


def portraits(lines: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    """Everybody in some JSON lines, as counted.

    Examples
    --------
    >>> line = b'{"event_type": "click", "user_id": "ann", "ts": 86400000}'
    >>> portraits([line])["ann"]["days"]
    {1: {'click': 1}}
    """
    users: dict[str, dict[str, Any]] = {}
    count(users, lines)
    return users


def count(users: dict[str, dict[str, Any]], lines: Iterable[bytes]) -> None:
    """Add more lines."""
    for line in lines:
        event = decode(line)
        ts = parse_instant(event["ts"])
        assert ts is not None
        user = users.get(event["user_id"])
        if user is None:
            user = users[event["user_id"]] = {"first": ts, "orders": {}, "amount": 0.0, "days": {}}
        user["last"] = ts
        day = user["days"].setdefault(ts // DAY_MS, {})
        kind = event["event_type"]
        day[kind] = day.get(kind, 0) + 1
        if kind == "purchase":
            value = event["price"] * event["quantity"]
            user["orders"][event["order_id"]] = ts
            user["amount"] += value
            day["amount"] = day.get("amount", 0.0) + value


def told(users: dict[str, dict[str, Any]]) -> Iterable[bytes]:
    """A line for each user: totals, and the sums of the last month."""
    now = max((user["last"] for user in users.values()), default=0) // DAY_MS
    for user_id, user in users.items():
        lately: dict[str, float] = {}
        for day, sums in user["days"].items():
            if day > now - WINDOW_DAYS:
                for name, value in sums.items():
                    lately[name] = lately.get(name, 0) + value
        body = {"user_id": user_id, "first": user["first"], "last": user["last"], "orders": len(user["orders"])}
        yield encode({**body, "amount": user["amount"], "window": lately}, newline=True)


def main() -> None:
    """From one file to another."""
    source, target = map(Path, sys.argv[1:])
    with source.open("rb") as lines, target.open("wb") as out:
        out.writelines(told(portraits(lines)))


if __name__ == "__main__":
    main()
