"""What became of every scheduled score: opened = its outcomes + erased + pending, over all partitions.

Each partition counts for itself and says so with its marks; nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

OPENED: Final = "opened"


class Tally(NamedTuple):
    """How many scheduled scores of one partition came to what."""

    since_ms: int
    """Log time from which on they are counted, 0 for ever; what waited then counts as opened."""
    heads: Mapping[str, Mapping[str, int]]
    """Head -> state -> how many: ``opened``, the two outcomes, ``erased``."""

    @classmethod
    def decode(cls, body: Mapping[str, Any] | None) -> Self | None:
        """The tally of a mark; None in one of before they were counted.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is none.
        """
        if body is None:
            return None
        heads = {
            str(head): {str(state): _count(count) for state, count in dict(states).items()}
            for head, states in dict(body["heads"]).items()
        }
        return cls(_count(body["since"]), heads)

    def encode(self) -> dict[str, Any]:
        """As a mark has it."""
        return {"since": self.since_ms, "heads": {head: dict(states) for head, states in self.heads.items()}}


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


class Account(NamedTuple):
    """What became of one head's scheduled scores, over the partitions that say so."""

    counts: Mapping[str, int]
    """State -> how many, ``opened`` first."""
    partitions: int
    """How many of them are in."""
    since_ms: int
    """Log time from which on all of them are counted, 0 for ever."""

    @property
    def pending(self) -> int:
        """How many wait for their label.

        >>> Account({"opened": 9, "churned": 2, "returned": 3, "erased": 1}, 1, 0).pending
        3
        """
        return 2 * self.counts[OPENED] - sum(self.counts.values())


def account_of(head: str, tallies: Sequence[Tally | None]) -> Account | None:
    """The partitions' tallies of a head, added up; None where none says anything of it.

    Examples
    --------
    >>> one = Tally(0, {"churn": {"opened": 3, "churned": 1}})
    >>> account_of("churn", [one, None, one])
    Account(counts={'opened': 6, 'churned': 2}, partitions=2, since_ms=0)
    """
    known = [tally for tally in tallies if tally is not None and OPENED in tally.heads.get(head, {})]
    if not known:
        return None
    counts: dict[str, int] = {}
    for tally in known:
        for state, count in tally.heads[head].items():
            counts[state] = counts.get(state, 0) + count
    return Account(counts, len(known), max(tally.since_ms for tally in known))
