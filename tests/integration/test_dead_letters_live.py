"""A producer's bad day, from the worker that stops to the customers whose orders are there in the end.

One story on the embedded broker, told once; the tests look at what each chapter left.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main
from streams.core.events import DAY_MS
from streams.replay.connections import new_producer
from streams.replay.letters import DeadLetter
from streams.replay.outgoing import NOBODY, partition_of
from streams.replay.redrive_desk import StoredLetters
from streams.settings import Settings
from streams.topics import PURCHASES, topic_name
from tests.support.brokers import RunningBroker
from tests.support.fleets import Fleet, fleet_of
from tests.support.live_runs import wait_until
from tests.support.variables import variables

pytestmark = pytest.mark.timeout(600)  # the whole story is told in the first test's set-up

LIMIT = 10
NOW_MS = time.time_ns() // 1_000_000 // 60_000 * 60_000 - 30_000
"""All is published in one minute."""


@dataclass
class Told:
    """What a command printed."""

    code: int
    out: str
    err: str

    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Story:
    """What each chapter left."""

    settings: Settings
    exits: list[int] = field(default_factory=list)
    letters_after_stop: list[int] = field(default_factory=list)
    last_words: str = ""
    listed: Told = field(default_factory=lambda: Told(0, "", ""))
    listed_json: list[dict[str, Any]] = field(default_factory=list)
    piped: Told = field(default_factory=lambda: Told(0, "", ""))
    unasked: Told = field(default_factory=lambda: Told(0, "", ""))
    mended: Told = field(default_factory=lambda: Told(0, "", ""))
    mended_again: Told = field(default_factory=lambda: Told(0, "", ""))
    parking: list[Told] = field(default_factory=list)
    dropped: list[Told] = field(default_factory=list)
    shown: Told = field(default_factory=lambda: Told(0, "", ""))
    listed_last: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    too_late: list[DeadLetter] = field(default_factory=list)


def purchase(**fields: Any) -> dict[str, Any]:
    return {"ts": NOW_MS - 1_000, "item_id": "i", "quantity": 1, "price": 2.0, **fields}


FEED: list[tuple[bytes, bytes]] = [
    *((b"u0", json.dumps(purchase(user_id="u0", order_id=f"o{n}", event_id=f"e{n}")).encode()) for n in range(4)),
    *((b"u1", json.dumps(purchase(user_id="u1", order_id=f"p{n}", price=-3)).encode()) for n in range(8)),
    (b"u2", json.dumps(purchase(user_id="u2", price=-3, ts=NOW_MS - 300 * DAY_MS)).encode()),
    (b"u3", json.dumps(purchase(user_id="u3", price=-3, ts=NOW_MS - 400 * DAY_MS)).encode()),
    *((NOBODY, json.dumps(purchase(userId="u9", order_id=f"q{n}")).encode()) for n in range(6)),
    (NOBODY, b"{broken"),
]


def publish(settings: Settings) -> None:
    """All within one minute, also by the broker's clock."""
    time.sleep(max(0.0, time.time() % 60 - 50))
    producer = new_producer(settings, "test")
    for key, value in FEED:
        partition = partition_of(key, settings.partitions)
        producer.send(topic_name(PURCHASES, settings), key=key, value=value, partition=partition, timestamp_ms=NOW_MS)
    producer.flush(timeout=60)
    producer.close()


def ebbtide(*arguments: str) -> Told:
    """A command in this process, its output piped."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(["dead-letters", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Told(code, out.getvalue(), err.getvalue())


def stored(settings: Settings) -> list[DeadLetter]:
    """Each letter once: a worker that is stopped between its letters and its state writes them again."""
    return list({letter.id: letter for letter in StoredLetters(settings).read()}.values())


@pytest.fixture(scope="module")
def story(embedded_broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    settings = embedded_broker.settings(partitions=2, ack_timeout_s=10.0)
    with fleet_of(settings, folder) as fleet, pytest.MonkeyPatch.context() as patch:
        for name, value in variables(settings).items():
            patch.setenv(name, value)
        patch.chdir(folder)
        told = Story(settings)
        publish(settings)
        stop_twice(told, fleet)
        worker = fleet.start("shop", counting=False, environment={"EBBTIDE_DEAD_LETTER_LIMIT_SHARE": "1"})

        def until(reached: Any, what: str) -> None:
            wait_until(reached, what, [worker.log], 120)

        until(lambda: len(stored(settings)) == 17, "all that is broken is a dead letter")
        told.listed = ebbtide("list")
        told.listed_json = [json.loads(line) for line in ebbtide("list", "--json").lines()]
        told.piped = piped(folder)
        told.unasked = ebbtide("redrive", "--reason", "bad_price", "--set", "price=5")
        reasons = ("--reason", "bad_price", "--reason", "missing_user")
        mend = ("redrive", *reasons, "--set", "price=5", "--set", "user_id=@userId", "--yes")
        told.mended = ebbtide(*mend)
        told.mended_again = ebbtide(*mend)
        until(lambda: "too_late" in {one.reason for one in stored(settings)}, "what is 400 days old is too late again")
        for attempt in (1, 2, 3):
            told.parking.append(ebbtide("redrive", "--reason", "not_json", "--anyway", "--yes"))
            until(lambda n=attempt: n in failures(settings), "again")
        told.parking.append(ebbtide("redrive", "--reason", "not_json", "--anyway", "--yes"))
        told.shown = ebbtide("show", next(one.place for one in stored(settings) if one.attempts == 3))
        told.dropped = [ebbtide("redrive", "--reason", "too_late", "--drop", "--yes") for _ in range(2)]
        told.listed_last = [json.loads(line) for line in ebbtide("list", "--json").lines()]
        told.too_late = [one for one in stored(settings) if one.reason == "too_late"]
        assert worker.stop() == 0
        told.profiles = {user: profile(user) for user in ("u0", "u1", "u9", "u2")}
        yield told


def failures(settings: Settings) -> set[int]:
    """The attempts that the record which is no JSON has behind it."""
    return {one.attempts for one in stored(settings) if one.reason == "not_json"}


def stop_twice(told: Story, fleet: Fleet) -> None:
    """The limit lets nothing more through, however often the worker is started."""
    for _ in range(2):
        worker = fleet.start("shop", counting=False, environment={"EBBTIDE_DEAD_LETTER_LIMIT_PER_MINUTE": str(LIMIT)})
        told.exits.append(worker.wait(120))
        told.letters_after_stop.append(len(stored(told.settings)))
        told.last_words = worker.log.read_text().splitlines()[-1]


def piped(folder: Path) -> Told:
    command = [sys.executable, "-m", "streams.cli", "dead-letters", "list", "--each"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment())
    return Told(ended.returncode, ended.stdout, ended.stderr)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def profile(user: str) -> dict[str, Any]:
    out = io.StringIO()
    with redirect_stdout(out), suppress(SystemExit):
        main(["profile", user, "--json"])
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


# -- the worker that stops -------------------------------------------------------------------------------------------


def test_a_worker_stops_rather_than_throw_a_broken_feed_away(story: Story) -> None:
    assert story.exits == [1, 1]
    assert max(story.letters_after_stop) <= LIMIT


def test_started_again_it_stops_again_and_throws_nothing_more_away(story: Story) -> None:
    assert story.letters_after_stop[1] <= LIMIT


def test_it_says_how_many_why_where_and_how_to_go_on(story: Story) -> None:
    assert re.search(r"CRITICAL .* of [0-9]+ records of purchases published in the minute from", story.last_words)
    assert re.search(r"purchases, partition [01], offset [0-9]+ on nothing was acknowledged", story.last_words)
    assert "EBBTIDE_DEAD_LETTER_LIMIT_SHARE=1" in story.last_words


# -- list ------------------------------------------------------------------------------------------------------------


def test_letters_are_counted_by_reason_with_an_example(story: Story) -> None:
    assert story.listed.lines()[0].split() == (
        ["reason", "from", "open", "parked", "redriven", "dropped", "first", "last", "example", "which", "says"]
    )
    assert {tuple(line.split()[:3]) for line in story.listed.lines()[1:]} == {
        ("bad_price", "purchases", "10"),
        ("missing_user", "purchases", "6"),
        ("not_json", "purchases", "1"),
    }


def test_a_script_gets_one_object_a_line(story: Story) -> None:
    assert {(one["reason"], one["topic"], one["open"]) for one in story.listed_json} == {
        ("bad_price", "purchases", 10),
        ("missing_user", "purchases", 6),
        ("not_json", "purchases", 1),
    }


def test_piped_each_letter_is_one_plain_line(story: Story) -> None:
    assert (story.piped.code, story.piped.err) == (0, "")
    assert len({line.split("  ", 2)[2] for line in story.piped.lines()}) == 17
    assert "\x1b" not in story.piped.out
    assert all(re.match(r"[01]:[0-9]+  20", line) for line in story.piped.lines())


# -- redrive ---------------------------------------------------------------------------------------------------------


def test_without_a_terminal_nothing_is_done_unless_yes_is_said(story: Story) -> None:
    assert story.unasked.code == 2
    assert "bad_price  purchases                 10               0" in story.unasked.out
    assert "--yes" in story.unasked.err


def test_the_table_and_before_and_after_come_first(story: Story) -> None:
    assert "price: -3 -> 5" in story.mended.out
    assert story.mended.lines()[-1] == "16 records sent again: purchases 16."


def test_a_second_time_there_is_nothing_to_send(story: Story) -> None:
    assert story.mended_again.lines() == ["Nothing to redrive.", "Left out: 16 redriven."]


def test_the_orders_of_the_bad_day_count_once(story: Story) -> None:
    totals = {user: (body["totals"]["orders"], body["totals"]["amount"]) for user, body in story.profiles.items()}
    assert totals == {"u0": (4, 8.0), "u1": (8, 40.0), "u9": (6, 30.0), "u2": (1, 5.0)}


def test_what_is_too_late_even_so_is_a_dead_letter_again_with_its_attempt(story: Story) -> None:
    assert [(one.key, one.topic, one.attempts) for one in story.too_late] == [(b"u3", "purchases", 1)]


def test_the_third_failure_parks(story: Story) -> None:
    assert [told.lines()[-1] for told in story.parking[:3]] == ["1 record sent again: purchases 1."] * 3
    assert story.parking[3].lines() == [
        "Nothing to redrive.",
        "Left out: 1 parked, 3 redriven. --parked offers parked ones.",
    ]


def test_a_letter_is_shown_whole(story: Story) -> None:
    assert "parked, 3 of 3 redrives failed" in story.shown.out
    assert story.shown.lines()[-1] == "{broken"


def test_what_is_dropped_is_never_offered_again(story: Story) -> None:
    assert [told.lines()[-1] for told in story.dropped] == ["1 letter dropped.", "Left out: 1 dropped."]


def test_in_the_end_everything_is_decided(story: Story) -> None:
    ends = Counter[str]()
    for one in story.listed_last:
        ends.update({state: one[state] for state in ("open", "parked", "redriven", "dropped", "unsure")})
    assert ends == {"open": 0, "parked": 1, "redriven": 19, "dropped": 1, "unsure": 0}
