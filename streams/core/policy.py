"""The frozen policy: every limit the engine decides by, read from TOML.

A policy is data, not code: the same events under the same policy give the same decisions. Its
:attr:`Policy.fingerprint` is stored with every profile, so a changed policy is noticed at the next start.
"""

from __future__ import annotations

import hashlib
import tomllib
from itertools import pairwise
from typing import Any, Final

import msgspec

from streams.core.errors import PolicyError
from streams.core.events import DAY_MS, MICRO

TIERS: Final = ("bronze", "silver", "gold", "platinum")
BANDS: Final = ("low", "medium", "high", "critical")
MOST: Final = 100_000_000
"""Bound of every number in a policy: sums of what it lets pass stay within 64 bits, and days within what has a date."""


class Gap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shop's own gap between purchase days, for customers without a rhythm yet."""

    shop_days: float


class StageLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When silence or orders move a customer from stage to stage."""

    at_risk_gaps: float
    at_risk_floor_days: float
    churned_gaps: float
    churned_floor_days: float
    dormant_days: float
    loyal_orders: int
    loyal_leave_orders: int
    loyal_tenure_gaps: float


class RfmCuts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Four ascending cut points per axis."""

    recency_days: tuple[int, int, int, int]
    frequency_orders: tuple[int, int, int, int]
    monetary: tuple[float, float, float, float]


class TierPoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """R + F + M from which a tier begins; below silver is bronze."""

    silver: int
    gold: int
    platinum: int


class RiskBands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probabilities from which a band begins, and how far below one must fall to leave it."""

    medium: float
    high: float
    critical: float
    hysteresis: float


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is an outlier, what is the future, and when a profile ends."""

    line_value: float
    future_minutes: float
    scores_stop_days: int
    forget_days: int


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All limits, as one immutable value.

    Example
    -------
    >>> from importlib.resources import files
    >>> text = files("streams.policies").joinpath("default.toml").read_text()
    >>> parse_policy(text, "default.toml").stages.loyal_orders
    4
    """

    version: str
    gap: Gap
    stages: StageLimits
    rfm: RfmCuts
    value_tiers: TierPoints
    risk_bands: RiskBands
    limits: Limits
    actions: dict[str, str] = {}

    @property
    def fingerprint(self) -> int:
        """32 bits that change whenever anything in the policy does."""
        digest = hashlib.blake2b(msgspec.msgpack.encode(self), digest_size=4).digest()
        return int.from_bytes(digest, "big")


class Compiled:
    """A policy in the engine's own units (ms, millionths), computed once."""

    __slots__ = (
        "at_risk_floor_ms",
        "at_risk_gaps",
        "band_floors",
        "churned_floor_ms",
        "churned_gaps",
        "dormant_ms",
        "fingerprint",
        "forget_ms",
        "frequency",
        "hysteresis",
        "line_value",
        "loyal_leave",
        "loyal_orders",
        "loyal_tenure_gaps",
        "monetary",
        "policy",
        "recency_ms",
        "scores_stop_ms",
        "shop_gap_ms",
        "silence_spans",
        "tier_points",
        "version",
    )

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.version = policy.version
        self.fingerprint = policy.fingerprint
        self.silence_spans: dict[int, tuple[int, int]] = {}
        """Silence until at risk and until churned, by half gap, as they are first asked for."""
        self.shop_gap_ms = round(policy.gap.shop_days * DAY_MS)
        stages = policy.stages
        self.at_risk_gaps = stages.at_risk_gaps
        self.at_risk_floor_ms = round(stages.at_risk_floor_days * DAY_MS)
        self.churned_gaps = stages.churned_gaps
        self.churned_floor_ms = round(stages.churned_floor_days * DAY_MS)
        self.dormant_ms = round(stages.dormant_days * DAY_MS)
        self.loyal_orders = stages.loyal_orders
        self.loyal_leave = stages.loyal_leave_orders
        self.loyal_tenure_gaps = stages.loyal_tenure_gaps
        # R falls by one at the instant from which more than `cut` whole days have passed.
        self.recency_ms = tuple((cut + 1) * DAY_MS for cut in policy.rfm.recency_days)
        self.frequency = policy.rfm.frequency_orders
        self.monetary = tuple(round(cut * MICRO) for cut in policy.rfm.monetary)
        points = policy.value_tiers
        self.tier_points = (points.silver, points.gold, points.platinum)
        bands = policy.risk_bands
        self.band_floors = (bands.medium, bands.high, bands.critical)
        self.hysteresis = bands.hysteresis
        self.line_value = round(policy.limits.line_value * MICRO)
        self.scores_stop_ms = policy.limits.scores_stop_days * DAY_MS
        self.forget_ms = policy.limits.forget_days * DAY_MS


def band_of(probability: float, previous: int, policy: Compiled) -> int:
    """The band of a probability; a band is left downwards only by the hysteresis.

    The previous band is kept while the probability is within ``hysteresis`` below its floor.
    """
    band = sum(probability >= floor for floor in policy.band_floors)
    if band < previous and probability >= policy.band_floors[previous - 1] - policy.hysteresis:
        return previous
    return band


def parse_policy(text: str, source: str) -> Policy:
    """Read a policy from TOML text.

    Parameters
    ----------
    text
        The TOML document.
    source
        Where it came from, for the error message.

    Raises
    ------
    PolicyError
        Not TOML, a name missing or unknown, a value of the wrong type, or limits that contradict each other.
    """
    try:
        document: dict[str, Any] = tomllib.loads(text)
        policy = msgspec.convert(document, Policy)
    except msgspec.ValidationError as error:
        raise PolicyError(
            f"{source}: {error}.", "Compare it with `ebbtide policy show`, which prints the default policy."
        ) from error
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and brackets without end
        raise PolicyError(f"{source} is not valid TOML: {error}.", "Mend that line.") from error
    _check(policy, source)
    return policy


def _check(policy: Policy, source: str) -> None:
    stages, rfm, tiers, bands, limits = policy.stages, policy.rfm, policy.value_tiers, policy.risk_bands, policy.limits
    rules = (
        (bool(policy.version.strip()), "version must not be empty"),
        (policy.gap.shop_days > 0, "gap.shop_days must be above 0"),
        (0 < stages.at_risk_gaps < stages.churned_gaps, "stages.at_risk_gaps must be above 0, below churned_gaps"),
        (
            0 < stages.at_risk_floor_days < stages.churned_floor_days,
            "stages.at_risk_floor_days must be above 0 and below churned_floor_days",
        ),
        (stages.dormant_days > 0, "stages.dormant_days must be above 0"),
        (
            1 <= stages.loyal_leave_orders <= stages.loyal_orders,
            "stages.loyal_leave_orders must be between 1 and loyal_orders",
        ),
        (stages.loyal_tenure_gaps >= 0, "stages.loyal_tenure_gaps must not be negative"),
        (_ascending(rfm.recency_days) and rfm.recency_days[0] >= 0, "rfm.recency_days must ascend"),
        (_ascending(rfm.frequency_orders) and rfm.frequency_orders[0] >= 1, "rfm.frequency_orders must ascend"),
        (_ascending(rfm.monetary), "rfm.monetary must ascend"),
        (3 <= tiers.silver < tiers.gold < tiers.platinum <= 15, "value_tiers must ascend within 3 to 15"),
        (0 < bands.medium < bands.high < bands.critical < 1, "risk_bands must ascend between 0 and 1"),
        (0 <= bands.hysteresis < bands.medium, "risk_bands.hysteresis must be below medium"),
        (limits.line_value > 0, "limits.line_value must be above 0"),
        (limits.future_minutes >= 0, "limits.future_minutes must not be negative"),
        (
            400 <= limits.scores_stop_days < limits.forget_days,
            "limits.scores_stop_days must be at least 400 and below forget_days",
        ),
    )
    for section in (policy.gap, stages, rfm, tiers, bands, limits):
        for name, value in msgspec.structs.asdict(section).items():
            if not all(abs(number) <= MOST for number in (value if isinstance(value, tuple) else (value,))):
                raise PolicyError(f"{source}: {name} must be a number within ±{MOST:g}.", "Mend it and start again.")
    for holds, rule in rules:
        if not holds:
            raise PolicyError(f"{source}: {rule}.", "Mend it and start again.")


def _ascending(cuts: tuple[float, ...]) -> bool:
    return all(low < high for low, high in pairwise(cuts))
