"""What a turn comes to, from one shard or, put together, from all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from streams import codec
from streams.core.ports import Example, Facts, Output, Seen
from streams.core.tally import Counts, add
from streams.replay.content_hash import ContentHash

COUNTED: Final = ("accepted", "duplicates", "late", "outliers", "opened", "churned", "returned", "erased")
"""The facts of a step that a summary adds up."""


class Told(NamedTuple):
    """An output as it is written."""

    as_of_ms: int
    user_id: str
    topic: str
    id: str
    line: bytes
    """The body as JSON, with a line feed."""


ORDER: Final = itemgetter(0, 1)
"""The order of what is told in a turn: by instant, then user; what one user was told at one instant stays in order."""


class TurnResult(msgspec.Struct, array_like=True, kw_only=True):
    """What a turn came to.

    Everything is in an order that does not depend on who shared the work: outputs by :data:`ORDER`, examples as they
    are learned, who was seen as the log has it.
    """

    told: list[Told] = []
    told_hash: bytes = b""
    """The sum of the outputs' content hashes."""
    examples: list[Example] = []
    counts: dict[str, int] = {}
    tally: Counts = {}
    seen: list[tuple[int, Seen]] = []
    """Who was seen, behind the place of the event within the turn."""
    users: int = 0
    cpu_s: float = 0.0
    """What it took; no part of the result."""


class Closed(NamedTuple):
    """A user at the end of a run."""

    user_id: str
    portrait: Told | None
    stored: bytes | None
    """The profile as an owner would store it; None where nobody asked (``RunOptions.stored_profiles``)."""
    pending: int
    """Scheduled scores of churn that wait for their label."""


class ClosingPage(msgspec.Struct, array_like=True, kw_only=True):
    """Some users at the end of a run."""

    users: list[Closed] = []
    """By user."""
    profiles_hash: bytes = b""
    """The sum of the content hashes of portrait and settled profile."""


def told_of(output: Output) -> Told:
    """An output as it is written."""
    return Told(output.as_of_ms, output.user_id, output.topic, output.id, codec.encode(output.body, newline=True))


def in_order(told: Iterable[Told]) -> list[Told]:
    """Outputs by :data:`ORDER`.

    >>> [one.id for one in in_order([Told(2, "a", "t", "x", b""), Told(1, "b", "t", "y", b"")])]
    ['y', 'x']
    """
    return sorted(told, key=ORDER)


def as_learned(examples: Iterable[Example]) -> list[Example]:
    """Examples in the order in which the trainer learns them."""
    return sorted(examples, key=lambda example: (example.label_ms, example.user_hash, example.id))


def count(counts: dict[str, int], facts: Facts) -> None:
    """Add what is counted of a step."""
    for name in COUNTED:
        number = getattr(facts, name)
        if number:
            counts[name] = counts.get(name, 0) + number


def merged(parts: Sequence[TurnResult]) -> TurnResult:
    """One turn's results of several shards as that of one that had all their users."""
    if len(parts) == 1:
        return parts[0]
    outputs, counts = ContentHash(), dict.fromkeys(COUNTED, 0)
    tally: Counts = {}
    for part in parts:
        outputs.add_sum(part.told_hash)
        add(tally, part.tally)
        for name, number in part.counts.items():
            counts[name] += number
    return TurnResult(
        told=in_order(chain.from_iterable(part.told for part in parts)),
        told_hash=outputs.sum(),
        examples=as_learned(chain.from_iterable(part.examples for part in parts)),
        counts=counts,
        tally=tally,
        seen=sorted(chain.from_iterable(part.seen for part in parts), key=itemgetter(0)),
        users=sum(part.users for part in parts),
        cpu_s=sum(part.cpu_s for part in parts),
    )
