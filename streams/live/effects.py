"""DESIGN's *Order of effects* for one slice: outputs, changelog, store, mark; each awaited before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from streams import topics
from streams.cloud_events import cloud_event_headers
from streams.codec import encode
from streams.core.errors import StateError
from streams.core.messages import example_body, mark_body
from streams.core.ports import Example, Output
from streams.core.tally import Tally
from streams.dead_letters import MOST_KEY_BYTES, dead_letter
from streams.live.changelog import Changelog, Write
from streams.live.held_log import HeldRecord
from streams.live.inputs import Letter
from streams.live.observer import Observer
from streams.live.outbox import Acked, Message, Part, Producer
from streams.live.store import CopyPosition, Store
from streams.model_records import SCHEMAS
from streams.settings import Settings
from streams.topics import topic_name

ONLY_PARTITION: Final = 0
HELD: Final = frozenset({topics.SEGMENT_CHANGES, topics.CHURN_RISK})
"""Decisions: what the circuit breaker holds."""
_HELD_TYPES: Final = {f"ebbtide.{name}".encode(): name for name in HELD}


@dataclass(slots=True)
class Effects:
    """What one slice leaves behind."""

    outputs: list[Output] = field(default_factory=list)
    portraits: Iterable[tuple[str, Output | None]] = ()
    """Made one after the other, as they are sent: a portrait is large."""
    letters: list[Letter] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)


class EffectsInOrder:
    """Makes the effects of one partition happen, in the order that keeps the promises.

    Parameters
    ----------
    settings
        Prefix, group, partitions, horizon.
    partition
        Which.
    producer, changelog, store
        Where effects go.
    now_ms
        Wall clock, ms.
    """

    def __init__(
        self,
        settings: Settings,
        partition: int,
        producer: Producer,
        changelog: Changelog,
        store: Store,
        observer: Observer,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._partition = partition
        self._producer = producer
        self._changelog = changelog
        self._store = store
        self._observer = observer
        self._now_ms = now_ms
        self._source = f"/ebbtide/{settings.group_id}/{partition}"

    async def publish(self, effects: Effects, *, hold: bool = False) -> list[Acked]:
        """Step 2: outputs, dead letters and examples; returns when all are acknowledged.

        With ``hold``, decisions go to ``held-outputs`` and portraits nowhere but where they end. Returned is what went
        there.
        """
        started = time.perf_counter()
        by_topic: dict[str, list[Iterable[Message]]] = {}
        outputs: dict[str, list[Output]] = {}
        for output in effects.outputs:
            outputs.setdefault(output.topic, []).append(output)
        if hold:
            held = [output for output in effects.outputs if output.topic in HELD]
            outputs = {name: made for name, made in outputs.items() if name not in HELD}
            if held:
                outputs[topics.HELD_OUTPUTS] = held
        for name, made in outputs.items():
            by_topic.setdefault(name, []).append(map(self._message, made))
        if effects.portraits:
            by_topic.setdefault(topics.USER_PROFILES, []).append(self._portraits(effects.portraits, hold=hold))
        if effects.letters:
            by_topic.setdefault(topics.DEAD_LETTERS, []).append(map(_letter, effects.letters))
        if effects.examples:
            by_topic.setdefault(topics.TRAINING_EXAMPLES, []).append(map(self._example, effects.examples))
        if not by_topic:
            return []
        batches = await self._send_all({name: chain.from_iterable(messages) for name, messages in by_topic.items()})
        self._observer.examples_sent(len(effects.examples))
        self._observer.stage_seconds("outputs", time.perf_counter() - started)
        return batches.get(topics.HELD_OUTPUTS, [])

    async def forward(self, held: Iterable[HeldRecord]) -> None:
        """Send outputs that were held where they belong, as they are.

        Raises
        ------
        StateError
            One of them says that it belongs somewhere else.
        """
        by_topic: dict[str, list[Message]] = {}
        for record in held:
            name = _HELD_TYPES.get(dict(record.headers).get("ce_type", b""))
            if name is None:
                raise StateError(
                    f"{topics.HELD_OUTPUTS}, partition {self._partition}, offset {record.offset} is no held output.",
                    "Somebody else writes to this topic; keep them off it, then discard.",
                )
            by_topic.setdefault(name, []).append(Message(record.key, record.value, record.headers))
        await self._send_all(by_topic)

    async def notify(self, key: bytes, body: dict[str, Any]) -> None:
        """Say on ``output-holds`` what is held."""
        await self._send_all({topics.OUTPUT_HOLDS: [Message(key, encode(body))]})

    async def persist(self, writes: Sequence[Write], tallies: Mapping[bytes, bytes] | None = None) -> None:
        """Steps 3 and 4: the changelog with its fence check, then the local copy.

        ``tallies`` as :meth:`streams.live.changelog.Changelog.append` takes them.

        Raises
        ------
        FencedError
            The partition is another's; the local copy was not touched.
        """
        started = time.perf_counter()
        last = await self._changelog.append(writes, tallies)
        acked = time.perf_counter()
        self._store.write(writes, CopyPosition(last, self._changelog.writer, self._now_ms()))
        self._observer.stage_seconds("changelog", acked - started)
        self._observer.stage_seconds("store", time.perf_counter() - acked)

    async def mark(self, watermark: int, *, drained: bool, clock: str, until: int | None, tally: Tally) -> None:
        """Step 5: tell the trainer that every example with a label before W was sent, and what became of scores."""
        body = mark_body(
            self._partition,
            self._settings.partitions,
            watermark,
            drained=drained,
            clock=clock,
            until=until,
            tally=tally,
        )
        await self._send_all({topics.TRAINING_EXAMPLES: [Message(b"mark-%d" % self._partition, encode(body))]})

    async def _send_all(self, by_topic: Mapping[str, Iterable[Message]]) -> dict[str, list[Acked]]:
        """Send to all topics at once; by topic, what Kafka has."""
        names = sorted(by_topic, key=lambda name: topics.CATALOGUE[name].single)  # other partitions write there too
        acked = await self._producer.send_all([self._part(name, by_topic[name]) for name in names])
        sent = dict(zip(names, acked, strict=True))
        for name, batches in sent.items():
            self._observer.sent(name, sum(batch.records for batch in batches))
        return sent

    def _part(self, name: str, messages: Iterable[Message]) -> Part:
        partition = ONLY_PARTITION if topics.CATALOGUE[name].single else self._partition
        return Part(topic_name(name, self._settings), partition, messages)

    def _message(self, output: Output) -> Message:
        headers = cloud_event_headers(output.id, output.topic, self._source, output.as_of_ms)
        return Message(output.user_id.encode(), encode(output.body), headers)

    def _portraits(self, portraits: Iterable[tuple[str, Output | None]], *, hold: bool) -> Iterator[Message]:
        for user_id, portrait in portraits:
            if portrait is None:
                yield Message(user_id.encode(), None)
            elif not hold:
                yield self._message(portrait)

    def _example(self, example: Example) -> Message:
        body = example_body(example, self._partition, SCHEMAS[example.head])
        return Message(example.user_id.encode(), encode(body))


def _letter(letter: Letter) -> Message:
    record = letter.record
    key = record.key
    value, headers = dead_letter(record.value, record.headers, letter.rejection, record.timestamp, key=key)
    return Message(key if key is None else key[:MOST_KEY_BYTES], value, headers)
