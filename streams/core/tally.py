"""What became of scheduled scores, head by head: opened = the outcomes + erased + pending, always.

Counted where it happens, in the facts of a step; a live partition adds them up in its partition record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from streams.core.errors import StateError

OPENED: Final = "opened"
ERASED: Final = "erased"
CHURNED: Final = "churned"
RETURNED: Final = "returned"
BOUGHT: Final = "bought"
STAYED_AWAY: Final = "stayed_away"

CHURN: Final = "churn"
PROPENSITY: Final = "propensity"
STATES: Final[dict[str, tuple[str, ...]]] = {
    CHURN: (OPENED, CHURNED, RETURNED, ERASED),
    PROPENSITY: (OPENED, BOUGHT, STAYED_AWAY, ERASED),
}
"""What a score of each head can have come to. Who is erased is forgotten before the label is decided, or was scored at
an instant that a corrected past does not have."""

Counts = dict[str, dict[str, int]]
"""Head -> state -> how many."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many scheduled scores of a partition came to what.

    ``since`` is the log time, in ms, from which on they are counted, 0 for ever: a partition whose state is older than
    the count began with what was waiting then as opened.
    """

    since: int = 0
    counts: Counts = {}

    def plus(self, more: Mapping[str, Mapping[str, int]]) -> Tally:
        """With more of them.

        >>> Tally().plus({"churn": {"opened": 2}}).plus({"churn": {"opened": 1, "erased": 1}}).counts
        {'churn': {'opened': 3, 'erased': 1}}
        """
        counts = {head: dict(states) for head, states in self.counts.items()}
        add(counts, more)
        return Tally(since=self.since, counts=counts)

    def body(self) -> dict[str, dict[str, int]]:
        """Every head and state, those that never came up at 0.

        >>> Tally().body()["churn"]
        {'opened': 0, 'churned': 0, 'returned': 0, 'erased': 0}
        """
        return {
            head: {state: self.counts.get(head, {}).get(state, 0) for state in states}
            for head, states in STATES.items()
        }


def add(counts: Counts, more: Mapping[str, Mapping[str, int]]) -> None:
    """Add to counts in place."""
    for head, states in more.items():
        known = counts.setdefault(head, {})
        for state, count in states.items():
            known[state] = known.get(state, 0) + count


def pending(counts: Mapping[str, int]) -> int:
    """How many of a head's scores wait for their label.

    >>> pending({"opened": 9, "churned": 2, "returned": 3, "erased": 1})
    3
    """
    return counts.get(OPENED, 0) - sum(count for state, count in counts.items() if state != OPENED)


def waiting(served: Iterable[Mapping[str, int]], since: int) -> Tally:
    """The tally to begin with where profiles are known that nobody counted: what waits in each, by head, is opened."""
    counts: Counts = {}
    known = False
    for one in served:
        known = True
        add(counts, {head: {OPENED: count} for head, count in one.items() if count})
    return Tally(since=since if known else 0, counts=counts)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Tally)


def encode_tally(tally: Tally) -> bytes:
    """The tally as a header of a changelog record has it."""
    return _encoder.encode(tally)


def decode_tally(raw: bytes) -> Tally:
    """The inverse of :func:`encode_tally`.

    Raises
    ------
    StateError
        It is none.
    """
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(
            f"The tally in a changelog record cannot be read: {error}.", "Restore the changelog topic from a copy."
        ) from error
