"""What owners say of held outputs, what is decided about them, and what the command shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.cli.app import main
from streams.core.errors import UnknownHoldError
from streams.core.output_hold import Hold
from streams.hold_notices import DISCARD, RELEASE, decision_notice, hold_notice
from streams.live.exits import Exits
from streams.live.hold_feed import HoldFeed
from streams.live.metering import Metering
from streams.metrics.registry import new_metrics
from streams.replay import output_holds
from streams.replay.output_holds import PartitionHold, chosen, wait_until_settled
from streams.settings import Settings

HOLD = Hold(
    id=7,
    tripped_ms=1_700_000_000_000,
    minute_ms=1_699_999_980_000,
    users=80,
    changed=60,
    share=0.5,
    transitions=(("visitor", "new_customer", 59), ("growing", "churned", 1)),
    portraits_from=3,
    first=10,
    next=1_244,
    count=1_234,
)


def partition_hold(partition: int, decision: str | None = None) -> PartitionHold:
    return PartitionHold(partition, HOLD.id, hold_notice(partition, HOLD, None)[1], decision)


def settled(partition: int, decision: str) -> PartitionHold:
    return PartitionHold(partition, None, hold_notice(partition, None, (HOLD, decision))[1])


@pytest.fixture
def feed() -> HoldFeed:
    return HoldFeed(Settings(), Exits(lambda code: None))


def taken(feed: HoldFeed, notice: tuple[bytes, dict[str, Any]]) -> None:
    feed.take(notice[0], json.dumps(notice[1]).encode())


def test_a_decision_is_about_the_hold_it_names(feed: HoldFeed) -> None:
    taken(feed, decision_notice(3, 7, RELEASE, 0))
    assert (feed.decision(3, 7), feed.decision(3, 8), feed.decision(4, 7)) == (RELEASE, None, None)


def test_the_last_decision_counts(feed: HoldFeed) -> None:
    taken(feed, decision_notice(3, 7, RELEASE, 0))
    taken(feed, decision_notice(3, 7, DISCARD, 1))
    assert feed.decision(3, 7) == DISCARD


def test_the_feed_knows_what_the_topic_says_of_a_partition(feed: HoldFeed) -> None:
    assert feed.told(3) is None
    taken(feed, hold_notice(3, HOLD, None))
    assert feed.told(3) == 7
    taken(feed, hold_notice(3, None, (HOLD, RELEASE)))
    assert feed.told(3) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"{",
        b"[]",
        b'{"type":"hold"}',
        b'{"type":"decision","partition":3,"hold":7,"decision":"burn"}',
        b'{"type":"decision","partition":3,"hold":null,"decision":"release"}',
        b'{"type":"decision","partition":"x","hold":7,"decision":"release"}',
    ],
)
def test_what_is_no_notice_is_passed_over(feed: HoldFeed, value: bytes | None) -> None:
    feed.take(b"k", value)
    assert (feed.decision(3, 7), feed.told(3)) == (None, None)


def test_all_that_hold_are_chosen_where_none_is_named() -> None:
    holds = [partition_hold(1), settled(2, RELEASE), partition_hold(3)]
    assert [one.partition for one in chosen(holds, [])] == [1, 3]
    assert [one.partition for one in chosen(holds, [3, 3])] == [3]


def test_a_named_partition_that_holds_nothing_is_refused() -> None:
    with pytest.raises(UnknownHoldError, match=r"Partition 2 holds no outputs\. Those that do: 1\."):
        chosen([partition_hold(1), settled(2, RELEASE)], [2])


def test_waiting_ends_when_every_hold_has(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [[partition_hold(1), partition_hold(2)], [settled(1, RELEASE), partition_hold(2)]]
    answers.append([settled(1, RELEASE), settled(2, RELEASE)])
    monkeypatch.setattr(output_holds, "standing", lambda settings: answers.pop(0))
    waited = wait_until_settled(
        Settings(), [partition_hold(1), partition_hold(2)], 60, clock=lambda: 0, sleep=lambda seconds: None
    )
    assert {partition: how["outputs"] for partition, how in waited.items()} == {1: 1_234, 2: 1_234}


def test_waiting_ends_with_the_time_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_holds, "standing", lambda settings: [partition_hold(1)])
    assert wait_until_settled(Settings(), [partition_hold(1)], 0, clock=lambda: 0) == {}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["outputs", *arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_the_command_shows_why_each_partition_holds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    holds = [partition_hold(1), settled(2, RELEASE), partition_hold(3, DISCARD)]
    monkeypatch.setattr(output_holds, "standing", lambda settings: holds)
    code, out, _ = run(capsys)
    assert code == 0
    lines = [line.split("  ") for line in out.splitlines()]
    assert [[cell.strip() for cell in line if cell] for line in lines[1:]] == [
        ["1", "2023-11-14 22:13", "80", "60", "75%", "1,234", "visitor → new customer 59, growing → churned 1", "held"],
        [
            *("3", "2023-11-14 22:13", "80", "60", "75%", "1,234", "visitor → new customer 59, growing → churned 1"),
            "discard is decided",
        ],
    ]


def test_the_command_says_when_nothing_is_held(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_holds, "standing", lambda settings: [settled(2, RELEASE)])
    assert run(capsys)[1] == "Nothing is held.\n"
    assert run(capsys, "release")[:2] == (0, "Nothing is held.\n")


def test_a_script_gets_one_object_a_partition(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_holds, "standing", lambda settings: [partition_hold(1)])
    body = json.loads(run(capsys, "--json")[1])
    assert (body["partition"], body["hold"], body["share"], body["decision"]) == (1, 7, 0.75, None)


def test_deciding_says_what_was_carried_out_and_what_waits_for_a_worker(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [[partition_hold(1), partition_hold(2)], [settled(1, DISCARD), partition_hold(2)]]
    decided: list[tuple[int, str]] = []
    monkeypatch.setattr(output_holds, "standing", lambda settings: answers.pop(0))
    monkeypatch.setattr(
        output_holds,
        "decide",
        lambda settings, holds, decision, now_ms: decided.extend((one.partition, decision) for one in holds),
    )
    code, out, err = run(capsys, "discard", "--wait", "0")
    assert decided == [(1, DISCARD), (2, DISCARD)]
    assert (code, out) == (0, "partition 1: discarded 1,234 outputs\n")
    assert err.startswith("partition 2: discard is decided and will be carried out once a worker owns it")


def test_the_metrics_say_that_a_partition_holds_and_how_much() -> None:
    metrics = new_metrics()
    metering = Metering(metrics)
    metering.holding(3, True, 12)
    metering.holding(3, True, 5)
    value = metrics.registry.get_sample_value
    assert value("ebbtide_outputs_held", {"partition": "3"}) == 1
    assert value("ebbtide_held_outputs_total") == 17
    metering.holding(3, False, 0)
    assert value("ebbtide_outputs_held", {"partition": "3"}) == 0
