"""What a bootstrap tells: only how a user's portrait differs from the last one that the world was given.

``user-profiles`` is what services were told last. Where it says nothing of a user, each dimension that has a value is
told once, from nothing to what it is now; where it does, only dimensions that are another now. The ways in between
stay in the run's own files. Every such change says ``cause.kind`` = ``policy``: nobody did anything.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from streams.core.composing import SEGMENT_CHANGES
from streams.core.errors import InputFileError
from streams.core.hashing import output_id
from streams.core.instants import format_instant

RULE: Final = "bootstrap"
LIFECYCLE: Final = "lifecycle"
VALUE_TIER: Final = "value_tier"
RISK_BAND: Final = "risk_band"
DIMENSIONS: Final = (LIFECYCLE, VALUE_TIER, RISK_BAND)
_DIMENSIONS: Final = range(len(DIMENSIONS))
_NOTHING: Final = (None, None, None)
TOPIC: Final = SEGMENT_CHANGES


class _Lifecycle(msgspec.Struct, gc=False):
    stage: str
    phase: str
    since: str | None


class _Value(msgspec.Struct, gc=False):
    tier: str | None
    rfm: str | None = None


class _Risk(msgspec.Struct, gc=False):
    probability: float | None
    band: str | None
    as_of: str
    model_version: str


class _Window(msgspec.Struct, gc=False):
    clicks: int
    searches: int
    orders: int
    amount: float


class _Windows(msgspec.Struct, gc=False, rename={"month": "30d", "year": "365d"}):
    month: _Window
    year: _Window


class Portrait(msgspec.Struct, gc=False):
    """What of a ``user-profiles`` message is needed here."""

    id: str
    user_id: str
    as_of: str
    seq: int
    mode: str
    lifecycle: _Lifecycle
    value: _Value
    risk: _Risk | None
    windows: _Windows

    def standing(self) -> tuple[str, str | None, str | None]:
        """Stage, tier and risk band."""
        return self.lifecycle.stage, self.value.tier, None if self.risk is None else self.risk.band


class Told(NamedTuple):
    """The last portrait that the world was given of a user."""

    id: str
    seq: int
    stage: str
    tier: str | None
    band: str | None


class Change(NamedTuple):
    """A message for ``segment-changes``: its id and its body."""

    id: str
    body: dict[str, Any]


_decoder: Final = msgspec.json.Decoder(Portrait)


def decode_portrait(line: bytes, where: str) -> Portrait:
    """Read a portrait.

    Raises
    ------
    InputFileError
        It is none.
    """
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputFileError(f"{where} is no portrait: {error}.", "Make it anew.") from error


def told_of(portrait: Portrait) -> Told:
    """What the world knows of a user after a portrait."""
    return Told(portrait.id, portrait.seq, *portrait.standing())


class NetDifferences:
    """Makes the messages of one bootstrap.

    Parameters
    ----------
    through_ms
        The instant through which everything is in.
    policy_version, horizon_days
        By which the run decided.
    """

    def __init__(self, through_ms: int, policy_version: str, horizon_days: int) -> None:
        self.as_of = format_instant(through_ms)
        self._cause = {"kind": "policy", "deadline": self.as_of}
        self._cause_id = f"bootstrap:{through_ms}"
        self._policy_version = policy_version
        self._horizon_days = horizon_days

    def seq(self, portrait: Portrait, told: Told | None) -> int:
        """The sequence number that the user has from now on: the portrait's, but above what was told before it."""
        if told is None or told.id == portrait.id:
            return portrait.seq
        return max(portrait.seq, told.seq + 1 + len(DIMENSIONS))

    def changes(self, portrait: Portrait, told: Told | None, last_seq: int) -> list[Change]:
        """What is different, each under a sequence number of its own that ends with ``last_seq``."""
        before = _NOTHING if told is None else (told.stage, told.tier, told.band)
        standing = portrait.standing()
        different = [at for at in _DIMENSIONS if before[at] != standing[at]]
        first = last_seq - len(different) + 1
        return [
            self._change(portrait, DIMENSIONS[at], before[at], standing[at], seq)
            for seq, at in enumerate(different, start=first)
        ]

    def _change(
        self, portrait: Portrait, dimension: str, previous: str | None, current: str | None, seq: int
    ) -> Change:
        windows, risk = portrait.windows, portrait.risk
        since, version = portrait.as_of, ""
        evidence: dict[str, float | int | str | None] = {}
        if dimension == LIFECYCLE:
            since = portrait.lifecycle.since or since
            evidence = {
                "orders_365d": windows.year.orders,
                "clicks_30d": windows.month.clicks,
                "searches_30d": windows.month.searches,
            }
        elif dimension == VALUE_TIER:
            evidence = {
                "rfm": portrait.value.rfm,
                "orders_365d": windows.year.orders,
                "net_spend_365d": windows.year.amount,
            }
        elif risk is not None:
            since, version = risk.as_of, risk.model_version
            evidence = {
                "probability": risk.probability,
                "horizon_days": self._horizon_days,
                "model_version": risk.model_version,
            }
        key = output_id(portrait.user_id, dimension, self._cause_id, str(previous), str(current), version)
        body = {
            "id": key,
            "user_id": portrait.user_id,
            "as_of": self.as_of,
            "seq": seq,
            "mode": portrait.mode,
            "dimension": dimension,
            "previous": previous,
            "current": current,
            "phase": portrait.lifecycle.phase,
            "since": since,
            "cause": self._cause,
            "rule": RULE,
            "policy_version": self._policy_version,
            "evidence": evidence,
        }
        return Change(key, body)
