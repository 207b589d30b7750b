"""The bodies of the three inputs, as types: what a producer sends. The source of their JSON Schemas.

Cleaning is more lenient than these (see :mod:`streams.core.cleaning`): unknown fields are ignored, other names of an
action are mapped, and one flat line stands for ``lines``. A producer that keeps to these is never rejected.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=256, description="also the Kafka key, in UTF-8")]
Instant = Annotated[str | int, msgspec.Meta(description="event time: RFC 3339, or ms since the epoch")]
Price = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class InputBody(msgspec.Struct, kw_only=True):
    """What every input may say; ``event_id`` is what a repeat is noticed by."""

    user_id: UserId
    ts: Instant
    event_id: str | None = None
    session_id: str | None = None
    channel: str | None = None


class Click(InputBody):
    """Topic ``clicks``."""

    item_id: str
    action: Literal["view", "cart", "favourite", "share", "review", "remove", "search_click", "other"]
    category: str | None = None
    brand: str | None = None
    price: Price | None = None
    campaign_id: str | None = None


class Search(InputBody):
    """Topic ``searches``."""

    query: str
    results: int | None = None
    category: str | None = None


class PurchaseLine(msgspec.Struct, kw_only=True):
    """One line of an order. A negative quantity gives back."""

    item_id: str
    quantity: int = 1
    price: Price | None = None
    category: str | None = None
    brand: str | None = None


class Purchase(InputBody):
    """Topic ``purchases``. Lines of one ``order_id`` are one order, in one message or in many."""

    lines: list[PurchaseLine]
    order_id: str | None = None
    currency: str | None = None
    coupon: str | None = None
    campaign_id: str | None = None
    refund_of: str | None = None


INPUT_BODIES: Final[dict[str, type[msgspec.Struct]]] = {"clicks": Click, "searches": Search, "purchases": Purchase}


def input_schema_of(topic: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of an input topic's body."""
    return msgspec.json.schema(INPUT_BODIES[topic])
