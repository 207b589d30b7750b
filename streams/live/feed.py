"""A task that follows a single-partition topic record by record, and ends the process where it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from streams.live.exits import Exits
from streams.live.reach import Reach
from streams.live.tail import Tail
from streams.settings import Settings

YIELD_EVERY: Final = 50
"""Records after which others get their turn."""


class Feed:
    """Follows a topic for as long as the process lives.

    Parameters
    ----------
    settings, topic
        Where; the topic's full name.
    exits
        The way out when the topic cannot be read, or what is done with a record fails.
    take
        What is done with a record.
    after
        Called behind every portion of records with their number; 0 where none came for ``wait_s``.
    wait_s
        How long a portion is waited for.
    reach
        Knows of outages.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        exits: Exits,
        take: Callable[[Any], Awaitable[None]],
        *,
        after: Callable[[int], Awaitable[None]] | None = None,
        wait_s: float = 0.5,
        reach: Reach | None = None,
    ) -> None:
        self.ready = asyncio.Event()
        """Everything that was there at the start was taken."""
        self.offset = 0
        """Of the record that was taken last."""
        self._settings = settings
        self._topic = topic
        self._exits = exits
        self._take = take
        self._after = after
        self._wait_s = wait_s
        self._reach = reach
        self._tail: Tail | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def where(self) -> str:
        """Topic, partition and offset of the record that was taken last."""
        return f"{self._topic}, partition 0, offset {self.offset}"

    async def start(self, first: int = 0) -> None:
        """Begin with the record at an offset; returns at once, see :attr:`ready`."""
        self._tail = Tail(self._settings, self._topic, first, reach=self._reach)
        await self._tail.start()
        self._task = asyncio.create_task(self._run(self._tail), name=f"feed-{self._topic}")

    async def stop(self) -> None:
        """End. Does nothing where it was not started."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._tail is not None:
            await self._tail.stop()

    async def _run(self, tail: Tail) -> None:
        try:
            if await tail.caught_up():  # there is nothing yet: nobody need wait for it
                self.ready.set()
            async for portion in tail.portions(self._wait_s):
                for count, record in enumerate(portion, start=1):
                    self.offset = record.offset
                    await self._take(record)
                    if count % YIELD_EVERY == 0:
                        await asyncio.sleep(0)
                if self._after is not None:
                    await self._after(len(portion))
                if not self.ready.is_set() and await tail.caught_up():
                    self.ready.set()
        except Exception as error:  # noqa: BLE001 (ends the process)
            self._exits.end(error, f"while reading {self.where}")
