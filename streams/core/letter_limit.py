"""When an input is too broken to go on: dead letters by share and count within a minute.

A minute is one of the records' Kafka timestamps, not of the wall clock, and what a partition has counted of it is
stored with its state. So the limit says the same while a backlog is worked off, and a worker that is started again over
and over goes on counting: of one minute of an input no more than the limit is ever made into dead letters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from streams.core.errors import FeedError, StateError
from streams.core.events import INPUT_TOPICS, MINUTE_MS
from streams.core.instants import format_instant
from streams.core.ports import Rejection

KEPT_MINUTES: Final = 3
"""Minutes of each input that a partition keeps: as many as its records are mixed over."""
SHOWN_REASONS: Final = 3

_Minutes = dict[int, tuple[int, dict[str, int]]]


class Refused(NamedTuple):
    """A record about to become a dead letter."""

    kind: int
    published_ms: int
    rejection: Rejection


class LetterLimit:
    """Counts for all partitions of one worker, input by input.

    Parameters
    ----------
    share
        Rejected over read records of one input, beyond which its feed is broken; 1 is never exceeded.
    per_minute
        Rejected records of one input in a minute that are always let pass.

    Examples
    --------
    >>> from streams.core.events import Position
    >>> limit = LetterLimit(share=0.5, per_minute=1)
    >>> why = Rejection("not_json", "not JSON", Position("clicks", 0, 7))
    >>> limit.take(0, {(0, 0): 2}, [Refused(0, 1_001, why)])
    >>> limit.take(0, {(0, 0): 2}, [Refused(0, 1_002, why)] * 2)
    Traceback (most recent call last):
      ...
    streams.core.errors.FeedError: 3 of 4 records of clicks published in the minute ...
    """

    def __init__(self, share: float, per_minute: int) -> None:
        self._share = share
        self._per_minute = per_minute
        self._partitions: dict[int, list[_Minutes]] = {}

    def restore(self, partition: int, stored: bytes | None) -> None:
        """Go on from what a partition had counted (:meth:`encoded`); None where nothing is stored.

        Raises
        ------
        StateError
            What is stored is damaged.
        """
        try:
            counts = [{} for _ in INPUT_TOPICS] if stored is None else _decoder.decode(stored)
        except msgspec.DecodeError as error:
            raise StateError(
                f"What partition {partition} has counted of its dead letters cannot be read: {error}.",
                "Run the version that wrote it.",
            ) from error
        self._partitions[partition] = counts

    def forget(self, partition: int) -> None:
        """The partition is another worker's."""
        self._partitions.pop(partition, None)

    def encoded(self, partition: int) -> bytes | None:
        """What a partition has counted, to be stored with its state; None while there was nothing to reject."""
        counts = self._partitions.get(partition, [])
        if not any(reasons for minutes in counts for _, reasons in minutes.values()):
            return None
        return _encoder.encode(counts)

    def take(self, partition: int, read: Mapping[tuple[int, int], int], refused: Iterable[Refused]) -> None:
        """Count a slice before it takes effect.

        Parameters
        ----------
        read
            How many records of the slice were published by (input, minute of the Kafka timestamp).
        refused
            Those that will be dead letters.

        Raises
        ------
        FeedError
            With this slice an input is past the limit: the slice must not take effect.
        """
        counts = self._partitions.setdefault(partition, [{} for _ in INPUT_TOPICS])
        for (kind, minute), number in read.items():
            before, reasons = counts[kind].get(minute, (0, {}))
            counts[kind][minute] = before + number, reasons
        suspects: dict[tuple[int, int], Refused] = {}
        for one in refused:
            minute = one.published_ms // MINUTE_MS
            reasons = counts[one.kind].setdefault(minute, (0, {}))[1]
            reasons[one.rejection.reason] = reasons.get(one.rejection.reason, 0) + 1
            suspects.setdefault((one.kind, minute), one)
        for (kind, minute), first in suspects.items():
            self._judge(kind, minute, first)
        for minutes in counts:
            for minute in sorted(minutes)[:-KEPT_MINUTES]:
                del minutes[minute]

    def _judge(self, kind: int, minute: int, first: Refused) -> None:
        read, reasons = 0, Counter[str]()
        for counts in self._partitions.values():
            found = counts[kind].get(minute)
            if found is not None:
                read += found[0]
                reasons.update(found[1])
        rejected = reasons.total()
        if rejected <= self._per_minute or rejected <= self._share * read:
            return
        shown = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(SHOWN_REASONS))
        topic, partition, offset = first.rejection.position
        raise FeedError(
            f"{rejected:,} of {read:,} records of {INPUT_TOPICS[kind]} published in the minute from "
            f"{format_instant(minute * MINUTE_MS)} cannot be accepted ({rejected / read:.0%}): {shown}. The limit is "
            f"{self._per_minute:,} a minute and {self._share:.0%}. From {topic}, partition {partition}, "
            f"offset {offset} on nothing was acknowledged: it is read again at the next start.",
            "Mend the producer. Then start once with EBBTIDE_DEAD_LETTER_LIMIT_SHARE=1 (no limit): what is broken "
            "becomes dead letters, and `ebbtide dead-letters redrive --set FIELD=VALUE` sends them again, mended.",
        )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[_Minutes])
