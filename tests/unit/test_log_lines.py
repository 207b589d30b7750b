"""Above DEBUG a log shows where a fault lies and of which kind it is, never what was in a record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
from aiokafka.errors import KafkaError

from streams.codec import CodecError, decode
from streams.core.errors import StateError
from streams.live.exits import BUG_EXIT_CODE, Exits
from streams.live.log_lines import DiscreetFormatter, told_by_loop, trace_of

MARKER = "ann@example.com"


@pytest.fixture(autouse=True)
def info() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(level)


def stumble(value: str) -> None:
    known: dict[str, int] = {}
    known[value]


def caught(value: str = MARKER) -> Exception:
    try:
        stumble(value)
    except KeyError as error:
        return error
    raise AssertionError


def test_a_fault_shows_its_lines_of_code_and_its_kind_and_not_its_message() -> None:
    shown = trace_of(caught())
    assert "in stumble" in shown
    assert "    known[value]" in shown
    assert "KeyError: (message left out" in shown
    assert MARKER not in shown


def test_the_faults_behind_it_are_as_discreet() -> None:
    try:
        try:
            stumble(MARKER)
        except KeyError as first:
            raise ValueError(MARKER) from first
    except ValueError as error:
        shown = trace_of(error)
    assert shown.index("KeyError") < shown.index("ValueError")
    assert MARKER not in shown


def test_a_fault_on_top_of_another_shows_both() -> None:
    try:
        try:
            stumble(MARKER)
        except KeyError:
            raise ValueError(MARKER)  # noqa: B904 (on top of it, not because of it)
    except ValueError as error:
        shown = trace_of(error)
    assert {"KeyError", "ValueError"} <= {line.partition(":")[0] for line in shown.splitlines()}


def test_a_group_shows_each_of_its_faults() -> None:
    shown = trace_of(ExceptionGroup(MARKER, [caught(), ValueError(MARKER)]))
    assert "error 2 of a group" in shown
    assert MARKER not in shown


def test_notes_are_left_out() -> None:
    error = caught()
    error.add_note(f"while looking at {MARKER}")
    assert MARKER not in trace_of(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StateError("The copy is newer."), "StateError: The copy is newer."),
        (KafkaError("no leader"), "no leader"),
        (OSError(28, "No space left on device", MARKER), "OSError: No space left on device"),
    ],
)
def test_what_cannot_quote_a_record_keeps_its_words(error: Exception, words: str) -> None:
    assert words in trace_of(error)
    assert MARKER not in trace_of(error)


def test_at_debug_everything_is_shown() -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    assert f"KeyError: '{MARKER}'" in trace_of(caught())


def test_a_logged_exception_is_formatted_without_its_message() -> None:
    error = caught()
    record = logging.LogRecord("x", logging.ERROR, "", 0, "it failed", (), (KeyError, error, error.__traceback__))
    shown = DiscreetFormatter("%(message)s").format(record)
    assert shown.startswith("it failed\nTraceback")
    assert MARKER not in shown


def test_a_task_that_nobody_awaited_is_told_without_its_result(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    try:
        told_by_loop(loop, {"message": "Task exception was never retrieved", "exception": caught(), "task": MARKER})
    finally:
        loop.close()
    assert "Task exception was never retrieved" in caplog.text
    assert MARKER not in caplog.text


def test_a_worker_that_ends_by_a_fault_says_where_and_not_what(caplog: pytest.LogCaptureFixture) -> None:
    codes: list[int] = []
    Exits(codes.append).end(caught(), "while applying clicks, partition 2, offset 71")
    assert codes == [BUG_EXIT_CODE]
    assert "A fault in Ebbtide while applying clicks, partition 2, offset 71: KeyError" in caplog.text
    assert MARKER not in caplog.text


@pytest.mark.parametrize("raw", [f'{{"user_id": "{MARKER}"', f'"{MARKER}', f"{MARKER}", f'{{"a": {MARKER}}}'])
def test_what_the_codec_says_of_bytes_that_are_not_json_does_not_quote_them(raw: str) -> None:
    with pytest.raises(CodecError) as refused:
        decode(raw.encode())
    assert MARKER not in str(refused.value)
