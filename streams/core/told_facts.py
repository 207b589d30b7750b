"""Facts: what a profile keeps of the feature vector that was told last, to say next time what is different."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from streams.core.features import NAMES

FACTS: Final[tuple[str, ...]] = (
    "recency_days",
    "silence_days",
    "orders",
    "active_days",
    "usual_gap_days",
    "net_spend_30d",
    "net_spend_90d",
    "net_spend_365d",
    "order_value",
    "lines_per_order",
    "refund_share",
    "interests",
    "orders_30d",
    "orders_90d",
    "orders_365d",
    "clicks_30d",
    "searches_30d",
    "carts_30d",
    "orders_7d",
    "last_order_value",
    "carts_open",
    "visit_days_30d",
    "tenure_days",
    "active_days_60d",
    "active_days_180d",
)
"""What a profile keeps of the vector that was told last, in this order: new ones go to the end, none is taken away."""
_FACTS: Final = tuple(NAMES.index(name) for name in FACTS)
facts_of: Final = itemgetter(*_FACTS)
"""The facts of a vector."""
_PLACES: Final = tuple(_FACTS.index(feature) if feature in _FACTS else len(FACTS) for feature in range(len(NAMES)))
"""Per feature of the catalogue, where it stands among the facts; behind all of them where it is none."""


def earlier(feature: int, now: Sequence[float], then: Sequence[float]) -> float:
    """What a feature was by the facts told last; what it is now where they do not say."""
    place = _PLACES[feature]
    return then[place] if place < len(then) else now[feature]
