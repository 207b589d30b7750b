"""Feature schemas: what a model was learned on, and how it is brought over to another catalogue.

A column is ``name`` or ``name:unit:transform``. The name is the meaning: who changes what a feature means gives it a
new name. So two schemas are matched by name, and the same name with another unit or transform is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.packing import pack, triangle_of, unpack

Vector = npt.NDArray[np.float64]

PER_FEATURE: Final = ("counts", "means", "squares")
"""Parts of a linear model's state with one number per feature; its ``weights`` have one more, the intercept."""


def schema_hash(columns: Sequence[str]) -> str:
    """SHA-256 (hex) of a feature catalogue: one string per feature, say name, unit and transform, in order.

    Examples
    --------
    >>> schema_hash(["recency d log1p"]) == schema_hash(["recency h log1p"])
    False
    """
    text = json.dumps(list(columns), allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def name_of(column: str) -> str:
    """The feature's name in a column.

    >>> name_of("recency_days:days:log1p")
    'recency_days'
    """
    return column.split(":", 1)[0]


def names_of(columns: Sequence[str]) -> tuple[str, ...]:
    """The features' names, in order."""
    return tuple(name_of(column) for column in columns)


def moved(state: Mapping[str, Any], stored: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
    """The state of a linear model with a Gaussian posterior, for another catalogue.

    A feature that is new enters with weight 0, the prior's variance and no moments; one that is gone is marginalised
    out, which for a Gaussian means that its row and column are dropped; the others keep every number.

    Parameters
    ----------
    state
        As the model's ``state`` gave it: ``counts``, ``means``, ``squares``, ``weights`` (the intercept last),
        ``covariance`` (lower triangle, packed) and ``prior_variance``.
    stored, wanted
        Columns that it was learned on, and those of the catalogue.

    Raises
    ------
    ValueError
        The schemas have no feature in common, or one feature changed its unit or transform under the same name.
    """
    if tuple(stored) == tuple(wanted):
        return dict(state)
    for part, length in (*((part, len(stored)) for part in PER_FEATURE), ("weights", len(stored) + 1)):
        if not isinstance(state[part], Sequence) or len(state[part]) != length:
            raise ValueError(f"{part} must be {length} numbers")
    before = {name_of(column): (index, column) for index, column in enumerate(stored)}
    source: list[int] = []
    """Per wanted feature, where it stood; -1 for a new one."""
    for column in wanted:
        index, old = before.get(name_of(column), (-1, column))
        if old != column and ":" in old and ":" in column:
            raise ValueError(f"feature {name_of(column)} was learned as {old!r}, and here it is {column!r}")
        source.append(index)
    if max(source, default=-1) < 0:
        raise ValueError("it has no feature in common with this catalogue")
    size, kept = len(wanted), np.array([new for new, old in enumerate(source) if old >= 0])
    origin = np.array([old for old in source if old >= 0])
    result = dict(state)
    for part in PER_FEATURE:
        values = np.zeros(size)
        values[kept] = np.asarray(state[part], dtype=np.float64)[origin]
        result[part] = values.tolist()
    kept, origin = np.append(kept, size), np.append(origin, len(stored))
    weights = np.zeros(size + 1)
    weights[kept] = np.asarray(state["weights"], dtype=np.float64)[origin]
    result["weights"] = weights.tolist()
    covariance = np.diag(np.full(size + 1, float(state["prior_variance"])))
    covariance[np.ix_(kept, kept)] = unpack(state["covariance"], len(stored) + 1)[np.ix_(origin, origin)]
    result["covariance"] = pack(triangle_of(covariance))
    return result
