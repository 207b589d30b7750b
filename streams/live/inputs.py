"""What has been fetched of one partition's three inputs and waits: decoded, cleaned, and handed out in slices.

A buffer decodes a little ahead of need, so memory holds fetches as bytes, not as events. Records are taken in runs:
from the input whose head is the oldest, as long as it is. Nothing here awaits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from streams.codec import parse
from streams.core.alignment import UNKNOWN, Head, head_bound, next_by_log, next_by_wall, run_through
from streams.core.cleaning import CleaningPolicy, is_unknown_action
from streams.core.errors import TopicError
from streams.core.events import MINUTE_MS, Event, Position
from streams.core.ports import Rejection
from streams.core.usual_records import UsualRecords
from streams.live.record_batches import Fetched, Span
from streams.raw_records import clean_record, unnamed

DECODE_AHEAD: Final = 256
"""Records decoded at a time."""
_MIXED: Final = -1

Ack = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that was rejected, with what it was and which input it came in by."""

    kind: int
    record: Any
    rejection: Rejection


@dataclass(slots=True)
class Slice:
    """Records that are applied together: all of their effects are acknowledged before any is acked."""

    events: list[Event] = field(default_factory=list)
    records: list[Any] = field(default_factory=list)
    """The original record of every event: a dead letter may be needed yet."""
    letters: list[Letter] = field(default_factory=list)
    read: int = 0
    read_by_input: tuple[int, ...] = ()
    """The same by input. Counted while taking: more may be delivered before the slice has taken effect."""
    published: dict[tuple[int, int], int] = field(default_factory=dict)
    """How many records were read, by (input, minute of the Kafka timestamp)."""
    head_bound: int | None = None
    """What W must stay the grace behind once this slice is applied."""
    stopped_at: int | None = None
    """Event time of the record that was not taken because of ``before_ms``."""

    def __bool__(self) -> bool:
        return self.read > 0

    def record_of(self, event: Event) -> Any:
        """The original record of an event."""
        return next(record for one, record in zip(self.events, self.records, strict=True) if one is event)


class InputBuffer:
    """One topic of one partition, from where the owner took over.

    Parameters
    ----------
    topic, partition
        Full topic name and partition number.
    kind
        Which input it is.
    policy
        How records are cleaned.
    start
        The first offset that will come.
    reached
        Newest event time taken before, ms.
    epoch
        How often the topic was created anew.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        kind: int,
        policy: CleaningPolicy,
        start: int,
        reached: int,
        *,
        epoch: int = 0,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.kind = kind
        self.reached = reached
        self.published = -1
        """Newest Kafka timestamp decoded."""
        self.received = start
        """The position up to which everything has been delivered to this buffer."""
        self.next = start
        """The first offset not taken yet."""
        self.waiting = 0
        """Records not taken yet."""
        self.waiting_bytes = 0
        """Their values: a thousand small records wait as cheaply as one large one."""
        self.drained = False
        self._policy = policy
        self._epoch = epoch
        self._usual = UsualRecords(policy).of(kind)
        self._names = unnamed(topic, partition, epoch)
        self._unknown_actions = 0
        self._raw: deque[Fetched] = deque()
        self._raw_at = 0
        self._entries: list[Event | Rejection] = []
        self._records: list[Any] = []
        self._sizes: list[int] = [0]
        """Bytes of the records before each of them, and of all."""
        self._at = 0
        """Entries and records before it are taken."""
        self._minute = _MIXED
        """Of the Kafka timestamps of all records here, where they have one in common."""
        self._acks: deque[tuple[int, Ack]] = deque()

    def add(self, batch: Fetched, ack: Ack) -> None:
        """Take delivery of a fetched batch.

        Raises
        ------
        TopicError
            It does not begin where the last one ended: retention deleted what lies between, or something skipped it.
        """
        span: Span = batch.span
        if span.before != self.received:
            raise TopicError(
                f"{self.topic}, partition {self.partition}: reading jumped from offset {self.received} to "
                f"{span.before}.",
                "Retention has deleted the records between, or a fault of ours skipped them. Start the worker again: "
                "it goes on where its state ends, or explains why it cannot.",
            )
        self.received = span.after
        self._raw.append(batch)
        self.waiting += len(batch)
        self.waiting_bytes += sum(_size(record) for record in batch)
        self._acks.append((span.after, ack))

    def head(self) -> tuple[Event | Rejection, Any] | None:
        """The oldest record that waits, cleaned; None where none does."""
        return (self._entries[self._at], self._records[self._at]) if self._filled() else None

    def take(self) -> tuple[Event | Rejection, Any]:
        """Remove the head, which must be there."""
        entry, record = self._entries[self._at], self._records[self._at]
        if type(entry) is Event and entry.ts > self.reached:
            self.reached = entry.ts
        self._pass(self._at + 1)
        return entry, record

    def run(self, taken: Slice, through_ms: int, most: int, most_bytes: int) -> None:
        """Move what comes next into a slice, up to the first event that may not go.

        Parameters
        ----------
        taken
            The slice.
        through_ms
            Event time of the last event that may go. Rejections have no place in time and go with what is before them.
        most
            No event goes once the slice has so many records.
        most_bytes
            Nor once so many bytes of this input have gone.
        """
        while self._filled():
            entries, sizes, begin, reached = self._entries, self._sizes, self._at, self.reached
            last = min(begin + most - taken.read, bisect_left(sizes, sizes[begin] + most_bytes))
            letters = len(taken.letters)
            until = begin
            for until in range(begin, len(entries)):
                entry = entries[until]
                if type(entry) is not Event:
                    taken.letters.append(Letter(self.kind, self._records[until], entry))  # type: ignore[arg-type]
                elif until >= last or (ts := entry.ts) > through_ms:
                    break
                elif ts > reached:
                    reached = ts
            else:
                until += 1
            most_bytes -= sizes[until] - sizes[begin]
            self.reached = reached
            self._move(taken, until, mixed=len(taken.letters) > letters)
            if until < len(entries):
                return

    def standing(self) -> Head:
        """Where this input stands, for alignment. The head must be no rejection."""
        head = self.head()
        if head is None:
            return Head(None, self.drained, self.reached)
        entry = head[0]
        assert isinstance(entry, Event)
        return Head(entry.ts, self.drained, self.reached)

    def ack_applied(self, applied: int) -> None:
        """Ack every delivered batch that ends at or before ``applied``: all its records have taken effect."""
        while self._acks and self._acks[0][0] <= applied:
            self._acks.popleft()[1]()

    def take_unknown_actions(self) -> int:
        """Clicks with an unknown action since the last call."""
        count, self._unknown_actions = self._unknown_actions, 0
        return count

    def _filled(self) -> bool:
        """Whether a record waits, which then is decoded."""
        if self._at == len(self._entries):
            if not self._raw:
                return False
            self._decode_some()
        return True

    def _move(self, taken: Slice, until: int, *, mixed: bool) -> None:
        """Move what stands before ``until`` into a slice: the events, where rejections are ``mixed`` in."""
        begin = self._at
        if until == begin:
            return
        events, records = self._entries[begin:until], self._records[begin:until]
        minutes = [self._minute] if self._minute != _MIXED else [record.timestamp // MINUTE_MS for record in records]
        each = 1 if self._minute == _MIXED else until - begin
        for minute in minutes:
            published = self.kind, minute
            taken.published[published] = taken.published.get(published, 0) + each
        if mixed:
            records = [one for entry, one in zip(events, records, strict=True) if type(entry) is Event]
            events = [entry for entry in events if type(entry) is Event]
        taken.events += events  # type: ignore[arg-type]
        taken.records += records
        taken.read += until - begin
        self._pass(until)

    def _pass(self, until: int) -> None:
        """What stands before ``until`` is taken."""
        self.waiting -= until - self._at
        self.waiting_bytes -= self._sizes[until] - self._sizes[self._at]
        self.next = self._records[until - 1].offset + 1 if self.waiting else self.received
        self._at = until

    def _decode_some(self) -> None:
        batch = self._raw[0]
        until = min(self._raw_at + DECODE_AHEAD, len(batch))
        self._records = records = batch[self._raw_at : until]
        self._raw_at = until
        if until == len(batch):
            self._raw.popleft()
            self._raw_at = 0
        self._at = 0
        self._entries = [self._usual_or_clean(record) for record in records]
        instants = [record.timestamp for record in records]
        newest, minute = max(instants), min(instants) // MINUTE_MS
        self._minute = minute if newest // MINUTE_MS == minute else _MIXED
        self._sizes = [0, *accumulate(map(_size, records))]
        self.published = max(self.published, newest)

    def _usual_or_clean(self, record: Any) -> Event | Rejection:
        value = record.value
        if value is not None and len(value) <= self._policy.max_record_bytes:
            try:
                raw = parse(value)
                name = None if type(raw) is dict and "event_id" in raw else self._names + str(record.offset)
                event = self._usual(raw, self.partition, record.offset, name, record.timestamp)
            except ValueError:
                return self._clean(record)
            if event is not None:
                return event
        return self._clean(record)

    def _clean(self, record: Any) -> Event | Rejection:
        position = Position(self.topic, self.partition, record.offset)
        cleaned, raw = clean_record(
            record.value, self.kind, position, record.timestamp, self._policy, epoch=self._epoch
        )
        if type(cleaned) is Event and is_unknown_action(cleaned, raw, self._policy):
            self._unknown_actions += 1
        return cleaned


class PartitionInputs:
    """The inputs of one partition together: what may go next, and in which order.

    Parameters
    ----------
    buffers
        One per input, in the order of :class:`~streams.core.events.Kind`.
    by_log
        Strict merge (``--clock log``) instead of the wall clock's half-grace rule.
    grace_ms
        The grace.
    """

    def __init__(self, buffers: Sequence[InputBuffer], *, by_log: bool, grace_ms: int) -> None:
        self.buffers = tuple(buffers)
        self._by_log = by_log
        self._ahead_ms = 0 if by_log else grace_ms // 2

    @property
    def waiting(self) -> int:
        """Records that wait."""
        return sum(buffer.waiting for buffer in self.buffers)

    @property
    def drained(self) -> bool:
        """Whether nothing waits and the broker has nothing more."""
        return all(buffer.drained and not buffer.waiting for buffer in self.buffers)

    @property
    def published(self) -> int:
        """Newest Kafka timestamp of any record taken."""
        return max(buffer.published for buffer in self.buffers)

    def slice(self, most: int, *, before_ms: int | None = None, most_bytes: int = 1 << 62) -> Slice:
        """Take what may go now.

        Parameters
        ----------
        most
            Records at most.
        before_ms
            Only records with an event time before this instant: a cut boundary, or the end of the run.
        most_bytes
            Of record values; the one that goes beyond is still taken.
        """
        buffers = self.buffers
        taken = Slice()
        before = [buffer.waiting for buffer in buffers]
        for buffer in buffers:
            buffer.run(taken, UNKNOWN, most, most_bytes)  # rejections hold nothing up
        heads = [buffer.standing() for buffer in buffers]
        room = most_bytes
        while taken.read < most and room > 0 and (chosen := self._choose(heads)) is not None:
            buffer, instant = buffers[chosen], heads[chosen].ts
            assert instant is not None
            if before_ms is not None and instant >= before_ms:
                taken.stopped_at = instant
                break
            waited_bytes = buffer.waiting_bytes
            buffer.run(taken, run_through(heads, chosen, self._ahead_ms, before_ms), most, room)
            room -= waited_bytes - buffer.waiting_bytes
            heads[chosen] = buffer.standing()
        taken.read_by_input = tuple(was - buffer.waiting for was, buffer in zip(before, buffers, strict=True))
        # A strict merge takes nothing before its turn; what waits may be late, and W must not know where a slice ends.
        taken.head_bound = None if self._by_log else head_bound(heads)
        return taken

    def _choose(self, heads: Sequence[Head]) -> int | None:
        return next_by_log(heads) if self._by_log else next_by_wall(heads, self._ahead_ms)


def _size(record: Any) -> int:
    value = record.value
    return 0 if value is None else len(value)
