"""What is remembered of outputs that are held: stored under a key of its own beside the partition record."""

from __future__ import annotations

from typing import Final

import msgspec

from streams.core.alignment import UNKNOWN
from streams.core.breaker import Trip
from streams.core.errors import StateError

VERSION: Final = 1


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """One time that the breaker tripped, until somebody has decided. Instants in ms."""

    id: int
    """Offset in the changelog at which it was to be recorded: no other hold of the partition has it."""
    tripped_ms: int
    """Wall clock."""
    minute_ms: int
    """Begin of the minute, event time."""
    users: int
    changed: int
    share: float
    """The limit that was exceeded."""
    transitions: tuple[tuple[str, str, int], ...]
    portraits_from: int
    """Changelog offset from which on changed profiles may not have been published."""
    first: int = UNKNOWN
    """Offset in ``held-outputs`` of the first output still to be decided about; UNKNOWN before there is one."""
    next: int = UNKNOWN
    """Offset behind the last."""
    count: int = 0
    """Outputs that were held, repeats after a crash included."""

    def reason(self) -> str:
        """Why, in words.

        >>> Hold(id=7, tripped_ms=0, minute_ms=0, users=80, changed=60, share=0.5, portraits_from=0,
        ...     transitions=(("visitor", "new_customer", 60),)).reason()
        '60 of 80 users (75%) changed stage (visitor → new_customer 60)'
        """
        moves = ", ".join(f"{previous} → {current} {count:,}" for previous, current, count in self.transitions[:3])
        return f"{self.changed:,} of {self.users:,} users ({self.changed / self.users:.0%}) changed stage ({moves})"


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored: the hold, if there is one, and whether what goes on was found to be right."""

    version: int = VERSION
    hold: Hold | None = None
    trusted: bool = False


def begun(trip: Trip, share: float, *, at: int, tripped_ms: int, portraits_from: int) -> Hold:
    """The hold that begins with a trip; ``at`` is the changelog offset that comes next."""
    return Hold(
        id=at,
        tripped_ms=tripped_ms,
        minute_ms=trip.minute_ms,
        users=trip.users,
        changed=trip.changed,
        share=share,
        transitions=trip.transitions,
        portraits_from=portraits_from,
    )


def counted(hold: Hold, trip: Trip) -> Hold:
    """The same hold, now that more of its minute was seen."""
    return msgspec.structs.replace(hold, users=trip.users, changed=trip.changed, transitions=trip.transitions)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Holding)


def encode_holding(holding: Holding) -> bytes:
    """As it is stored."""
    return _encoder.encode(holding)


def decode_holding(raw: bytes | None) -> Holding:
    """Read what is stored; nothing is held where nothing is.

    Raises
    ------
    StateError
        It is damaged or of a newer version.
    """
    if raw is None:
        return Holding()
    try:
        holding = _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise StateError(
            f"What is stored of held outputs cannot be read: {error}.", "Restore the changelog topic from a copy."
        ) from error
    if holding.version > VERSION:
        raise StateError(
            f"What is stored of held outputs has version {holding.version}; this program knows {VERSION}.",
            "Run the version that wrote it, or decide with that one: ebbtide outputs release|discard.",
        )
    return holding
