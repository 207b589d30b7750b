"""Slices taken in runs against the obviously right way: one record at a time, by the rules of alignment."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.alignment import Head, head_bound, next_by_log, next_by_wall
from streams.core.cleaning import CleaningPolicy
from streams.core.events import INPUT_TOPICS, MINUTE_MS
from streams.live import inputs
from streams.live.inputs import InputBuffer, PartitionInputs, Slice
from streams.live.record_batches import Fetched, Span

BEGIN = 1_700_000_000_000
GRACE_MS = 20

Waiting = list[tuple[int | None, int]]
"""Of one input, in order: event time (None: no JSON) and Kafka timestamp."""


def value(kind: int, ts: int | None) -> bytes:
    fields = ({"action": "view"}, {"query": "q" * 30}, {"item_id": "i", "quantity": 1})[kind]
    return b"{" if ts is None else json.dumps({"user_id": "ann", "ts": BEGIN + ts, **fields}).encode()


class OneByOne:
    """Inputs from which a slice is taken record by record."""

    def __init__(self, waiting: list[Waiting], drained: list[bool], reached: list[int], by_log: bool) -> None:
        self.waiting = [list(enumerate(entries)) for entries in waiting]
        self.drained, self.reached, self.by_log = drained, reached, by_log

    def bytes_waiting(self) -> int:
        return sum(len(value(kind, ts)) for kind, log in enumerate(self.waiting) for _, (ts, _) in log)

    def rejected(self, kind: int, found: dict[str, Any]) -> None:
        log = self.waiting[kind]
        while log and log[0][1][0] is None:
            offset, (_, published) = log.pop(0)
            found["letters"].append((kind, offset))
            self.count(kind, published, found)

    def count(self, kind: int, published: int, found: dict[str, Any]) -> None:
        place = kind, published // MINUTE_MS
        found["published"][place] = found["published"].get(place, 0) + 1

    def heads(self) -> list[Head]:
        return [
            Head(BEGIN + (log[0][1][0] or 0) if log else None, drained, reached)
            for log, drained, reached in zip(self.waiting, self.drained, self.reached, strict=True)
        ]

    def slice(self, most: int, before_ms: int | None, most_bytes: int) -> dict[str, Any]:
        found: dict[str, Any] = {"events": [], "letters": [], "published": {}, "stopped_at": None}
        for kind in range(3):
            self.rejected(kind, found)
        enough = self.bytes_waiting() - most_bytes
        begun = False
        while len(found["events"]) + len(found["letters"]) < most and (not begun or self.bytes_waiting() > enough):
            heads = self.heads()
            chosen = next_by_log(heads) if self.by_log else next_by_wall(heads, GRACE_MS // 2)
            if chosen is None:
                break
            ts = heads[chosen].ts or 0
            if before_ms is not None and ts >= before_ms:
                found["stopped_at"] = ts
                break
            begun = True
            offset, (_, published) = self.waiting[chosen].pop(0)
            found["events"].append((chosen, offset))
            self.count(chosen, published, found)
            self.reached[chosen] = max(self.reached[chosen], ts)
            self.rejected(chosen, found)
        found["head_bound"] = None if self.by_log else head_bound(self.heads())
        found["waiting"] = [len(log) for log in self.waiting]
        found["reached"] = list(self.reached)
        found["bytes"] = self.bytes_waiting()
        return found


def in_runs(partition: PartitionInputs, taken: Slice) -> dict[str, Any]:
    assert [record.offset for record in taken.records] == [event.offset for event in taken.events]
    assert taken.read == len(taken.events) + len(taken.letters) == sum(taken.published.values())
    return {
        "events": [(event.kind, event.offset) for event in taken.events],
        "letters": [(letter.kind, letter.record.offset) for letter in taken.letters],
        "published": taken.published,
        "stopped_at": taken.stopped_at,
        "head_bound": taken.head_bound,
        "waiting": [buffer.waiting for buffer in partition.buffers],
        "reached": [buffer.reached for buffer in partition.buffers],
        "bytes": sum(buffer.waiting_bytes for buffer in partition.buffers),
    }


entries = st.tuples(st.integers(0, 30) | st.none(), st.sampled_from([BEGIN, BEGIN + 1, BEGIN + MINUTE_MS]))
sizes = st.tuples(
    st.integers(1, 9) | st.just(1_000), st.none() | st.integers(0, 35), st.integers(1, 400) | st.just(1 << 40)
)


@pytest.fixture(autouse=True)
def few_decoded_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "DECODE_AHEAD", 3)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(entries, max_size=8) | st.lists(entries, max_size=8).map(lambda log: sorted(log, key=str)),
        min_size=3,
        max_size=3,
    ),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(st.sampled_from([-1, BEGIN - 5, BEGIN + 10]), min_size=3, max_size=3),
    st.booleans(),
    st.lists(sizes, min_size=1, max_size=4),
)
def test_a_slice_in_runs_is_the_slice_one_by_one(
    waiting: list[Waiting],
    drained: list[bool],
    reached: list[int],
    by_log: bool,
    slices: list[tuple[int, int | None, int]],
) -> None:
    buffers = []
    for kind, log in enumerate(waiting):
        buffer = InputBuffer(INPUT_TOPICS[kind], 0, kind, CleaningPolicy(), 0, reached[kind])
        buffer.drained = drained[kind]
        records = [
            SimpleNamespace(offset=at, timestamp=published, key=b"ann", value=value(kind, ts), headers=())
            for at, (ts, published) in enumerate(log)
        ]
        if records:
            buffer.add(Fetched(records, Span(0, len(records))), lambda: None)
        buffers.append(buffer)
    partition = PartitionInputs(buffers, by_log=by_log, grace_ms=GRACE_MS)
    naive = OneByOne(waiting, drained, list(reached), by_log)
    for most, before, most_bytes in slices:
        before_ms = None if before is None else BEGIN + before
        taken = partition.slice(most, before_ms=before_ms, most_bytes=most_bytes)
        assert in_runs(partition, taken) == naive.slice(most, before_ms, most_bytes)
