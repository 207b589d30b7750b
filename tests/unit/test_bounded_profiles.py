"""Whatever one user sends, their stored profile fits what a broker takes, and the worker lives on."""

from __future__ import annotations

from uuid import UUID

from streams.core.events import Event, Line
from streams.core.profile import MAX_OPEN, MOST_OPEN
from tests.support.partition_runs import PartitionRun
from tests.support.worlds import START, click, purchase

MOST_STORED_BYTES = 900_000


def largest(run: PartitionRun, events: list[Event], slices: int) -> int:
    """The largest stored value after any slice."""
    found = 0
    for at in range(0, len(events), slices):
        run.feed(events[at : at + slices])
        found = max([found, *(len(value) for value in run.store.values())])
    return found


def basket(number: int, chars: int = 60, lines: int = 4_000) -> Event:
    """An order as large as cleaning lets it be."""
    item = "i" * chars
    return purchase(
        START + number, order=f"o{number}", lines=tuple(Line(f"{item}{n}", None, None, 1, 1) for n in range(lines))
    )


def test_orders_of_thousands_of_lines_within_the_grace_are_settled_early_instead_of_outgrowing_a_record() -> None:
    run = PartitionRun()
    assert largest(run, [basket(number) for number in range(12)], 3) < MOST_STORED_BYTES
    assert run.facts["settled_early"] > 0
    assert run.facts["accepted"] == 12


def test_a_single_order_beyond_the_room_is_settled_at_once_and_its_money_counts() -> None:
    run = PartitionRun()
    run.feed([basket(0, chars=110)])
    run.close(START + 3_600_000)
    assert run.state("u").lines == 4_000


def test_an_order_of_endless_lines_at_one_instant_stays_open_only_so_far() -> None:
    run = PartitionRun()
    events = [purchase(START, order="o", event_id=f"{number:06d}") for number in range(MOST_OPEN + 300)]
    assert largest(run, events, 200) < MOST_STORED_BYTES
    assert run.facts["settled_early"] > 0


def test_an_invoice_of_a_thousand_lines_is_not_settled_early() -> None:
    run = PartitionRun()
    run.feed([purchase(START, order="o", event_id=f"{number:06d}") for number in range(1_114)])
    assert run.facts["settled_early"] == 0


def test_a_restarted_engine_still_knows_how_much_is_open() -> None:
    run, whole = PartitionRun(), PartitionRun()
    events = [basket(number, chars=40, lines=1_500) for number in range(9)]
    for event in events:
        run.feed([event])
        run.restart()
    whole.feed(events)
    assert run.facts["settled_early"] == whole.facts["settled_early"] > 0
    run.close(START + 3_600_000)
    whole.close(START + 3_600_000)
    assert run.state("u") == whole.state("u")


def test_a_new_category_with_every_click_does_not_grow_the_profile_without_bound() -> None:
    run = PartitionRun()
    events = [click(START + number * 700, category=f"{UUID(int=number)}") for number in range(3_000)]
    assert largest(run, events, 500) < 60_000


def test_open_events_of_the_longest_texts_fit_a_record() -> None:
    text = "🙂" * 128
    events = [
        click(START + number, user="🙂" * 256, event_id=f"{number:03d}{text}"[:128], session=text, category=text)
        for number in range(3 * MAX_OPEN)
    ]
    assert largest(PartitionRun(), events, 50) < MOST_STORED_BYTES
