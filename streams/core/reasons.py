"""Why a risk is high, in words: what a model's contributions mean to somebody who runs a shop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from streams.core.features import CATALOGUE
from streams.core.ports import Contribution

MOST_REASONS: Final = 3


def _number(value: float) -> str:
    if abs(value) >= 10:
        return f"{value:.0f}"
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}".removesuffix(".0")


def _text(index: int, value: float, usual: float) -> str:
    feature = CATALOGUE[index]
    if feature.unit == "flag":
        return feature.meaning if value >= 0.5 else f"not: {feature.meaning}"
    if feature.unit == "log ratio":
        side = "above" if value > usual else "below"
        return f"{feature.meaning}: {side} the usual"
    return f"{feature.meaning}: {_number(value)}; usually {_number(usual)}"


def reasons(contributions: Sequence[Contribution], features: Sequence[float]) -> list[dict[str, Any]]:
    """The features that raise a risk most against the average customer, as a message tells them.

    Returns
    -------
    list of dict
        ``feature``, ``value`` and ``usual`` in the feature's own unit, ``contribution`` to the logit, ``text``.
    """
    told = []
    for index, contribution, usual in contributions:
        feature = CATALOGUE[index]
        value, normal = feature.natural(features[index]), feature.natural(usual)
        told.append(
            {
                "feature": feature.name,
                "value": round(value, 4),
                "usual": round(normal, 4),
                "contribution": round(contribution, 6),
                "text": _text(index, value, normal),
            }
        )
    return told
