"""The rows of a source as clean events, every one of them counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Protocol

from streams import codec
from streams.core.cleaning import CleaningPolicy, clean, cleaning_policy
from streams.core.events import Event, Kind
from streams.core.ports import Rejection
from streams.core.state import NO_TIME
from streams.core.usual_records import UsualRecords
from streams.replay.run_options import RunOptions
from streams.replay.sources import Row, Source


class DeadLetters(Protocol):
    """Where rejected rows go."""

    def dead_letter(self, rejection: Rejection, row: Row) -> None:
        """Take a record that was not accepted."""


class Reading:
    """Reads and cleans a source once.

    Parameters
    ----------
    source
        A finished log.
    letters
        Takes what is rejected.
    options
        Policy, ``until`` and ``dedup_rows``.

    Attributes
    ----------
    read, duplicates, rejected
        Rows so far; ``duplicates`` are identical rows only.
    reasons
        Rejected rows by reason.
    first, last
        Event times of the first clean event and the newest, ms; :data:`~streams.core.state.NO_TIME` before any.
    """

    def __init__(self, source: Source, letters: DeadLetters, options: RunOptions) -> None:
        self.read = 0
        self.duplicates = 0
        self.rejected = 0
        self.reasons: Counter[str] = Counter()
        self.first = NO_TIME
        self.last = NO_TIME
        self._source = source
        self._letters = letters
        self._until = options.until
        self._policy: CleaningPolicy = cleaning_policy(options.policy)
        self._usual = {
            from_file: [UsualRecords(self._policy, from_file=from_file).of(kind) for kind in Kind]
            for from_file in (False, True)
        }
        self._repeats = _IdenticalRows() if options.dedup_rows else None

    def events(self) -> Iterator[Event]:
        """The clean events, in merge order."""
        until, repeats = self._until, self._repeats
        for row in self._source.rows():
            if until is not None and row.ts_ms is not None and row.ts_ms > until:
                # Rows come by time: whatever follows is later still.
                break
            self.read += 1
            if repeats is not None and repeats.has(row):
                self.duplicates += 1
                continue
            event = self._cleaned(row)
            if event is not None:
                if self.first == NO_TIME:
                    self.first = event.ts
                self.last = max(self.last, event.ts)
                yield event

    def _cleaned(self, row: Row) -> Event | None:
        if row.fault is not None or row.kind is None:
            reason, message = row.fault or ("unknown_type", "no event_type")
            self._reject(Rejection(reason, message, row.position), row)
            return None
        position = row.position
        usual = self._usual[row.from_file][row.kind]
        offset = -1 if row.from_file else position.offset
        event = usual(row.raw, position.partition, offset, row.record_id, row.published_ms)
        if event is not None:
            return event
        cleaned = clean(
            row.raw,
            row.kind,
            position=position,
            record_id=row.record_id,
            published_ms=row.published_ms,
            policy=self._policy,
            from_file=row.from_file,
        )
        if isinstance(cleaned, Event):
            return cleaned
        self._reject(cleaned, row)
        return None

    def _reject(self, rejection: Rejection, row: Row) -> None:
        self.rejected += 1
        self.reasons[rejection.reason] += 1
        self._letters.dead_letter(rejection, row)


class _IdenticalRows:
    """The rows that a row can be a repeat of: rows with a place in time only repeat within their instant."""

    def __init__(self) -> None:
        self._instant: int | None = None
        self._within: set[bytes] = set()
        self._anywhere: set[bytes] = set()

    def has(self, row: Row) -> bool:
        """Whether the same row was given before; it is remembered."""
        raw = row.raw if isinstance(row.raw, bytes) else codec.encode(row.raw, sort_keys=True)
        digest = blake2b(raw, digest_size=16).digest()
        if row.ts_ms is None or row.kind is None:
            known = self._anywhere
        else:
            if row.ts_ms != self._instant:
                self._instant = row.ts_ms
                self._within.clear()
            known = self._within
        if digest in known:
            return True
        known.add(digest)
        return False
