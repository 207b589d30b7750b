"""The body of ``model-scorecard``, as a type: how good the served scores of one head were."""

from __future__ import annotations

from typing import Literal

import msgspec


class ReliabilityBin(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Scores of neighbouring probability, a tenth of all where none tie: what was said beside what came."""

    n: int
    lowest: float
    highest: float
    mean_probability: float
    observed_ratio: float


class Figures(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Exact figures over the last labels; null where they are undefined."""

    n: int
    base_rate: float | None
    mean_probability: float | None
    auc: float | None
    log_loss: float | None
    brier: float | None
    ece: float | None
    top_decile_lift: float | None
    bins: list[ReliabilityBin]


class WindowFigures(Figures):
    """Over at most ``size`` labels."""

    size: int


class OverallFigures(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Over every scored label since the start."""

    n: int
    base_rate: float | None
    log_loss: float | None
    brier: float | None
    mean_probability: float | msgspec.UnsetType | None = msgspec.UNSET
    auc: float | msgspec.UnsetType | None = msgspec.UNSET
    ece: float | msgspec.UnsetType | None = msgspec.UNSET
    top_decile_lift: float | msgspec.UnsetType | None = msgspec.UNSET
    bins: list[ReliabilityBin] | msgspec.UnsetType = msgspec.UNSET


class GroupFigures(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One stage, tier or start: counts since the start, and its own figures within the window."""

    labels: int
    positive_ratio: float
    scored: int
    scored_positive_ratio: float | None
    mean_probability: float | None
    window: Figures


class Observations(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What became of every scheduled score: ``opened`` is the sum of the two outcomes, ``erased`` and ``pending``.

    ``partitions`` says how many of the inputs' partitions are in; ``since`` from when on they count, null for ever.
    """

    opened: int
    churned: int | msgspec.UnsetType = msgspec.UNSET
    returned: int | msgspec.UnsetType = msgspec.UNSET
    bought: int | msgspec.UnsetType = msgspec.UNSET
    stayed_away: int | msgspec.UnsetType = msgspec.UNSET
    erased: int
    pending: int
    partitions: int
    since: str | None


class Challenger(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What speaks for a challenger since the contest began anew: at ``needed`` its ``e_value`` makes it the champion.

    ``better_by`` is the champion's mean log loss less its own, by what each would have served.
    """

    e_value: float
    needed: float
    days: int
    examples: int
    log_loss: float
    champion_log_loss: float
    better_by: float


class ModelScorecard(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Topic ``model-scorecard`` (compacted): how good the scores of a ``head`` were, as they were served.

    ``outcome`` says what a positive label means; ``as_of`` and ``version`` name the newest cut; ``window`` is exact
    over the last labels. A score without a probability (``cold``) is counted and not judged.
    """

    type: Literal["scorecard"]
    head: str
    outcome: str
    horizon_days: int
    version: str
    as_of: str
    cold_start: bool
    champion: str
    challengers: dict[str, Challenger]
    labels: int
    scored: int
    cold: int
    positives: int
    base_rate: float | None
    first_as_of_ms: int | None
    last_label_ms: int | None
    window: WindowFigures
    overall: OverallFigures
    by_stage: dict[str, GroupFigures]
    by_tier: dict[str, GroupFigures]
    by_cold_start: dict[str, GroupFigures]
    observations: Observations | None
