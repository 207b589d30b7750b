"""A redrive killed or frozen at any step, run twice, run twice at once: no letter sent twice, none forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

from streams.core.errors import RedriveError
from streams.dead_letters import ATTEMPT_HEADER
from streams.replay.letters import DeadLetter, Standing, Wanted
from streams.replay.redrive import Redrive
from streams.replay.redrive_ledger import Ledger
from streams.replay.redrive_plan import Choice, RedriveReport, carry_out, plan
from tests.support.redrive_desks import DeskInMemory, Killed, World, a_letter, mending

LEASE = 60_000
LETTERS = [a_letter(offset, partition=offset % 2) for offset in range(6)]
_runs = count()

AtStep = Callable[[int], None]


def run(
    world: World,
    at_step: AtStep = lambda step: None,
    *,
    letters: list[DeadLetter] = LETTERS,
    assignments: tuple[str, ...] = ("price=0",),
    wanted: Wanted = Wanted(),  # noqa: B008 (frozen)
    offered: frozenset[Standing] = frozenset({Standing.OPEN}),
    drop: bool = False,
    anyway: bool = False,
    rate: float | None = 2,
    forget: bool = False,
    desk: DeskInMemory | None = None,
) -> RedriveReport:
    """A redrive from beginning to end, in portions of two."""
    desk = desk or DeskInMemory(world, at_step)
    with Redrive(desk, f"run{next(_runs)}", LEASE, now_ms=lambda: world.now_ms, sleep=world.sleep) as redrive:
        return carry_out(
            redrive,
            letters,
            Choice(wanted, redrive.ledger, offered),
            None if drop else mending(*assignments),
            anyway=anyway,
            rate=rate,
            forget=forget,
            clock=lambda: world.now_ms / 1000,
            sleep=world.sleep,
        )


def kill_at(wanted: int) -> AtStep:
    def at_step(step: int) -> None:
        if step >= wanted:  # nor does it clear up
            raise Killed

    return at_step


def steps_of_a_whole_run() -> int:
    desk = DeskInMemory(World())
    run(desk.world, desk=desk)
    return desk.steps


STEPS = range(1, steps_of_a_whole_run() + 1)
ONCE = Counter(letter.id for letter in LETTERS)


def test_every_letter_is_sent() -> None:
    world = World()
    report = run(world)
    assert (report.sent, Counter(world.sent())) == (Counter(purchases=6), ONCE)


def test_a_second_time_nothing_is_sent() -> None:
    world = World()
    run(world)
    assert run(world).sent.total() == 0
    assert Counter(world.sent()) == ONCE


def test_a_letter_that_stands_there_twice_is_sent_once() -> None:
    world = World()
    run(world, letters=[*LETTERS, LETTERS[0]._replace(offset=99)])
    assert Counter(world.sent()) == ONCE


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_and_run_again_every_letter_was_sent_once(step: int) -> None:
    world = World()
    with pytest.raises(Killed):
        run(world, kill_at(step))
    run(world)
    assert Counter(world.sent()) == ONCE
    assert run(world).sent.total() == 0


@pytest.mark.parametrize("step", STEPS)
def test_killed_twice_in_a_row(step: int) -> None:
    world = World()
    for _ in range(2):
        with pytest.raises(Killed):
            run(world, kill_at(min(step, 5)))
    run(world)
    assert Counter(world.sent()) == ONCE


def test_what_a_killed_run_had_sent_is_told() -> None:
    world = World()
    for step in STEPS:
        desk = DeskInMemory(world)
        with pytest.raises(Killed):
            run(world, kill_at(step), letters=LETTERS[:1])
        if len(world.sent()) == 1:
            break
    report = run(world, letters=LETTERS[:1], desk=desk)
    assert (report.found, report.sent.total()) == (1, 0)


@pytest.mark.parametrize("step", STEPS[1:])  # before its first record the first has not begun
def test_another_that_begins_meanwhile_is_refused(step: int) -> None:
    """The first goes on while the second waits for its lease to run out."""
    world = World()
    refused: list[str] = []

    def at_step(now: int) -> None:
        if now == step:
            with pytest.raises(RedriveError) as caught:
                second.__enter__()
            refused.append(str(caught.value))

    first = DeskInMemory(world, at_step)

    def wait(seconds: float) -> None:
        world.sleep(seconds)
        # the first gives a sign of life in every second of waiting
        first.world.ledger.append(type(world.ledger[0])(b"other", sign_of_life(), world.now_ms))

    def sign_of_life() -> bytes:
        began = next(entry.value for entry in world.ledger if (entry.key or b"").startswith(b"\0run/"))
        return (began or b"").replace(b"began", b"sent")

    second = Redrive(DeskInMemory(world), "second", LEASE, now_ms=lambda: world.now_ms, sleep=wait)
    run(world, desk=first)
    assert refused == ["Another redrive is at work. Once it is done, run the same command again."]
    assert Counter(world.sent()) == ONCE


@pytest.mark.parametrize("step", STEPS)
def test_one_frozen_at_any_step_does_not_send_what_another_has_sent_meanwhile(step: int) -> None:
    """Only while it is in the middle of sending may a letter go out twice: with the same bytes, and so the same id."""
    world = World()
    frozen_while_sending: list[bool] = []

    def freeze(now: int) -> None:
        if now == step:
            frozen_while_sending.append(desk.sending)
            run(world)

    desk = DeskInMemory(world, freeze)
    with suppress(RedriveError):  # "Another redrive has begun"
        run(world, desk=desk)
    assert set(world.sent()) == set(ONCE)
    if frozen_while_sending == [False]:
        assert Counter(world.sent()) == ONCE
    else:
        values = {message.letter.id: set[bytes | None]() for messages in world.inputs.values() for message in messages}
        for messages in world.inputs.values():
            for message in messages:
                values[message.letter.id].add(message.value)
        assert all(len(different) == 1 for different in values.values())


def test_a_run_that_ended_leaves_the_turn_to_the_next_at_once() -> None:
    world = World()
    run(world)
    before = world.now_ms
    run(world, rate=None)
    assert world.now_ms - before < 1_000


def test_a_killed_run_is_waited_for_no_longer_than_the_lease() -> None:
    world = World()
    with pytest.raises(Killed):
        run(world, kill_at(2))
    before = world.now_ms
    run(world, rate=None)
    assert LEASE <= world.now_ms - before <= LEASE + 1_000


# -- choice ----------------------------------------------------------------------------------------------------------


def test_dropped_letters_are_never_offered_again_and_nothing_is_sent() -> None:
    world = World()
    assert run(world, drop=True).dropped == 6
    assert (run(world).sent.total(), world.sent()) == (0, [])


def test_what_would_be_rejected_again_stays() -> None:
    world = World()
    report = run(world, assignments=())
    assert (report.refused, world.sent()) == (6, [])


def test_what_would_be_rejected_again_is_sent_anyway_if_asked() -> None:
    assert run(World(), assignments=(), anyway=True).sent.total() == 6


def test_a_cut_record_is_never_sent() -> None:
    world = World()
    run(world, letters=[LETTERS[0]._replace(cut=True), LETTERS[1]._replace(topic=None)], anyway=True)
    assert world.sent() == []


def test_parked_letters_are_sent_only_if_asked_for() -> None:
    parked = [a_letter(9, headers=[(ATTEMPT_HEADER, b"3")])]
    assert run(World(), letters=parked).sent.total() == 0
    assert run(World(), letters=parked, offered=frozenset(Standing)).sent.total() == 1


def test_only_letters_that_were_asked_for_are_sent() -> None:
    world = World()
    run(world, wanted=Wanted(partition=0, to_offset=2))
    assert world.sent() == [LETTERS[0].id, LETTERS[2].id]


def test_letters_that_came_after_the_plan_are_not_sent() -> None:
    world = World()
    ledger = Ledger(LEASE)
    planned = plan(LETTERS[:4], Choice(Wanted(), ledger), mending("price=0"))
    choice = Choice(Wanted(), ledger, upto=planned.upto)
    assert [letter.offset for letter in LETTERS if choice.takes(letter)] == [0, 1, 2, 3]
    assert world.sent() == []


def test_the_plan_counts_what_would_be_accepted_and_what_would_not() -> None:
    letters = [*LETTERS, a_letter(8, b"{", reason="not_json"), a_letter(9, headers=[(ATTEMPT_HEADER, b"3")])]
    made = plan(letters, Choice(Wanted(), Ledger(LEASE)), mending("price=0"))
    assert {name: (row.accepted, dict(row.again)) for name, row in made.rows.items()} == {
        ("bad_price", "purchases"): (6, {}),
        ("not_json", "purchases"): (0, {"not_json": 1}),
    }
    assert made.left_out == Counter({Standing.PARKED: 1})


def test_the_rate_is_kept() -> None:
    world = World()
    run(world, rate=2)
    before = world.now_ms
    run(world, letters=[a_letter(offset) for offset in range(100, 110)], rate=2)
    assert world.now_ms - before >= 5_000


def test_the_ledger_forgets_nothing_while_retention_has_deleted_nothing() -> None:
    world = World()
    run(world)
    run(world, letters=[])
    assert run(world).sent.total() == 0


def test_the_ledger_forgets_letters_that_retention_has_deleted() -> None:
    world = World()
    run(world)
    run(world, letters=LETTERS[4:], forget=True)
    newest = {entry.key: entry.value for entry in world.ledger if not (entry.key or b"").startswith(b"\0")}
    assert {key for key, value in newest.items() if value is not None} == {one.id.encode() for one in LETTERS[4:]}
