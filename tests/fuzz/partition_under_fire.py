"""One partition as the worker runs it, fed whatever a topic may hold; every record is accounted for.

The real parts, in their order: input buffer, decode, clean, alignment, engine, dead letters, output bodies and stored
profiles. Only Kafka is missing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.cloud_events import cloud_event_headers
from streams.codec import encode
from streams.core.cleaning import REASONS, CleaningPolicy, cleaning_policy
from streams.core.engine import PartitionEngine
from streams.core.events import INPUT_TOPICS, Event, Kind
from streams.core.instants import format_instant
from streams.core.ports import ChurnScorer, Output, Rejection, Step
from streams.dead_letters import dead_letter
from streams.live.inputs import InputBuffer, PartitionInputs, Slice
from streams.live.record_batches import Fetched, Span
from streams.policies.reader import read_policy
from tests.support.scorers import DailyCuts

BEGIN_MS: Final = 1_700_000_000_000
GRACE_MS: Final = 600_000
MOST_RECORD_BYTES: Final = 1_024
"""Small, so that inputs of a few kilobytes are oversized."""
MOST_SENT_BYTES: Final = 1_000_000
"""What a broker with default limits takes for one record, less some room for its own bytes."""
RESTART_EVERY: Final = 512
NEW_WORLD_EVERY: Final = 8_192
PLACES: Final = (b'"@now"', b'"@iso"', b'"@soon"', b'"@late"', b'"@old"', b'"@year"')
"""What a record may say for an instant near the present one, whatever that is by then."""

POLICY: Final = read_policy(None)


@dataclass(slots=True)
class Raw:
    """A record as aiokafka hands it over."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class UnaccountedError(AssertionError):
    """A record that was neither accepted, nor a duplicate, nor rejected; or a promise about it that does not hold."""


class PartitionUnderFire:
    """See the module.

    Parameters
    ----------
    scorer
        Hands out model cuts.

    >>> world = PartitionUnderFire()
    >>> world.feed(0, b'{"user_id":"ann","ts":"@now","action":"view"}', step_ms=1)
    >>> world.feed(0, b'{', step_ms=1)
    >>> dict(world.outcomes)
    {'accepted': 1, 'rejected: not_json': 1}
    """

    def __init__(self, scorer: ChurnScorer | None = None, cleaning: CleaningPolicy | None = None) -> None:
        self.outcomes: Counter[str] = Counter()
        """Records by outcome and reason, over all worlds."""
        self.read = 0
        self._scorer = scorer or DailyCuts(warm_from=BEGIN_MS)
        self._engine: PartitionEngine
        self._cleaning = cleaning or cleaning_policy(POLICY, MOST_RECORD_BYTES)
        self._new_world()

    def feed(
        self,
        kind: int,
        value: bytes | None,
        *,
        step_ms: int = 0,
        key: bytes | None = b"u",
        headers: Sequence[tuple[str, bytes]] = (),
        at_once: bool = True,
    ) -> None:
        """Deliver one record and, if ``at_once``, apply everything that waits.

        Parameters
        ----------
        kind
            Which input.
        value
            Its bytes; the places of :data:`PLACES` stand for instants.
        step_ms
            By how much the Kafka timestamps move on.
        """
        self.now_ms += step_ms
        if value is not None and b'"@' in value:
            value = self._placed(value)
        buffer = self._inputs.buffers[kind]
        offset = buffer.received
        record = Raw(offset, self.now_ms, key, value, headers)
        buffer.add(Fetched([record], Span(offset, offset + 1)), lambda: None)
        self._delivered.append((kind, record))
        self.read += 1
        if at_once:
            self.apply()

    def apply(self) -> None:
        """Apply what waits, as the partition's owner does, and account for it."""
        while taken := self._inputs.slice(64):
            step = self._engine.process(taken.events, self._scorer, head_bound=taken.head_bound)
            self._account(taken, step)
            self._store_changes(step)
            self._send(taken, step)
        if self._inputs.waiting:
            raise UnaccountedError(f"{self._inputs.waiting} records wait although every input is drained")
        done = self.read - self._world_began
        if done >= NEW_WORLD_EVERY:
            self._new_world()
        elif done // RESTART_EVERY > self._restarts:
            self._restarts += 1
            self.restart()

    def restart(self) -> None:
        """Go on with a new engine over what is stored, as after a crash; a redelivery must change nothing."""
        users = [user_id for user_id in self._store if user_id]
        before = {user_id: self._engine.settled(user_id) for user_id in users}
        old, self._engine = self._engine, self._new_engine()
        engine = self._engine
        engine.watermark, engine.newest, engine.clock = old.watermark, old.newest, old.clock
        for user_id, value in self._store.items():
            engine.restore(user_id, value)
        for user_id in users:
            if engine.settled(user_id) != before[user_id]:
                raise UnaccountedError(f"the settled state of {user_id!r} is another one after a restart")
        self._redeliver()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _new_world(self) -> None:
        self._store: dict[str, bytes] = {}
        self.now_ms = BEGIN_MS
        self._world_began = self.read
        self._restarts = 0
        self._delivered: deque[tuple[int, Raw]] = deque(maxlen=8)
        self._inputs = self._new_inputs([0] * len(Kind), [-1] * len(Kind))
        self._engine = self._new_engine()

    def _new_inputs(self, starts: Sequence[int], reached: Sequence[int]) -> PartitionInputs:
        buffers = [
            InputBuffer(topic, 0, kind, self._cleaning, starts[kind], reached[kind])
            for kind, topic in enumerate(INPUT_TOPICS)
        ]
        for buffer in buffers:
            buffer.drained = True
        return PartitionInputs(buffers, by_log=False, grace_ms=GRACE_MS)

    def _new_engine(self) -> PartitionEngine:
        return PartitionEngine(
            POLICY, self._store, horizon_days=30, mode="live", partition=0, grace_ms=GRACE_MS, cache_profiles=64
        )

    def _placed(self, value: bytes) -> bytes:
        now = self.now_ms
        instants = [b"%d" % now, b'"%s"' % format_instant(now).encode(), b"%d" % (now + 240_000)]
        instants += [b"%d" % (now - 1_200_000), b"%d" % (now - 40_000_000_000), b"%d" % (now + 31_536_000_000)]
        for place, instant in zip(PLACES, instants, strict=True):
            value = value.replace(place, instant)
        return value

    def _account(self, taken: Slice, step: Step) -> None:
        rejected = [letter.rejection for letter in taken.letters] + [why for _, why in step.rejected]
        facts = step.facts
        if taken.read != facts.accepted + facts.duplicates + len(rejected) or facts.skipped:
            raise UnaccountedError(
                f"read {taken.read}, accepted {facts.accepted}, duplicates {facts.duplicates}, "
                f"rejected {len(rejected)}, skipped {facts.skipped}"
            )
        self.outcomes["accepted"] += facts.accepted
        self.outcomes["duplicate"] += facts.duplicates
        for why in rejected:
            if why.reason not in REASONS:
                raise UnaccountedError(f"unknown reason {why.reason!r}")
            self.outcomes[f"rejected: {why.reason}"] += 1
        self.outcomes += Counter()  # a count of 0 is no outcome

    def _store_changes(self, step: Step) -> None:
        for user_id in step.changed:
            value = self._engine.encoded(user_id, 1)
            if value is None:
                self._store.pop(user_id, None)
                # With a user their applied offsets are forgotten. A worker reads on behind what it has stored, so what
                # lies before an erasure is never delivered to it again.
                self._delivered.clear()
                continue
            if len(value) > MOST_SENT_BYTES:
                raise UnaccountedError(f"the profile of {user_id!r} has {len(value)} bytes: no broker takes it")
            self._store[user_id] = value

    def _send(self, taken: Slice, step: Step) -> None:
        portraits = [self._engine.portrait(user_id) for user_id in step.portraits]
        for output in [*step.outputs, *(portrait for portrait in portraits if portrait is not None)]:
            _check_output(output)
        letters: list[tuple[Any, Rejection]] = [(letter.record, letter.rejection) for letter in taken.letters]
        letters += [(taken.record_of(event), why) for event, why in step.rejected]
        for record, why in letters:
            value, headers = dead_letter(record.value, record.headers, why)
            size = len(value or b"") + sum(len(name.encode()) + len(raw) for name, raw in headers)
            if size > MOST_SENT_BYTES:
                raise UnaccountedError(f"a dead letter of {size} bytes: no broker takes it")

    def _redeliver(self) -> None:
        """Read the last records again: they are skipped, or rejected as before, and no profile changes."""
        events: list[Event] = []
        for kind, record in self._delivered:
            buffer = InputBuffer(INPUT_TOPICS[kind], 0, kind, self._cleaning, record.offset, -1)
            buffer.add(Fetched([record], Span(record.offset, record.offset + 1)), lambda: None)
            head = buffer.head()
            if head is not None and isinstance(head[0], Event):
                events.append(head[0])
        # An order without lines leaves nothing of a user who is nobody yet, so nothing remembers its offset either.
        known = [event for event in events if event.user_id in self._store and (event.kind < 2 or event.lines)]
        if self._engine.process([], self._scorer).changed:
            raise UnaccountedError("an empty slice changed something")
        step = self._engine.process(known, self._scorer)
        if step.outputs or step.facts.accepted:
            raise UnaccountedError(f"delivered again, {step.facts.accepted} records counted a second time")
        self._store_changes(step)


def _check_output(output: Output) -> None:
    size = len(encode(output.body)) + len(output.user_id.encode())
    size += sum(len(raw) for _, raw in cloud_event_headers(output.id, output.topic, "/ebbtide/x/0", output.as_of_ms))
    if size > MOST_SENT_BYTES:
        raise UnaccountedError(f"an output of {size} bytes on {output.topic}: no broker takes it")
