"""How an owner finds out what others appended to its changelog."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from streams.core.errors import BrokerError
from streams.live.changelog import Changelog, FencedError
from tests.support.changelog_in_memory import LogInMemory

OLD, NEW = 11, 22


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(steps)


def test_the_last_offset_is_the_base_of_the_batch_and_its_count() -> None:
    """FAUST.md 26: what comes back is the batch's base offset."""
    log = LogInMemory()

    async def steps() -> None:
        writer = log.writer(NEW)
        await writer.fence()
        assert await writer.append([(b"ann", b"1"), (b"bob", b"2")]) == 2

    run(steps())


def test_a_zombie_that_appends_behind_a_newer_fence_finds_out() -> None:
    log = LogInMemory()

    async def steps() -> None:
        zombie, successor = log.writer(OLD), log.writer(NEW)
        await zombie.fence()
        await successor.fence()
        with pytest.raises(FencedError):
            await zombie.append([(b"ann", b"9")])

    run(steps())


def test_a_key_that_a_zombie_wrote_is_written_again_with_what_is_stored() -> None:
    log = LogInMemory()

    async def steps() -> None:
        zombie, successor = log.writer(OLD), log.writer(NEW)
        successor.stored = {b"ann": b"1"}.get
        await zombie.fence()
        await successor.fence()
        with pytest.raises(FencedError):
            await zombie.append([(b"ann", b"9")])
        await successor.append([(b"bob", b"2")])
        assert [(record.key, record.value) for record in log.records[-2:]] == [(b"bob", b"2"), (b"ann", b"1")]

    run(steps())


def test_a_key_of_the_same_slice_is_written_again_with_its_new_value() -> None:
    log = LogInMemory()

    async def steps() -> None:
        zombie, successor = log.writer(OLD), log.writer(NEW)
        successor.stored = {b"ann": b"1"}.get
        await zombie.fence()
        await successor.fence()
        with pytest.raises(FencedError):
            await zombie.append([(b"ann", b"9")])
        await successor.append([(b"ann", b"2")])
        assert log.records[-1][1:4] == (b"ann", b"2", NEW)

    run(steps())


def test_without_others_nothing_is_written_twice() -> None:
    log = LogInMemory()

    async def steps() -> None:
        writer = log.writer(NEW)
        await writer.fence()
        await writer.append([(b"ann", b"1")])
        await writer.append([(b"ann", b"2")])
        assert len(log.records) == 3
        assert writer.foreign == 0

    run(steps())


def test_a_log_that_goes_back_is_not_trusted() -> None:
    log = LogInMemory()

    async def steps() -> None:
        writer: Changelog = log.writer(NEW)
        await writer.fence()
        await writer.append([(b"ann", b"1"), (b"bob", b"1")])
        log.records.clear()
        with pytest.raises(BrokerError, match="created anew"):
            await writer.append([(b"ann", b"2")])

    run(steps())
