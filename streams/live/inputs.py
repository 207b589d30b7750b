"""What has been fetched of one partition's three inputs and waits: decoded, cleaned, and handed out in slices.

A buffer decodes a little ahead of need, so memory holds fetches as bytes, not as events. Nothing here awaits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from streams.core.alignment import Head, head_bound, next_by_log, next_by_wall
from streams.core.cleaning import CleaningPolicy, is_unknown_action
from streams.core.errors import TopicError
from streams.core.events import Event, Position
from streams.core.ports import Rejection
from streams.live.record_batches import Fetched, Span
from streams.raw_records import clean_record

DECODE_AHEAD: Final = 256
"""Records decoded at a time."""

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
    records: dict[tuple[int, int], Any] = field(default_factory=dict)
    """The original record of every event, by (input, offset): a dead letter may be needed yet."""
    letters: list[Letter] = field(default_factory=list)
    read: int = 0
    read_by_input: tuple[int, ...] = ()
    """The same by input. Counted while taking: more may be delivered before the slice has taken effect."""
    head_bound: int | None = None
    """What W must stay the grace behind once this slice is applied."""
    stopped_at: int | None = None
    """Event time of the record that was not taken because of ``before_ms``."""

    def __bool__(self) -> bool:
        return self.read > 0


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
        self._unknown_actions = 0
        self._raw: deque[Fetched] = deque()
        self._at = 0
        self._ready: deque[tuple[Event | Rejection, Any]] = deque()
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
        if not self._ready and self._raw:
            self._decode_some()
        return self._ready[0] if self._ready else None

    def take(self) -> tuple[Event | Rejection, Any]:
        """Remove the head."""
        entry, record = self._ready.popleft()
        self.waiting -= 1
        self.waiting_bytes -= _size(record)
        self.next = record.offset + 1
        if not self.waiting:
            self.next = self.received
        if type(entry) is Event and entry.ts > self.reached:
            self.reached = entry.ts
        return entry, record

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

    def _decode_some(self) -> None:
        batch = self._raw[0]
        until = min(self._at + DECODE_AHEAD, len(batch))
        for record in batch[self._at : until]:
            self._ready.append((self._clean(record), record))
            if record.timestamp > self.published:
                self.published = record.timestamp
        self._at = until
        if until == len(batch):
            self._raw.popleft()
            self._at = 0

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
        self._half_grace_ms = grace_ms // 2

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
            _take_rejected(buffer, taken)
        heads = [buffer.standing() for buffer in buffers]
        enough = sum(buffer.waiting_bytes for buffer in buffers) - most_bytes
        while taken.read < most:
            if enough > 0 and sum(buffer.waiting_bytes for buffer in buffers) <= enough:
                break
            chosen = self._choose(heads)
            if chosen is None:
                break
            buffer = buffers[chosen]
            instant = heads[chosen].ts
            assert instant is not None
            if before_ms is not None and instant >= before_ms:
                taken.stopped_at = instant
                break
            entry, record = buffer.take()
            assert isinstance(entry, Event)
            taken.events.append(entry)
            taken.records[chosen, record.offset] = record
            taken.read += 1
            _take_rejected(buffer, taken)
            heads[chosen] = buffer.standing()
        taken.read_by_input = tuple(was - buffer.waiting for was, buffer in zip(before, buffers, strict=True))
        # A strict merge takes nothing before its turn; what waits may be late, and W must not know where a slice ends.
        taken.head_bound = None if self._by_log else head_bound(heads)
        return taken

    def _choose(self, heads: Sequence[Head]) -> int | None:
        return next_by_log(heads) if self._by_log else next_by_wall(heads, self._half_grace_ms)


def _take_rejected(buffer: InputBuffer, taken: Slice) -> None:
    """Move rejected records off the head: they have no place in event time."""
    while (head := buffer.head()) is not None and isinstance(head[0], Rejection):
        taken.letters.append(Letter(buffer.kind, head[1], head[0]))
        buffer.take()
        taken.read += 1


def _size(record: Any) -> int:
    value = record.value
    return 0 if value is None else len(value)
