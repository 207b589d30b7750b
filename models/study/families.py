"""Features by family: what each adds to silence alone, and what is lost without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

GROUPS: Final[dict[str, str]] = {
    "recency": "recency",
    "tenure": "tenure and frequency",
    "frequency": "tenure and frequency",
    "rhythm": "rhythm",
    "money": "money",
    "basket": "basket and refunds",
    "windows": "windows and trends",
    "trends": "windows and trends",
    "calendar": "calendar habits",
    "browse": "browse, search, cart",
}
"""The families of the catalogue as the study puts them together; one that is not named stands for itself."""
BASIS: Final = "recency"


class Variation(NamedTuple):
    """A choice of features to run the champion on."""

    family: str
    how: str
    """``alone`` (the basis), ``added`` (to the basis), ``left out`` (of all), ``all``, or ``added to all``."""
    features: tuple[str, ...]


def variations(features: Sequence[str], families: Sequence[str], extra: Sequence[str] = ()) -> list[Variation]:
    """The runs of a family study.

    Parameters
    ----------
    features, families
        The columns there are, and the family of each.
    extra
        Features that the catalogue does not have: left out of ``all``, and added to it once.

    Examples
    --------
    >>> [(v.family, v.how) for v in variations(["r", "m"], ["recency", "money"])]
    [('recency', 'alone'), ('money', 'added'), ('all', 'all'), ('recency', 'left out'), ('money', 'left out')]
    """
    group = {name: GROUPS.get(family, family) for name, family in zip(features, families, strict=True)}
    known = [name for name in features if name not in set(extra)]
    basis = [name for name in known if group[name] == BASIS]
    ordered = [g for g in dict.fromkeys(GROUPS.values()) if g in group.values()]
    ordered += [g for g in dict.fromkeys(group.values()) if g not in ordered]
    runs = [Variation(BASIS, "alone", tuple(basis))]
    for one in ordered:
        own = [name for name in features if group[name] == one]
        if one != BASIS:
            runs.append(Variation(one, "added", (*basis, *(name for name in own if name not in basis))))
    runs.append(Variation("all", "all", tuple(known)))
    for one in ordered:
        own = [name for name in known if group[name] == one]
        if own:
            runs.append(Variation(one, "left out", tuple(name for name in known if name not in own)))
        beyond = [name for name in extra if group[name] == one]
        if beyond:
            runs.append(Variation(one, "added to all", (*known, *beyond)))
    return runs
