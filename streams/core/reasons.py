"""Why a risk is what it is, in words: what a model's contributions mean to somebody who runs a shop.

Contributions are summed by family before they are ranked: the catalogue's features overlap, and a single one of them
may lower what its neighbours raise. With the logit of the average customer, the families add up to the customer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from streams.core.families import FAMILIES, TITLES
from streams.core.features import CATALOGUE, NAMES
from streams.core.instants import format_instant
from streams.core.phrases import SAYINGS, SPANS, SPEAKERS
from streams.core.ports import Explanation
from streams.core.sayings import EITHER, LESS, MORE, NOTICED, Saying, Vector
from streams.core.stored_profile import Explained
from streams.core.told_facts import FACTS, facts_of

MOST_REASONS: Final = 3
LEAVE_MORE: Final = "such customers leave more often"
"""Said of what the model has learned the other way round than one would think."""
_ALL: Final = range(len(FAMILIES))
_SPEAK: Final = tuple(range(*span) for span in SPANS)
_SAYING_OF: Final = tuple(SAYINGS.get(speaker) for speaker in SPEAKERS)
_CHANGES: Final[tuple[tuple[Saying, ...], ...]] = tuple(
    tuple(SAYINGS[one] for one in SPEAKERS[begin:end] if NAMES[one] in {*FACTS, "overdue"}) for begin, end in SPANS
)


class Told(NamedTuple):
    """A score to be told: its logit by families, and what it was made of."""

    as_of: int
    probability: float
    version: str
    base: float
    voices: Sequence[float]
    """What each of :data:`streams.core.phrases.SPEAKERS` and its kin add to the base."""
    sums: Sequence[float]
    """The same by family."""
    usual: Sequence[float]
    """The training mean of each feature."""
    features: Sequence[float]

    @classmethod
    def of(cls, as_of: int, version: str, made: Explanation, features: Sequence[float]) -> Told:
        """A score as a cut explains it, by :data:`streams.core.phrases.VOICE_OF`."""
        probability, base, voices, usual = made
        sums = [sum(voices[begin:end]) for begin, end in SPANS]
        return cls(as_of, probability, version, base, voices, sums, usual, features)

    def kept(self) -> Explained:
        """What the profile keeps of it, to say next time what is different."""
        features = self.features
        return Explained.of(self.as_of, self.probability, self.version, (self.base, *self.sums), facts_of(features))


def families(sums: Sequence[float]) -> dict[str, float]:
    """What each family adds to the logit of the average customer; they add up to this customer's."""
    return dict(zip(FAMILIES, sums, strict=True))


def reasons(told: Told) -> list[dict[str, Any]]:
    """The families that raise a risk most against the average customer, as a message tells them.

    Returns
    -------
    list of dict
        ``family`` and its ``contribution`` to the logit, the ``feature`` that is told of it, with ``value`` and
        ``usual`` in the feature's own unit, and ``text``.
    """
    sums = told.sums
    ranked = sorted(_ALL, key=sums.__getitem__, reverse=True)[:MOST_REASONS]
    return [_reason(told, family) for family in ranked if sums[family] > 0.0]


def _reason(told: Told, family: int) -> dict[str, Any]:
    feature, text = _said(told, family)
    return {
        "family": FAMILIES[family],
        "feature": NAMES[feature],
        "value": round(CATALOGUE[feature].natural(told.features[feature]), 4),
        "usual": _shown(feature, told.usual[feature]),
        "contribution": told.sums[family],
        "text": text,
    }


@lru_cache(maxsize=1024)
def _shown(feature: int, mean: float) -> float:
    """The average customer's figure in its own unit: the same for every customer of a day."""
    return round(CATALOGUE[feature].natural(mean), 4)


def _said(told: Told, family: int) -> tuple[int, str]:
    """The feature that speaks for the family, and the sentence about it."""
    voices, features, usual = told.voices, told.features, told.usual
    ranked = sorted(_SPEAK[family], key=voices.__getitem__, reverse=True)
    for least in (NOTICED, 0.0):
        for voice in ranked:
            if voices[voice] <= 0.0:
                break
            saying = _SAYING_OF[voice]
            if saying is not None and (text := saying.reason(features, usual, least)) is not None:
                return saying.feature, text
    for voice in ranked:
        saying = _SAYING_OF[voice]
        if saying is not None and (fact := saying.plain(features, usual)) is not None:
            return saying.feature, f"{fact}: {LEAVE_MORE}"
    return SPEAKERS[ranked[0]], f"{TITLES[family]}: {LEAVE_MORE}"


def changed(told: Told, last: Explained | None) -> dict[str, Any] | None:
    """What is different from the score that was told last; None if there was none.

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
    sizes = [abs(move) for move in moves]
    ranked = sorted(_ALL, key=sizes.__getitem__, reverse=True)
    then = last.facts()
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
                "text": _moved(told.features, then, family, moves[family] > 0.0, another),
            }
            for family in ranked[:MOST_REASONS]
            if moves[family]
        ],
        "others": sum([moves[family] for family in ranked[MOST_REASONS:]]),
    }


def _moved(now: Vector, then: Sequence[float], family: int, raised: bool, another: bool) -> str:
    """What is different in a family, best in the direction in which its part of the risk went."""
    went = MORE if raised else LESS
    seen = [(speaks, saying) for saying in _CHANGES[family] if (speaks := saying.moved(now, then)) is not None]
    for wanted in (went, EITHER) if seen else ():
        for speaks, saying in seen:
            if speaks == wanted and (text := saying.change(now, then)) is not None:
                return text
    for speaks, saying in seen:
        if speaks == -went and (text := saying.change(now, then)) is not None:
            return f"{text}: here that {'raises' if raised else 'lowers'} the risk"
    return f"{TITLES[family]}: {'weighed anew by a newer model' if another else 'little is different'}"
