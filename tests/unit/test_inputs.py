"""What waits in the inputs of a partition, and in which order it goes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from streams.core.cleaning import CleaningPolicy
from streams.core.events import Event
from streams.live.inputs import InputBuffer, PartitionInputs
from streams.live.record_batches import Fetched, Span

GRACE_MS = 600_000
BEGIN = 1_700_000_000_000
TOPICS = ("clicks", "searches", "purchases")


def batch(topic: str, first: int, *instants: int | None) -> Fetched:
    """Records of one fetch; None is a record that is no JSON."""
    fields: dict[str, dict[str, Any]] = {
        "clicks": {"action": "view"},
        "searches": {"query": "q"},
        "purchases": {"item_id": "i", "quantity": 1},
    }
    records = [
        SimpleNamespace(
            offset=first + at,
            timestamp=BEGIN + 1,
            key=b"ann",
            value=b"{" if ts is None else json.dumps({"user_id": "ann", "ts": BEGIN + ts, **fields[topic]}).encode(),
            headers=(),
        )
        for at, ts in enumerate(instants)
    ]
    return Fetched(records, Span(first, first + len(records)))


def partition(*, by_log: bool = True, reached: int = BEGIN - 1_000) -> PartitionInputs:
    buffers = [InputBuffer(topic, 0, kind, CleaningPolicy(), 0, reached) for kind, topic in enumerate(TOPICS)]
    return PartitionInputs(buffers, by_log=by_log, grace_ms=GRACE_MS)


def order(inputs: PartitionInputs, most: int = 100, before_ms: int | None = None) -> list[tuple[int, int]]:
    return [(event.kind, event.ts - BEGIN) for event in inputs.slice(most, before_ms=before_ms).events]


def nothing() -> None:
    return None


def drain(inputs: PartitionInputs) -> None:
    for buffer in inputs.buffers:
        buffer.drained = True


def test_under_the_log_clock_events_go_by_instant_and_then_by_input() -> None:
    inputs = partition()
    inputs.buffers[0].add(batch("clicks", 0, 5, 20), nothing)
    inputs.buffers[1].add(batch("searches", 0, 5), nothing)
    inputs.buffers[2].add(batch("purchases", 0, 1, 5), nothing)
    drain(inputs)
    assert order(inputs) == [(2, 1), (0, 5), (1, 5), (2, 5), (0, 20)]


def test_under_the_log_clock_nothing_goes_while_an_input_may_have_older_records() -> None:
    inputs = partition()
    inputs.buffers[0].add(batch("clicks", 0, 5), nothing)
    assert order(inputs) == []


def test_under_the_wall_clock_purchases_wait_for_clicks_that_are_still_fetched() -> None:
    inputs = partition(by_log=False, reached=BEGIN)
    inputs.buffers[2].add(batch("purchases", 0, GRACE_MS // 2, GRACE_MS // 2 + 1), nothing)
    inputs.buffers[1].drained = True
    assert order(inputs) == [(2, GRACE_MS // 2)]


def test_nothing_at_or_after_a_boundary_goes() -> None:
    inputs = partition()
    inputs.buffers[0].add(batch("clicks", 0, 5, 20), nothing)
    drain(inputs)
    taken = inputs.slice(100, before_ms=BEGIN + 20)
    assert ([event.ts - BEGIN for event in taken.events], taken.stopped_at) == ([5], BEGIN + 20)


def test_rejected_records_hold_nothing_up_and_keep_their_bytes() -> None:
    inputs = partition()
    inputs.buffers[0].add(batch("clicks", 0, None, None, 7), nothing)
    drain(inputs)
    taken = inputs.slice(100)
    assert [letter.record.value for letter in taken.letters] == [b"{", b"{"]
    assert taken.read == 3


def test_a_batch_is_acked_once_all_its_records_are_applied() -> None:
    inputs, acked = partition(), []
    inputs.buffers[0].add(batch("clicks", 0, 1, 2, 3), lambda: acked.append("first"))
    drain(inputs)
    inputs.slice(2)
    inputs.buffers[0].ack_applied(inputs.buffers[0].next)
    assert acked == []
    inputs.slice(2)
    inputs.buffers[0].ack_applied(inputs.buffers[0].next)
    assert acked == ["first"]


def test_control_records_behind_the_last_record_are_passed_with_it() -> None:
    inputs = partition()
    records = batch("clicks", 0, 1)
    inputs.buffers[0].add(Fetched(records, Span(0, 4)), nothing)
    drain(inputs)
    inputs.slice(10)
    assert inputs.buffers[0].next == 4


def test_a_record_without_an_event_id_is_named_by_its_position() -> None:
    inputs = partition()
    inputs.buffers[0].add(batch("clicks", 0, 1), nothing)
    drain(inputs)
    assert [event.id for event in inputs.slice(1).events] == ["clicks-0-0"]


def test_the_same_position_of_a_topic_created_anew_is_another_name() -> None:
    names = []
    for epoch in (0, 1, 2):
        buffer = InputBuffer("clicks", 0, 0, CleaningPolicy(), 0, BEGIN - 1_000, epoch=epoch)
        buffer.add(batch("clicks", 0, 5), nothing)
        event, _ = buffer.take() if buffer.head() else (None, None)
        assert isinstance(event, Event)
        names.append(event.id)
    assert names == ["clicks-0-0", "clicks-0-1-0", "clicks-0-2-0"]


def test_under_the_log_clock_a_late_record_at_the_end_of_a_slice_does_not_hold_w_back() -> None:
    inputs = partition()
    inputs.buffers[0].add(batch("clicks", 0, 500_000, 10, 600_000), nothing)
    drain(inputs)
    assert inputs.slice(1).head_bound is None


@pytest.mark.parametrize("most", [1, 2, 7])
def test_slices_of_any_size_give_the_same_order(most: int) -> None:
    inputs = partition()
    inputs.buffers[0].add(batch("clicks", 0, *range(0, 40, 2)), nothing)
    inputs.buffers[1].add(batch("searches", 0, *range(0, 40, 3)), nothing)
    drain(inputs)
    taken: list[tuple[int, int]] = []
    while part := order(inputs, most):
        taken += part
    assert taken == sorted(taken, key=lambda entry: (entry[1], entry[0]))
    assert len(taken) == 34


def test_what_waits_is_counted_in_bytes_too_and_forgotten_once_taken() -> None:
    inputs = partition()
    fetched = batch("clicks", 0, 1, 2)
    inputs.buffers[0].add(fetched, nothing)
    assert inputs.buffers[0].waiting_bytes == sum(len(record.value) for record in fetched)
    drain(inputs)
    inputs.slice(100)
    assert inputs.buffers[0].waiting_bytes == 0


def test_a_slice_of_large_records_ends_with_the_one_that_fills_it() -> None:
    inputs = partition()
    fetched = batch("clicks", 0, 1, 2, 3, 4)
    inputs.buffers[0].add(fetched, nothing)
    drain(inputs)
    assert len(inputs.slice(100, most_bytes=len(fetched[0].value) + 1).events) == 2
    assert len(inputs.slice(100, most_bytes=len(fetched[0].value) + 1).events) == 2
