"""Libraries are heard once a minute, and not at all during an outage; we are always heard."""

from __future__ import annotations

import logging

import pytest

from streams.live.quiet import OnceAMinute


class Heard:
    """What passes, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.quiet = OnceAMinute(clock=lambda: self.now)

    def says(self, name: str, template: str, *args: object, level: int = logging.ERROR) -> str | None:
        record = logging.LogRecord(name, level, "", 0, template, args, None)
        return record.getMessage() if self.quiet.filter(record) else None


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_a_message_of_a_library_passes_once_a_minute_whatever_its_arguments(heard: Heard) -> None:
    assert heard.says("aiokafka", "no node %d", 1) == "no node 1"
    assert heard.says("aiokafka", "no node %d", 2) is None


def test_after_a_minute_it_says_how_many_were_left_out(heard: Heard) -> None:
    for number in range(4):
        heard.says("aiokafka", "no node %d", number)
    heard.now = 60.0
    assert heard.says("aiokafka", "no node %d", 9) == "no node 9 (and 3 more like it)"


def test_another_message_passes(heard: Heard) -> None:
    heard.says("aiokafka", "no node")
    assert heard.says("aiokafka", "no leader") == "no leader"


def test_during_an_outage_libraries_are_silent(heard: Heard) -> None:
    heard.quiet.away = lambda: True
    assert heard.says("aiokafka.consumer.fetcher", "no node") is None


def test_what_is_critical_always_passes(heard: Heard) -> None:
    heard.quiet.away = lambda: True
    assert heard.says("mode", "ends", level=logging.CRITICAL) == "ends"


def test_we_are_always_heard(heard: Heard) -> None:
    heard.quiet.away = lambda: True
    assert heard.says("streams.live.reach", "away") == "away"
    assert heard.says("streams.live.reach", "away") == "away"
