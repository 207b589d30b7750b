"""Dead letters read back from their topic."""

from __future__ import annotations

import pytest

from streams.dead_letters import ATTEMPT_HEADER
from streams.replay.finished_topics import Received
from streams.replay.letters import DeadLetter, Standing, Wanted, grouped, letter_of
from tests.support.redrive_desks import a_letter


def test_a_letter_says_why_and_where_it_was_rejected() -> None:
    letter = a_letter(17, partition=3)
    assert (letter.reason, letter.message) == ("bad_price", "because")
    assert (letter.topic, letter.origin_partition, letter.origin_offset) == ("purchases", 3, 17)


def test_the_prefix_of_the_topic_is_taken_off() -> None:
    headers = (
        ("__streams.errors.topic", b"eu.clicks"),
        ("__streams.errors.partition", b"0"),
        ("__streams.errors.offset", b"1"),
    )
    assert letter_of(Received("dead-letters", 0, 0, 0, None, b"", headers), "eu.").topic == "clicks"


def test_a_record_that_is_no_letter_of_ours_is_shown_all_the_same() -> None:
    letter = letter_of(Received("dead-letters", 0, 0, 0, None, None, (("__streams.errors.offset", b"\xff"),)), "")
    assert (letter.reason, letter.topic, letter.value) == ("unknown", None, None)


def test_a_letter_that_was_written_twice_has_one_id() -> None:
    again = a_letter(17)._replace(offset=99, rejected_ms=1)
    assert again.id == a_letter(17).id


def test_the_same_place_in_a_topic_made_anew_has_another_id() -> None:
    assert a_letter(17, b"{}").id != a_letter(17, b"[]").id


def test_a_letter_after_three_redrives_is_parked() -> None:
    letter = a_letter(headers=[(ATTEMPT_HEADER, b"3")])
    assert letter.standing(None) is Standing.PARKED


def test_what_was_decided_goes_before_parked() -> None:
    letter = a_letter(headers=[(ATTEMPT_HEADER, b"3")])
    assert letter.standing(Standing.REDRIVEN) is Standing.REDRIVEN


@pytest.mark.parametrize(
    ("wanted", "has"),
    [
        (Wanted(), True),
        (Wanted(reasons=frozenset({"bad_price", "future"})), True),
        (Wanted(reasons=frozenset({"future"})), False),
        (Wanted(topic="clicks"), False),
        (Wanted(since_ms=1_000, until_ms=1_000), True),
        (Wanted(since_ms=1_001), False),
        (Wanted(until_ms=999), False),
        (Wanted(partition=2, from_offset=17, to_offset=17), True),
        (Wanted(partition=1), False),
        (Wanted(from_offset=18), False),
        (Wanted(to_offset=16), False),
    ],
)
def test_letters_are_chosen_by_reason_input_time_and_place(wanted: Wanted, has: bool) -> None:
    assert wanted.has(a_letter(17, partition=2, rejected_ms=1_000)) is has


def groups(*letters: tuple[DeadLetter, Standing]) -> dict[str, tuple[int, int, int, str]]:
    return {one.reason: (one.letters, one.first_ms, one.last_ms, one.example.place) for one in grouped(letters)}


def test_letters_are_counted_by_reason_with_first_and_last_time() -> None:
    found = groups(
        (a_letter(1, rejected_ms=20), Standing.OPEN),
        (a_letter(2, rejected_ms=10), Standing.OPEN),
        (a_letter(3, reason="future", rejected_ms=5), Standing.OPEN),
    )
    assert found == {"bad_price": (2, 10, 20, "0:1"), "future": (1, 5, 5, "0:3")}


def test_the_example_is_one_that_is_open() -> None:
    found = groups((a_letter(1, rejected_ms=10), Standing.OPEN), (a_letter(2, rejected_ms=20), Standing.DROPPED))
    assert found["bad_price"][3] == "0:1"


def test_a_letter_that_was_written_twice_counts_once() -> None:
    assert groups((a_letter(1), Standing.OPEN), (a_letter(1)._replace(offset=9), Standing.OPEN))["bad_price"][0] == 1
