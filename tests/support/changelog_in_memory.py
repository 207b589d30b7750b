"""A changelog partition in memory, with as many writers as a test wants: the real Changelog works on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from streams.live.changelog import Changelog
from streams.live.fence import ChangelogRecord, tally_of, writer_of
from streams.live.outbox import Acked, Message, Part


class LogInMemory:
    """Stands in for the producer and the reader of one changelog partition."""

    def __init__(self) -> None:
        self.records: list[ChangelogRecord] = []
        self.gone_below = 0

    async def send(self, topic: str, partition: int, messages: Iterable[Message]) -> list[Acked]:
        """Append, as one batch."""
        base = self.records[-1].offset + 1 if self.records else 0
        appended = [
            ChangelogRecord(
                offset, message.key or b"", message.value, writer_of(message.headers), tally_of(message.headers)
            )
            for offset, message in enumerate(messages, start=base)
        ]
        self.records += appended
        return [Acked(base, len(appended))]

    async def send_all(self, parts: Iterable[Part]) -> list[list[Acked]]:
        """One part after the other."""
        return [await self.send(*part) for part in parts]

    async def read(self, first: int, last: int) -> AsyncIterator[list[ChangelogRecord]]:
        """In portions of two, to have portions."""
        wanted = [record for record in self.records if first <= record.offset <= last]
        for at in range(0, len(wanted), 2):
            yield wanted[at : at + 2]

    async def oldest(self) -> int:
        """The oldest offset that is left."""
        return self.gone_below

    def writer(self, writer: int) -> Changelog:
        """A worker that appends here."""
        return Changelog(self, self, "changelog", 0, writer)  # type: ignore[arg-type]
