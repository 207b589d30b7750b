"""Why a risk is what it is, in words: what a model's contributions mean to somebody who runs a shop.

Contributions are summed by family before they are ranked: the catalogue's features overlap, and a single one of them
may lower what its neighbours raise. With the logit of the average customer, the families add up to the customer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from typing import Any, Final, NamedTuple

from streams.core.families import FAMILIES, MEMBERS, PRESENT, TITLES
from streams.core.features import NAMES
from streams.core.instants import format_instant
from streams.core.ports import Explanation
from streams.core.sayings import SAYINGS, Vector, natural
from streams.core.stored_profile import Explained

MOST_REASONS: Final = 3
LEAVE_MORE: Final = "such customers leave more often"
"""Said of what the model has learned the other way round than one would think."""
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
)
"""What a profile keeps of the vector that was told last, in this order: new ones go to the end, none is taken away."""
_FACTS: Final = tuple(NAMES.index(name) for name in FACTS)
_CHANGES: Final = tuple(
    tuple(one for one in sayings if NAMES[one.feature] in {*FACTS, "overdue"}) for sayings in SAYINGS
)


class Told(NamedTuple):
    """A score to be told: its logit by families, and what it was made of."""

    as_of: int
    probability: float
    version: str
    base: float
    sums: Sequence[float]
    """What each family adds to the base."""
    terms: Sequence[float]
    """What each feature adds."""
    usual: Sequence[float]
    """The training mean of each feature."""
    features: Sequence[float]

    @classmethod
    def of(cls, as_of: int, version: str, made: Explanation, features: Sequence[float]) -> Told:
        """A score as a cut explains it, by :data:`streams.core.families.FAMILY_OF`."""
        probability, base, sums, terms, usual = made
        empty = [0.0] * (len(FAMILIES) - len(sums))
        return cls(as_of, probability, version, base, [*sums, *empty], terms, usual, features)

    def kept(self) -> Explained:
        """What the profile keeps of it, to say next time what is different."""
        facts = [self.features[index] for index in _FACTS]
        return Explained.of(self.as_of, self.probability, self.version, [self.base, *self.sums], facts)


def families(sums: Sequence[float]) -> dict[str, float]:
    """What each family adds to the logit of the average customer; they add up to this customer's."""
    return {FAMILIES[family]: sums[family] for family in PRESENT}


def reasons(told: Told) -> list[dict[str, Any]]:
    """The families that raise a risk most against the average customer, as a message tells them.

    Returns
    -------
    list of dict
        ``family`` and its ``contribution`` to the logit, the ``feature`` that is told of it, with ``value`` and
        ``usual`` in the feature's own unit, and ``text``.
    """
    most = nlargest(MOST_REASONS, (family for family in PRESENT if told.sums[family] > 0.0), key=told.sums.__getitem__)
    return [_reason(told, family) for family in most]


def _reason(told: Told, family: int) -> dict[str, Any]:
    feature, text = _said(told.terms, told.features, told.usual, family)
    return {
        "family": FAMILIES[family],
        "feature": NAMES[feature],
        "value": round(natural(feature, told.features), 4),
        "usual": round(natural(feature, told.usual), 4),
        "contribution": told.sums[family],
        "text": text,
    }


def _said(terms: Sequence[float], features: Vector, usual: Vector, family: int) -> tuple[int, str]:
    """The feature that speaks for the family, and the sentence about it."""
    sayings = sorted(SAYINGS[family], key=lambda saying: -terms[saying.feature])
    for saying in sayings:
        if (text := saying.reason(features, usual, terms[saying.feature])) is not None:
            return saying.feature, text
    for saying in sayings:
        if (fact := saying.plain(features, usual)) is not None:
            return saying.feature, f"{fact}: {LEAVE_MORE}"
    leading = max(MEMBERS[family], key=lambda index: terms[index])
    return leading, f"{TITLES[family]}: {LEAVE_MORE}"


def changed(told: Told, kept: Explained, last: Explained | None) -> dict[str, Any] | None:
    """What is different from the score that was told last; None if there was none. ``kept`` is :meth:`Told.kept`.

    Returns
    -------
    dict
        ``since`` (as of when that score was), its ``probability``, whether it was another model's, and by how much the
        logit moved since: ``base``, the three families that moved most (``by``) and all ``others`` together.
    """
    if last is None:
        return None
    base_then, *sums_then = last.logit()
    # A family that came to be since then had no part in the last score.
    sums_then += [0.0] * (len(FAMILIES) - len(sums_then))
    moves = [now - then for now, then in zip(told.sums, sums_then, strict=True)]
    most = nlargest(
        MOST_REASONS, (family for family in PRESENT if moves[family]), key=lambda family: abs(moves[family])
    )
    # Both to the precision that was kept, or what is the same would look different.
    now, then = list(told.features), list(told.features)
    for index, value, before in zip(_FACTS, kept.facts(), last.facts(), strict=False):
        now[index], then[index] = value, before
    another = last.version != told.version
    return {
        "since": format_instant(last.as_of),
        "probability": last.probability,
        "model_changed": another,
        "base": told.base - base_then,
        "by": [
            {
                "family": FAMILIES[family],
                "change": moves[family],
                "text": _moved(now, then, family, moves[family] > 0.0, another),
            }
            for family in most
        ],
        "others": sum(move for family, move in enumerate(moves) if family not in most),
    }


def _moved(now: Vector, then: Vector, family: int, raised: bool, another: bool) -> str:
    for saying in _CHANGES[family]:
        if (text := saying.change(now, then, raised)) is not None:
            return text
    return f"{TITLES[family]}: {'weighed anew by a newer model' if another else 'details have changed'}"
