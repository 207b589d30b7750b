"""What waits in stored profiles for its label: where the tally of a partition begins that never had one."""

from __future__ import annotations

from streams.core.hashing import stable_hash
from streams.core.stored_profile import unpack_profile
from streams.core.tally import CHURN, PROPENSITY


def waiting_in(key: bytes, value: bytes) -> dict[str, int]:
    """How many scheduled scores of a stored profile wait, by head.

    Raises
    ------
    StateError
        Damaged, foreign or newer bytes.
    """
    delivery = unpack_profile(value, f"The stored profile of hash {stable_hash(key.decode()):x}").delivery
    return {CHURN: len(delivery.served), PROPENSITY: len(delivery.propensity_served)}
