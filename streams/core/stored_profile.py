"""How a profile is stored: a header that is read without decoding, a checksum, and the body in MessagePack.

The header says when its user's turn is next and what stage they are counted in, so that a restart reads headers only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from streams.core import migrations
from streams.core.errors import StateError
from streams.core.events import Event
from streams.core.instants import LAST_INSTANT
from streams.core.state import NO_TIME, STAGE_NAMES
from streams.core.tally import CHURN

SCHEMA: Final = 2
MAGIC: Final = 0xEB
_NEWEST_KIND: Final = MAGIC << 8 | SCHEMA
_FAR_OUT: Final = 700.0
"""No logit and no feature gets here; beyond it, e to its power is no number any more."""
_HEADER: Final = struct.Struct(">BBQqqqBBBI")
_TURNS: Final = struct.Struct(">H16xqqB2xI4x")
"""The header with its check: magic and schema, then what :class:`Turns` are made of."""
_CHECK: Final = struct.Struct(">I")
HEADER_BYTES: Final = _HEADER.size + _CHECK.size
"""The header, and the CRC-32 of it and of what follows: a flipped bit could send the fold through ages of deadlines."""


class Header(NamedTuple):
    """What can be known of a stored profile without decoding it."""

    schema: int
    writer: int
    settled_through: int
    silence_at: int
    maturity_at: int
    stage: int
    tier: int
    band: int
    policy: int


class Turns(NamedTuple):
    """What a restart asks of many stored profiles, by column."""

    keys: Sequence[bytes]
    silence_at: Sequence[int]
    maturity_at: Sequence[int]
    stages: Sequence[int]
    other_policy: Sequence[int]
    """Numbers of those that were decided by another policy."""


class Served(msgspec.Struct, array_like=True, gc=False):
    """A scheduled score as it was served."""

    probability: float | None
    version: str
    cold_start: bool


class Explained(msgspec.Struct, array_like=True, gc=False):
    """What a probability was made of when it was last told, to say next time what is different."""

    as_of: int
    probability: float
    version: str
    parts: bytes
    """float64, little-endian: the logit of the average customer, and what each family of features adds to it."""
    values: bytes
    """float32, little-endian: features that people read."""

    @classmethod
    def of(
        cls, as_of: int, probability: float, version: str, logit: Sequence[float], facts: Sequence[float]
    ) -> Explained:
        """Packed."""
        return cls(
            as_of, probability, version, struct.pack(f"<{len(logit)}d", *logit), struct.pack(f"<{len(facts)}f", *facts)
        )

    def logit(self) -> tuple[float, ...]:
        """The base, then the families, as they were told."""
        return struct.unpack(f"<{len(self.parts) // 8}d", self.parts)

    def facts(self) -> tuple[float, ...]:
        """The features, to float32 precision."""
        return struct.unpack(f"<{len(self.values) // 4}f", self.values)

    def holds_together(self) -> bool:
        """Whether it can be spoken of: no other program or hand has written it."""
        if not self.parts or len(self.parts) % 8 or len(self.values) % 4 or not 0 <= self.as_of <= LAST_INSTANT:
            return False
        return all(-_FAR_OUT < value < _FAR_OUT for value in (*self.logit(), *self.facts()))


class Delivery(msgspec.Struct, array_like=True, gc=False):
    """What the world was last told about a user; no part of the settled promise."""

    seq: int = 0
    as_of: int = NO_TIME
    cause: str = ""
    stage: int = -1
    tier: int = -1
    band: int = -1
    probability: float | None = None
    scored_at: int = NO_TIME
    version: str = ""
    served: dict[int, Served] = msgspec.field(default_factory=dict)
    settled_band: int = -1
    """The band as of the settled state; disorder after it is scored again from here."""
    bands: list[tuple[int, int, str, int]] = msgspec.field(default_factory=list)
    """Changes of the band since then: instant, kind and id of what caused each, and the band."""
    propensity: float | None = None
    propensity_at: int = NO_TIME
    propensity_version: str = ""
    propensity_served: dict[int, Served] = msgspec.field(default_factory=dict)
    spend: float | None = None
    """Expected spend in the horizon as last told, in the shop's currency."""
    spend_at: int = NO_TIME
    spend_version: str = ""
    explained: Explained | None = None
    """The probability of churn that was told last; None before the first."""
    clv: float | None = None
    """Customer lifetime value as told with ``spend``, in the shop's currency."""

    def served_of(self, head: str) -> dict[int, Served]:
        """Scores of a head that wait for their label, by instant, as they were served."""
        return self.served if head == CHURN else self.propensity_served

    def ended(self, served: dict[int, Served], propensity_served: dict[int, Served] | None = None) -> Delivery:
        """What is left when the user is forgotten: scores whose label is still to be told, and the way back."""
        return Delivery(
            seq=self.seq,
            as_of=self.as_of,
            cause=self.cause,
            served=served,
            settled_band=self.settled_band,
            bands=self.bands,
            propensity_served=propensity_served or {},
        )

    def settle_bands(self, key: tuple[int, int, str]) -> None:
        """Take note that everything through a key is settled."""
        while self.bands and self.bands[0][:3] <= key:
            self.settled_band = self.bands.pop(0)[3]


class Stored(msgspec.Struct, array_like=True, gc=False):
    """The body of a stored profile, behind its header."""

    settled: bytes
    settled_through: int
    settled_key: tuple[int, int, str] | None
    open: list[Event]
    fired: int
    """Deadlines of the view through this instant have fired and were told."""
    delivery: Delivery
    applied: list[tuple[int, int]]


class Bootstrapped(Stored, array_like=True, gc=False):
    """The body of a profile that a bootstrap brought, or that began in a partition that was bootstrapped."""

    applied_until: int
    """Events at or before this instant are in, or were in no log that was loaded; they are skipped."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Stored)
_bootstrapped_decoder = msgspec.msgpack.Decoder(Bootstrapped)
PLAIN: Final = _encoder.encode((0,) * len(Stored.__struct_fields__))[:1]
"""How a body begins that no bootstrap brought: an array of so many fields."""
BOOTSTRAPPED: Final = _encoder.encode((0,) * len(Bootstrapped.__struct_fields__))[:1]
"""How one begins that a bootstrap brought."""


def pack_profile(
    stored: Stored,
    *,
    writer: int,
    silence_at: int,
    maturity_at: int,
    stage: int,
    tier: int,
    band: int,
    policy: int,
) -> bytes:
    """The value to store; tier and band are -1 where there is none, and the instants ms."""
    header = _HEADER.pack(
        MAGIC, SCHEMA, writer, stored.settled_through, silence_at, maturity_at, stage, tier + 1, band + 1, policy
    )
    body = _encoder.encode(stored)
    return header + _CHECK.pack(crc32(body, crc32(header))) + body


def repacked(stored: Stored, header: Header, *, writer: int) -> bytes:
    """The value to store of a body that was changed, under the header it had, by a writer."""
    return pack_profile(
        stored,
        writer=writer,
        silence_at=header.silence_at,
        maturity_at=header.maturity_at,
        stage=header.stage,
        tier=header.tier,
        band=header.band,
        policy=header.policy,
    )


def read_header(value: bytes, where: str = "a stored profile") -> Header:
    """Read the header of a stored profile without decoding the rest.

    Raises
    ------
    StateError
        Not a profile, damaged, or written by a newer Ebbtide.
    """
    value = _newest(value, where)
    if len(value) < HEADER_BYTES:
        raise _foreign(where)
    _, schema, writer, settled, silence, maturity, stage, tier, band, policy = _HEADER.unpack_from(value)
    if stage >= len(STAGE_NAMES):
        raise damaged(where, f"it names stage {stage}")
    return Header(schema, writer, settled, silence, maturity, stage, tier - 1, band - 1, policy)


def read_turns(profiles: Iterable[tuple[bytes, bytes]], policy: int) -> Turns:
    """Whose turn is when, of many stored profiles by key: :func:`read_header` without an object for each.

    Raises
    ------
    StateError
        As :func:`read_header`.
    """
    keys, values = tuple(zip(*profiles, strict=True)) or ((), ())
    if not keys:
        return Turns((), (), (), (), ())
    headers = b"".join([value[:HEADER_BYTES] for value in values])
    whole = len(headers) == HEADER_BYTES * len(keys)
    columns = tuple(zip(*_TURNS.iter_unpack(headers), strict=True)) if whole else None
    if columns is None or columns[0].count(_NEWEST_KIND) < len(keys) or max(columns[3]) >= len(STAGE_NAMES):
        # Some are of another schema, or no profiles.
        each = map(read_header, values)
        columns = tuple(
            zip(*((0, one.silence_at, one.maturity_at, one.stage, one.policy) for one in each), strict=True)
        )
    _, silence_at, maturity_at, stages, policies = columns
    others = () if policies.count(policy) == len(keys) else [at for at, one in enumerate(policies) if one != policy]
    return Turns(keys, silence_at, maturity_at, stages, others)


def unpack_profile(value: bytes, where: str = "a stored profile") -> Stored:
    """The body of a stored profile, once its checksum fits.

    Raises
    ------
    StateError
        Damaged, foreign or newer bytes.
    """
    value = _newest(value, where)
    if len(value) < HEADER_BYTES:
        raise _foreign(where)
    body = memoryview(value)[HEADER_BYTES:]
    if (crc32(body, crc32(value[: _HEADER.size])),) != _CHECK.unpack_from(value, _HEADER.size):
        raise damaged(where, "its checksum does not fit")
    try:
        stored = (_decoder if body[:1] == PLAIN else _bootstrapped_decoder).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise damaged(where, str(error)) from error
    explained = stored.delivery.explained
    if explained is not None and not explained.holds_together():
        raise damaged(where, "what was told of it last does not hold together")
    return stored


def damaged(where: str, why: str) -> StateError:
    """The error of a profile that cannot be what was stored."""
    return StateError(f"{where} is damaged: {why}.", "Delete the local state folder; the changelog rebuilds it.")


def _newest(value: bytes, where: str) -> bytes:
    """The value as this version stores it."""
    if len(value) < 2 or value[0] != MAGIC:
        raise _foreign(where)
    schema = value[1]
    return value if schema == SCHEMA else migrations.migrated(value, schema, SCHEMA, migrations.PROFILE, where)


def _foreign(where: str) -> StateError:
    return StateError(f"{where} is not an Ebbtide profile.", "Check that the changelog topic is Ebbtide's own.")
