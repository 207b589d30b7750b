"""Outputs held, released and discarded, in memory; with a crash at every record that is appended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from streams.core.errors import StateError
from streams.core.events import DAY_MS, Event
from streams.core.output_hold import Hold, Holding, decode_holding, encode_holding
from streams.live import output_gate
from streams.live.observer import Observer
from tests.support.guarded_partition import DECIDED, Crash, Decisions, GuardedPartition, Kafka
from tests.support.partition_runs import POLICY
from tests.support.worlds import START, click, purchase

USERS = [f"u{number}" for number in range(8)]
LATER = START + DAY_MS


def day() -> list[Event]:
    """A click each; nobody changes stage."""
    return [click(START + number, user, offset=number, event_id=f"c{number}") for number, user in enumerate(USERS)]


def bad() -> list[Event]:
    """An order for everybody within a second, that nobody gave."""
    return [
        purchase(LATER + number, user, offset=number, event_id=f"p{number}", order=f"o{number}")
        for number, user in enumerate(USERS)
    ]


def worse() -> list[Event]:
    """A second one, while outputs are held."""
    return [
        purchase(LATER + 10_000 + number, user, offset=20 + number, event_id=f"w{number}", order=f"w{number}")
        for number, user in enumerate(USERS)
    ]


def after() -> list[Event]:
    """Next day, half of them order again."""
    return [
        purchase(
            LATER + DAY_MS + number * 120_000, user, offset=100 + number, event_id=f"q{number}", order=f"r{number}"
        )
        for number, user in enumerate(USERS[:4])
    ]


SLICES: list[list[Event]] = [day(), bad()[:3], bad()[3:6], bad()[6:], worse(), after()]


def without_breaker() -> Kafka:
    kafka = Kafka()

    async def life() -> None:
        partition = await GuardedPartition.born(kafka, Decisions(), writer=1, share=1.0)
        for events in SLICES:
            await partition.apply(events)
        await partition.owner.flush_portraits()

    asyncio.run(life())
    return kafka


def portraits(kafka: Kafka) -> dict[str, dict[str, Any]]:
    return {body["user_id"]: body for body in kafka.bodies("user-profiles")}


async def live(kafka: Kafka, decisions: Decisions, slices: Sequence[Sequence[Event]] = SLICES) -> GuardedPartition:
    partition = await GuardedPartition.born(kafka, decisions, writer=1)
    for events in slices:
        await partition.apply(events)
    return partition


def test_from_the_slice_in_which_it_trips_outputs_are_held_and_state_goes_on() -> None:
    kafka = Kafka()
    partition = asyncio.run(live(kafka, Decisions()))
    plain = without_breaker()
    hold = partition.gate.hold
    assert hold is not None
    # The first three orders of the minute were told; with the fourth user there were enough to say something.
    assert (hold.users, hold.changed, hold.transitions) == (8, 8, (("visitor", "growing", 8),))
    assert {body["user_id"] for body in kafka.bodies("churn-risk")} == set(USERS[:3])
    told, held = kafka.ids(*DECIDED), kafka.ids("held-outputs")
    assert set(told).isdisjoint(held)
    assert sorted(told + held) == sorted(plain.ids(*DECIDED))
    assert partition.engine.stages["growing"] == 8


def test_what_is_released_is_all_that_a_run_without_breaker_tells_in_its_order_with_its_headers() -> None:
    kafka, decisions, plain = Kafka(), Decisions(), without_breaker()

    async def life() -> None:
        partition = await live(kafka, decisions)
        decisions.decided = "release"
        assert await partition.decide()
        assert not partition.gate.holds
        assert not await partition.decide()

    asyncio.run(life())
    for name in DECIDED:
        assert kafka.topics[name] == plain.topics[name]


def test_portraits_wait_and_are_those_of_today_after_a_release() -> None:
    kafka, decisions, plain = Kafka(), Decisions(), without_breaker()

    async def life() -> None:
        partition = await live(kafka, decisions)
        await partition.owner.flush_portraits()
        assert {body["lifecycle"]["stage"] for body in kafka.bodies("user-profiles")} == {"visitor"}
        decisions.decided = "release"
        await partition.decide()

    asyncio.run(life())
    assert portraits(kafka) == portraits(plain)


def test_who_is_forgotten_while_outputs_are_held_is_forgotten_at_once() -> None:
    kafka = Kafka()

    async def life() -> None:
        partition = await live(kafka, Decisions())
        await partition.advance(LATER + 800 * DAY_MS)
        await partition.owner.flush_portraits()

    asyncio.run(life())
    assert {message.key for message in kafka.topics["user-profiles"] if message.value is None} == {
        user.encode() for user in USERS
    }


def test_what_is_discarded_is_never_told_and_the_next_change_starts_from_what_was() -> None:
    kafka, decisions = Kafka(), Decisions()

    async def life() -> None:
        partition = await live(kafka, decisions, SLICES[:5])
        held = set(kafka.ids("held-outputs"))
        decisions.decided = "discard"
        assert await partition.decide()
        await partition.apply(after())
        assert held.isdisjoint(kafka.ids(*DECIDED))

    asyncio.run(life())
    world: dict[str, str | None] = {}
    for body in kafka.bodies("segment-changes"):
        if body["dimension"] == "lifecycle":
            assert body["previous"] == world.get(body["user_id"])
            world[body["user_id"]] = body["current"]
    assert [world[user] for user in USERS[:4]] == ["growing"] * 4


def test_what_was_released_does_not_trip_again_while_it_goes_on() -> None:
    kafka, decisions = Kafka(), Decisions()

    async def life() -> None:
        partition = await live(kafka, decisions, SLICES[:3])
        decisions.decided = "release"
        await partition.decide()
        more = [click(LATER + 60_000 + n, f"n{n}", offset=200 + n) for n in range(8)]
        orders = [purchase(LATER + 61_000 + n, f"n{n}", offset=200 + n) for n in range(8)]
        await partition.apply(more)
        await partition.apply(orders)
        assert not partition.gate.holds
        assert (await GuardedPartition.born(kafka, decisions, writer=2)).gate.writes() == []

    asyncio.run(life())


def test_the_next_owner_holds_on_and_decides() -> None:
    kafka, decisions, plain = Kafka(), Decisions(), without_breaker()

    async def life() -> None:
        before = (await live(kafka, decisions, SLICES[:5])).gate.hold
        heir = await GuardedPartition.born(kafka, decisions, writer=2)
        assert heir.gate.hold == before
        await heir.apply(after())
        decisions.decided = "release"
        await heir.decide()

    asyncio.run(life())
    assert sorted(kafka.ids(*DECIDED)) == sorted(plain.ids(*DECIDED))


def test_a_decision_about_another_hold_decides_nothing() -> None:
    kafka, decisions = Kafka(), Decisions()
    decisions.decided, decisions.about = "release", 1

    async def life() -> None:
        partition = await live(kafka, decisions)
        assert not await partition.decide()
        assert partition.gate.holds

    asyncio.run(life())


def test_a_stopping_owner_leaves_the_rest_of_the_release_to_the_next() -> None:
    kafka, decisions, plain = Kafka(), Decisions(), without_breaker()

    async def life() -> None:
        partition = await live(kafka, decisions)
        decisions.decided = "release"
        partition.owner.release()
        assert await partition.decide()
        assert partition.gate.holds
        heir = await GuardedPartition.born(kafka, decisions, writer=2)
        await heir.decide()

    asyncio.run(life())
    for name in DECIDED:
        assert kafka.topics[name] == plain.topics[name]


async def lives(kafka: Kafka, decision: str, crash_at: int) -> GuardedPartition:
    """The whole story with a crash once so many records were appended, then everything again."""
    decisions = Decisions()
    kafka.lives = crash_at

    async def story(writer: int) -> GuardedPartition:
        partition = await GuardedPartition.born(kafka, decisions, writer=writer)
        for events in SLICES[:5]:
            await partition.decide()
            await partition.apply(events)
        if partition.gate.holds:
            decisions.decided = decision
        await partition.decide()
        await partition.apply(after())
        await partition.owner.flush_portraits()
        return partition

    try:
        partition = await story(1)
    except Crash:
        kafka.lives = None
        partition = await story(2)
    kafka.lives = None
    if partition.gate.holds:  # the crash made the next owner count the minute anew, and hold later
        decisions.decided, decisions.about = decision, None
        await partition.decide()
    return partition


def records_appended(decision: str) -> int:
    kafka = Kafka()
    asyncio.run(lives(kafka, decision, 10**9))
    return kafka.appended


def test_killed_at_any_record_a_release_leaves_nothing_out() -> None:
    plain = without_breaker()
    for crash_at in range(records_appended("release")):
        kafka = Kafka()
        asyncio.run(lives(kafka, "release", crash_at))
        assert set(kafka.ids(*DECIDED)) == set(plain.ids(*DECIDED)), crash_at
        assert kafka.known() == plain.known(), crash_at
        assert portraits(kafka) == portraits(plain), crash_at


def test_killed_at_any_record_a_discard_leaves_every_user_where_the_world_believes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output_gate, "AT_ONCE", 7)
    for crash_at in range(records_appended("discard")):
        kafka = Kafka()
        partition = asyncio.run(lives(kafka, "discard", crash_at))
        known = kafka.known()
        for user in USERS:
            profile = partition.engine._profiles.find(user)
            assert profile is not None
            assert profile.delivery.stage == STAGES.index(known[user, "lifecycle"]), (crash_at, user)


STAGES = ("visitor", "activated", "new_customer", "growing")


@pytest.mark.parametrize("mended_first", [False, True])
def test_a_wrong_policy_is_held_whole_and_discarded_leaves_no_trace_once_mended(mended_first: bool) -> None:
    kafka, decisions = Kafka(), Decisions()
    stages = msgspec.structs.replace(POLICY.stages, at_risk_gaps=0.1)
    wrong = msgspec.structs.replace(POLICY, version="wrong", stages=stages)

    async def life() -> None:
        first = await GuardedPartition.born(kafka, decisions, writer=1, share=1.0)
        for events in SLICES[:5]:
            await first.apply(events)
        await first.advance(LATER + 9 * DAY_MS)
        told = kafka.ids(*DECIDED)
        second = await GuardedPartition.born(kafka, decisions, writer=2, policy=wrong)
        await second.advance(LATER + 9 * DAY_MS + 1)
        assert second.gate.hold is not None
        assert second.gate.hold.transitions == (("growing", "at_risk", 8),)
        assert len(kafka.ids("held-outputs")) >= len(USERS)
        if not mended_first:
            decisions.decided = "discard"
            await second.decide()
        third = await GuardedPartition.born(kafka, decisions, writer=3)
        await third.advance(LATER + 9 * DAY_MS + 2)
        decisions.decided = "discard"
        await third.decide()
        assert not third.gate.holds
        later = [click(LATER + 9 * DAY_MS + 3 + n, user, offset=90 + n) for n, user in enumerate(USERS)]
        await third.apply(later)
        assert kafka.ids(*DECIDED) == told

    asyncio.run(life())


class Listening(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[bool, int]] = []

    def holding(self, partition: int, holds: bool, outputs: int) -> None:
        self.heard.append((holds, outputs))


def test_metrics_hear_when_it_holds_how_much_and_when_it_ends() -> None:
    kafka, decisions, observer = Kafka(), Decisions(), Listening()

    async def life() -> None:
        partition = await GuardedPartition.born(kafka, decisions, writer=1, observer=observer)
        for events in SLICES:
            await partition.apply(events)
        decisions.decided = "release"
        await partition.decide()

    asyncio.run(life())
    assert observer.heard[0] == (False, 0)
    assert observer.heard[-1] == (False, 0)
    assert all(holds for holds, _ in observer.heard[1:-1])
    assert sum(outputs for _, outputs in observer.heard) == len(kafka.ids("held-outputs"))


def test_the_owner_says_what_it_holds_until_it_is_heard_and_how_it_ended() -> None:
    kafka, decisions = Kafka(), Decisions()

    async def life() -> None:
        partition = await GuardedPartition.born(kafka, decisions, writer=1)
        await partition.gate.say()
        assert "output-holds" not in kafka.topics
        for events in SLICES:
            await partition.apply(events)
        await partition.gate.say()
        await partition.gate.say()
        hold = partition.gate.hold
        assert hold is not None
        decisions.says = hold.id
        await partition.gate.say()
        decisions.decided = "release"
        await partition.decide()

    asyncio.run(life())
    first, last = kafka.bodies("output-holds")
    assert (first["users"], first["changed"], first["outputs"]) == (8, 8, len(kafka.ids("held-outputs")))
    assert (last["hold"], last["settled"]["decision"]) == (None, "release")


def hold() -> Hold:
    return Hold(id=7, tripped_ms=1, minute_ms=0, users=80, changed=60, share=0.5, transitions=(), portraits_from=3)


def test_a_hold_survives_storing() -> None:
    holding = Holding(hold=hold(), trusted=True)
    assert decode_holding(encode_holding(holding)) == holding


def test_nothing_stored_is_nothing_held() -> None:
    assert decode_holding(None) == Holding()


@pytest.mark.parametrize("raw", [b"{", b'{"version": 99}', b'{"hold": 3}'])
def test_a_hold_that_is_damaged_or_newer_is_refused(raw: bytes) -> None:
    with pytest.raises(StateError):
        decode_holding(raw)
