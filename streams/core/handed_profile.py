"""Stored profiles on their way from a finished run into a live installation: changed as bytes, folded by nobody."""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec

from streams.core.stored_profile import (
    BOOTSTRAPPED,
    HEADER_BYTES,
    PLAIN,
    damaged,
    read_header,
    repacked,
    unpack_profile,
)
from streams.core.tally import CHURN, PROPENSITY

_CHECK_BYTES: Final = 4
_encode: Final = msgspec.msgpack.Encoder().encode


class _Delivery(msgspec.Struct, array_like=True, gc=False):
    """Of what was told, the scores that wait for their label; the fields in the order of ``Delivery``."""

    seq: msgspec.Raw
    as_of: msgspec.Raw
    cause: msgspec.Raw
    stage: msgspec.Raw
    tier: msgspec.Raw
    band: msgspec.Raw
    probability: msgspec.Raw
    scored_at: msgspec.Raw
    version: msgspec.Raw
    served: dict[int, msgspec.Raw]
    settled_band: msgspec.Raw
    bands: msgspec.Raw
    propensity: msgspec.Raw
    propensity_at: msgspec.Raw
    propensity_version: msgspec.Raw
    propensity_served: dict[int, msgspec.Raw]


class _Stored(msgspec.Struct, array_like=True, gc=False):
    """A body of which only the delivery is read."""

    settled: msgspec.Raw
    settled_through: msgspec.Raw
    settled_key: msgspec.Raw
    open: msgspec.Raw
    fired: msgspec.Raw
    delivery: _Delivery


_slim: Final = msgspec.msgpack.Decoder(_Stored)


def waiting_scores(value: bytes, where: str = "a stored profile") -> dict[str, int]:
    """How many scheduled scores of a profile of this version wait for their label, by head.

    Raises
    ------
    StateError
        It cannot be read.
    """
    try:
        delivery = _slim.decode(memoryview(value)[HEADER_BYTES:]).delivery
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise damaged(where, str(error)) from error
    return {CHURN: len(delivery.served), PROPENSITY: len(delivery.propensity_served)}


def with_applied_until(value: bytes, applied_until: int) -> bytes:
    """A profile of this version as one that a bootstrap brought: events at or before the instant (ms) are in."""
    head, body = value[: HEADER_BYTES - _CHECK_BYTES], value[HEADER_BYTES:]
    if body[:1] != PLAIN:
        raise ValueError("the profile says through which instant it was brought, or is none")
    body = b"".join((BOOTSTRAPPED, body[1:], _encode(applied_until)))
    return b"".join((head, crc32(body, crc32(head)).to_bytes(_CHECK_BYTES, "big"), body))


def with_seq(value: bytes, seq: int, where: str = "a stored profile") -> bytes:
    """A profile whose next output has the sequence number behind ``seq``; all else is as it was.

    Raises
    ------
    StateError
        Damaged, foreign or newer bytes.
    """
    header, stored = read_header(value, where), unpack_profile(value, where)
    stored.delivery.seq = seq
    return repacked(stored, header, writer=header.writer)
