"""Families of features: what a marketer can tell apart in a risk.

The catalogue's features overlap, and a model spreads one habit over several of them, some with the opposite sign. So
what they add to a risk is summed by family before anything is ranked or told.
"""

from __future__ import annotations

from typing import Final

from streams.core.features import CATALOGUE

FAMILIES: Final[tuple[str, ...]] = (
    "recency",
    "frequency",
    "rhythm",
    "money",
    "basket",
    "windows",
    "browse",
)
"""In the order in which profiles keep them: new ones go to the end, and none is taken away."""
TITLES: Final[tuple[str, ...]] = (
    "time since the last order",
    "how long and how often a customer",
    "the customer's own rhythm",
    "money spent",
    "what is bought and returned",
    "recent orders",
    "clicks and searches",
)
_OF_CATALOGUE: Final = {"tenure": "frequency", "trends": "windows"}
"""Families of the catalogue that are told under another one's name."""


def family_of(name: str) -> int:
    """The index into :data:`FAMILIES` of a family as the catalogue names it.

    Raises
    ------
    ValueError
        It belongs to none.
    """
    return FAMILIES.index(_OF_CATALOGUE.get(name, name))


_FAMILY_OF: Final = tuple(family_of(feature.family) for feature in CATALOGUE)
MEMBERS: Final[tuple[tuple[int, ...], ...]] = tuple(
    tuple(index for index, family in enumerate(_FAMILY_OF) if family == wanted) for wanted in range(len(FAMILIES))
)
"""Per family, the features of the catalogue that belong to it."""
