"""Hashes of what a run gave, whatever the order it came in."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

_MODULUS: Final = 1 << 256
_BYTES: Final = 32


class ContentHash:
    """The sum of SHA-256 over a collection of byte strings: equal for equal collections in any order.

    A multiset hash by addition (Bellare and Micciancio, 1997): enough to notice differences between runs; it is no
    defence against somebody who forges collisions.

    >>> one, other = ContentHash(), ContentHash()
    >>> one.add(b"a"); one.add(b"b"); other.add(b"b"); other.add(b"a")
    >>> one.hex() == other.hex()
    True
    """

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        self._sum = 0

    def add(self, item: bytes) -> None:
        """Count one more item in."""
        self._sum += int.from_bytes(sha256(item).digest(), "big")

    def add_sum(self, part: bytes) -> None:
        """Count in a part of the collection that was summed elsewhere (:meth:`sum`).

        >>> whole, part = ContentHash(), ContentHash()
        >>> part.add(b"a"); whole.add_sum(part.sum()); whole.hex() == part.hex()
        True
        """
        self._sum += int.from_bytes(part, "big")

    def sum(self) -> bytes:
        """The sum so far, to be added elsewhere."""
        return (self._sum % _MODULUS).to_bytes(_BYTES, "big")

    def hex(self) -> str:
        """64 hex digits."""
        return self.sum().hex()
