"""Stable hashes: the same on every machine, run and Python, unlike ``hash()``."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_MASK: Final = (1 << 63) - 1


def stable_hash(text: str) -> int:
    """63 bits of BLAKE2b (RFC 7693) of the text in UTF-8; never negative.

    >>> stable_hash("ada") == stable_hash("ada")
    True
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") & _MASK


def mixed(seed: int, salt: int) -> int:
    """A second, independent hash of a hashed thing (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = (seed + salt * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return z ^ (z >> 31)


def output_id(*parts: str) -> str:
    """The CloudEvents id of an output: 128 bits over what caused it, as 32 hex digits."""
    return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
