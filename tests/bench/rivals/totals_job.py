"""The small job, as all Python rivals do it: a count and a sum of money per user, told with every tenth event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TOLD_EVERY: Final = 10
TOPIC: Final = "totals"


def cents_of(event: Mapping[str, Any]) -> int:
    """The money in an event.

    >>> cents_of({"price": 1.5, "quantity": 2}), cents_of({"query": "q"})
    (300, 0)
    """
    price = event.get("price")
    return 0 if price is None else round(price * 100) * int(event["quantity"])


def told(user_id: str, count: int, cents: int) -> dict[str, Any] | None:
    """What is sent after an event; None with nine of ten."""
    return None if count % TOLD_EVERY else {"user_id": user_id, "count": count, "cents": cents}
