"""What a letter would be if it were sent again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.core.cleaning import CleaningPolicy
from streams.core.errors import RedriveError
from streams.core.events import DAY_MS, INPUT_TOPICS, Event, Position
from streams.dead_letters import ATTEMPT_HEADER, ORIGIN_HEADER, PARKED_HEADER
from streams.raw_records import clean_record
from streams.replay.letters import DeadLetter
from streams.replay.mending import parse_assignment
from streams.replay.outgoing import partition_of
from tests.support.partition_runs import PartitionRun
from tests.support.redrive_desks import NOW_MS, a_letter, mending

GOOD: dict[str, Any] = {
    "event_id": "e1",
    "user_id": "u1",
    "ts": NOW_MS - 10_000,
    "item_id": "i",
    "price": 2.0,
    "quantity": 1,
}


def letter(reason: str = "bad_price", /, *, raw: object = None, **fields: Any) -> DeadLetter:
    """A letter of a purchase, good but for the fields given."""
    body = {name: value for name, value in {**GOOD, **fields}.items() if value is not ...} if raw is None else raw
    return a_letter(7, json.dumps(body).encode(), reason=reason)


def after(subject: DeadLetter, *assignments: str) -> Any:
    return mending(*assignments).mend(subject).after


# -- fields ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("price=0", 0),
        ("price=1.5", 1.5),
        ("price=null", None),
        ("price=EUR", "EUR"),
        ('price="0"', "0"),
        ("price=", ""),
    ],
)
def test_a_value_is_json_else_text(given: str, value: object) -> None:
    assert after(letter(), given)["price"] == value


@pytest.mark.parametrize("given", ["price", "=1", "lines..price=1", ""])
def test_an_assignment_of_nothing_is_refused(given: str) -> None:
    with pytest.raises(RedriveError, match="sets nothing"):
        parse_assignment(given)


def test_one_event_id_for_all_is_refused_as_all_but_one_would_be_dropped() -> None:
    with pytest.raises(RedriveError, match="one identity"):
        parse_assignment("event_id=e1")


def test_a_field_takes_the_value_of_another() -> None:
    assert after(letter(user_id=..., userId="u9"), "user_id=@userId")["user_id"] == "u9"


def test_a_field_whose_source_is_absent_stays_as_it_is() -> None:
    assert after(letter(), "user_id=@userId")["user_id"] == "u1"


def test_a_field_takes_the_instant_of_publishing() -> None:
    assert after(letter(ts=...), "ts=@kafka_timestamp")["ts"] == NOW_MS - 5_000


def test_a_path_reaches_into_every_line() -> None:
    subject = letter(lines=[{"price": -1}, {"price": -2, "quantity": 2}])
    assert after(subject, "lines.*.price=0")["lines"] == [{"price": 0}, {"price": 0, "quantity": 2}]


def test_a_path_reaches_into_one_line() -> None:
    assert after(letter(lines=[{"price": 1}, {"price": -2}]), "lines.1.price=0")["lines"][1] == {"price": 0}


@pytest.mark.parametrize("path", ["lines.*.price", "lines.9.price", "item_id.x.y", "lines.x.price"])
def test_a_path_that_a_record_has_not_changes_nothing(path: str) -> None:
    subject = letter(lines=[])
    assert after(subject, f"{path}=0") == json.loads(subject.value or b"")


def test_assignments_go_in_order() -> None:
    assert after(letter(), "price=1", "price=2")["price"] == 2


def test_the_letter_itself_stays_as_it_was() -> None:
    mended = mending("lines.0.price=0").mend(letter(lines=[{"price": -1}]))
    assert mended.before["lines"] == [{"price": -1}]


# -- identity --------------------------------------------------------------------------------------------------------


def test_a_record_keeps_its_event_id() -> None:
    assert after(letter(), "price=0")["event_id"] == "e1"


@pytest.mark.parametrize("event_id", [..., None, "", "  "])
def test_a_record_without_an_event_id_gets_its_letters_id_every_time_the_same(event_id: object) -> None:
    subject = letter(event_id=event_id)
    assert {after(subject, "price=0")["event_id"] for _ in range(2)} == {subject.id}


def test_nothing_to_change_leaves_the_bytes_as_they_were() -> None:
    assert mending().mend(letter()).value == letter().value


def test_headers_say_which_attempt_it_is_and_which_letter_it_was() -> None:
    subject = a_letter(
        7, headers=[("trace", b"1"), (ATTEMPT_HEADER, b"1"), (ORIGIN_HEADER, b"x"), (PARKED_HEADER, b"")]
    )
    assert mending().mend(subject).headers == [
        ("trace", b"1"),
        (ATTEMPT_HEADER, b"2"),
        (ORIGIN_HEADER, subject.id.encode()),
    ]


# -- key and partition -----------------------------------------------------------------------------------------------


def test_a_record_of_the_same_user_goes_where_it_was_with_its_key() -> None:
    subject = letter()._replace(key=b"other", origin_partition=2)
    mended = mending("price=0").mend(subject)
    assert (mended.key, mended.partition) == (b"other", 2)


def test_a_corrected_user_decides_key_and_partition_as_a_java_producer_would() -> None:
    mended = mending("user_id=21", partitions=8).mend(letter(user_id=None))
    assert (mended.key, mended.partition) == (b"21", 4)


def test_a_partition_that_is_no_longer_there_is_chosen_anew() -> None:
    mended = mending(partitions=2).mend(letter()._replace(origin_partition=7))
    assert mended.partition == partition_of(b"u1", 2)


# -- verdict ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "assignments", "verdict"),
    [
        (letter(price=-3), [], "bad_price"),
        (letter(price=-3), ["price=0"], None),
        (letter(price=-3, ts="yesterday"), ["price=0"], "bad_time"),
        (letter("missing_user", user_id=None), ["user_id=u7"], None),
        (letter("future", ts=NOW_MS + DAY_MS), [], "future"),
        (letter("future", ts=NOW_MS - 1), [], None),  # what was ahead of its publishing then, is past by now
        (letter("not_an_object", raw=[1]), ["price=0"], "not_an_object"),
        (a_letter(7, b"{", reason="not_json"), ["price=0"], "not_json"),
        (letter("too_late"), [], "too_late"),
        (letter("too_late"), [f"ts={NOW_MS - 10_001}"], "too_late"),
        (letter("too_late"), [f"ts={NOW_MS - 1}"], None),
        (a_letter(7, b" " * 300_000, reason="oversized"), [], "oversized"),
        (letter()._replace(cut=True), [], "oversized"),
        (letter()._replace(topic=None), [], "bad_price"),
    ],
)
def test_a_record_is_judged_as_the_worker_would(
    subject: DeadLetter, assignments: list[str], verdict: str | None
) -> None:
    rejection = mending(*assignments).mend(subject).rejection
    assert (rejection and rejection.reason) == verdict


@pytest.mark.parametrize("depth", [300, 900])
def test_what_is_nested_too_deeply_to_be_written_again_is_left_as_it_is(depth: int) -> None:
    value = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
    mended = mending("price=0").mend(a_letter(7, value))
    assert (mended.value, mended.rejection and mended.rejection.reason) == (value, "not_json")


# -- lateness --------------------------------------------------------------------------------------------------------


def redriven(days_late: int) -> PartitionRun:
    """An engine whose log is at NOW, and a mended record from days ago."""
    run = PartitionRun()
    run.feed([event(GOOD)])
    mended = mending("price=5").mend(letter(price=-3, event_id="e2", ts=GOOD["ts"] - days_late * DAY_MS))
    assert mended.rejection is None
    run.feed([event(mended.after, offset=1)])
    run.feed([event({**mended.after, "event_id": "e3", "ts": GOOD["ts"]}, offset=2)])
    return run


def event(raw: Any, offset: int = 0) -> Event:
    value = json.dumps(raw).encode()
    cleaned, _ = clean_record(value, 2, Position(INPUT_TOPICS[2], 0, offset), NOW_MS, CleaningPolicy())
    assert isinstance(cleaned, Event)
    return cleaned


def test_a_redriven_record_300_days_late_enters_the_totals() -> None:
    run = redriven(300)
    assert (run.facts["late"], run.rejected) == (1, [])
    assert run.engine.portrait("u1") is not None
    assert run.engine.portrait("u1").body["totals"]["amount"] == 2 + 5 + 5  # type: ignore[union-attr]


def test_a_redriven_record_400_days_late_is_too_late_again() -> None:
    run = redriven(400)
    assert run.rejected == ["e2"]
