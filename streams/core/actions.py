"""What producers call an action, and what it means here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streams.core.events import ACTIONS, BUY, REFUND_ACTIONS

ACTION_NAMES: Final = frozenset({*ACTIONS, BUY, *REFUND_ACTIONS})
"""What an action map may map to: the actions of clicks, and what an order can be."""

_SPELLINGS: Final[dict[str, str]] = {
    "favourite": "fav favorite favourites favorites wishlist add_to_wishlist like",
    "view": "pv product_hit view_item product_view page_view detail click browse",
    "cart": "addtocart add_to_cart add_to_basket",
    "remove": "remove_from_cart removefromcart",
    "review": "rate rating comment",
    BUY: "buy purchase transaction order",
    "refund": "refund cancel cancelled canceled return",
}

DEFAULT_ACTIONS: Final[dict[str, str]] = {
    **{name: name for name in ACTIONS},
    **{spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings.split()},
}
"""Raw action -> one of :data:`ACTION_NAMES`; the policy's TOML can say otherwise."""


def canonical_action(action: str, actions: Mapping[str, str]) -> str | None:
    """What a raw action means, or None if nobody knows: as written first, then without case, spaces and hyphens.

    >>> canonical_action("Add-to Cart", DEFAULT_ACTIONS)
    'cart'
    """
    return actions.get(action) or actions.get(action.strip().lower().replace("-", "_").replace(" ", "_"))
