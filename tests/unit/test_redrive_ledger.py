"""The ledger of redrives: whose turn it is, and what was decided."""

from __future__ import annotations

import pytest

from streams.replay.letters import Standing
from streams.replay.redrive_ledger import Ledger, Said, Target, decision_record, run_record

LEASE = 60_000


def ledger(*records: tuple[int, tuple[bytes, bytes | None]]) -> Ledger:
    """A ledger that has read these, at these instants."""
    made = Ledger(LEASE)
    for at_ms, (key, value) in records:
        made.read(key, value, at_ms=at_ms)
    return made


def holder(made: Ledger) -> str | None:
    return None if made.holder is None else made.holder.run


BEGAN_A, BEGAN_B = run_record("a", Said.BEGAN), run_record("b", Said.BEGAN)
ENDED_A = run_record("a", Said.ENDED)


def sent(run: str, letter: str = "x") -> tuple[bytes, bytes]:
    return decision_record(run, letter, Said.SENT)


def test_the_first_to_begin_has_the_turn() -> None:
    assert holder(ledger((0, BEGAN_A), (1, BEGAN_B))) == "a"


def test_once_it_has_ended_the_turn_is_free() -> None:
    assert holder(ledger((0, BEGAN_A), (1, ENDED_A))) is None


def test_who_began_too_early_has_to_begin_again() -> None:
    assert holder(ledger((0, BEGAN_A), (1, BEGAN_B), (2, ENDED_A))) is None
    assert holder(ledger((0, BEGAN_A), (1, BEGAN_B), (2, ENDED_A), (3, BEGAN_B))) == "b"


def test_a_silent_run_loses_the_turn_to_the_next_that_begins() -> None:
    assert holder(ledger((0, BEGAN_A), (LEASE - 1, BEGAN_B))) == "a"
    assert holder(ledger((0, BEGAN_A), (LEASE, BEGAN_B))) == "b"


def test_every_decision_of_the_holder_is_a_sign_of_life() -> None:
    assert holder(ledger((0, BEGAN_A), (LEASE - 1, sent("a")), (LEASE, BEGAN_B))) == "a"


def test_decisions_of_another_run_are_no_sign_of_life_of_the_holder() -> None:
    assert holder(ledger((0, BEGAN_A), (LEASE - 1, sent("b")), (LEASE, BEGAN_B))) == "b"


def test_the_end_of_another_run_does_not_free_the_turn() -> None:
    assert holder(ledger((0, BEGAN_B), (1, ENDED_A))) == "b"


@pytest.mark.parametrize(
    ("said", "standing"),
    [(Said.SENT, Standing.REDRIVEN), (Said.DROPPED, Standing.DROPPED), (Said.SENDING, Standing.UNSURE)],
)
def test_a_letter_stands_as_was_last_said(said: Said, standing: Standing) -> None:
    target = Target("clicks", 0, 5) if said is Said.SENDING else None
    assert ledger((0, decision_record("a", "x", said, target))).standing("x") is standing


def test_sent_after_sending_is_sure() -> None:
    made = ledger((0, decision_record("a", "x", Said.SENDING, Target("clicks", 0, 5))), (1, sent("a")))
    assert (made.standing("x"), made.unsure) == (Standing.REDRIVEN, {})


def test_what_is_unsure_names_where_to_look() -> None:
    target = Target("clicks", 3, 5)
    assert ledger((0, decision_record("a", "x", Said.SENDING, target))).unsure == {"x": target}


def test_a_tombstone_takes_a_decision_back() -> None:
    made = ledger((0, sent("a")), (1, (b"x", None)))
    assert (made.standing("x"), made.decided()) == (None, set())


def test_compaction_changes_nothing() -> None:
    records = [
        (0, BEGAN_A),
        (1, decision_record("a", "x", Said.SENDING, Target("clicks", 0, 5))),
        (2, sent("a")),
        (3, ENDED_A),
        (4, BEGAN_B),
        (5, decision_record("b", "y", Said.SENDING, Target("clicks", 0, 6))),
    ]
    newest = {key: place for place, (_, (key, _)) in enumerate(records)}
    whole = ledger(*records)
    compacted = ledger(*(records[place] for place in sorted(newest.values())))
    assert (compacted.holder, compacted.standing("x"), compacted.unsure) == (
        whole.holder,
        whole.standing("x"),
        whole.unsure,
    )


@pytest.mark.parametrize(
    "record",
    [
        (b"x", b"{"),
        (b"x", b"[]"),
        (b"x", b'{"state":"sending"}'),
        (b"x", b'{"state":["sent"]}'),
        (b"x", b'{"state":"eaten"}'),
        (b"\x00run/a", b'{"state":"began","run":7}'),
        (b"\xff", b"{}"),
        (b"", None),
    ],
)
def test_a_record_that_makes_no_sense_decides_nothing(record: tuple[bytes, bytes | None]) -> None:
    made = ledger((0, record))
    assert (made.holder, made.standing("x"), made.decided()) == (None, None, set())


def test_a_record_without_a_key_is_passed_over() -> None:
    made = Ledger(LEASE)
    made.read(None, b"{}", at_ms=0)
    assert made.decided() == set()
