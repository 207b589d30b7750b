"""What ``output-holds`` says: to its end before the worker is ready, then on."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from streams.codec import CodecError, decode
from streams.hold_notices import DISCARD, RELEASE
from streams.live.exits import Exits
from streams.live.feed import Feed
from streams.live.reach import Reach
from streams.settings import Settings
from streams.topics import OUTPUT_HOLDS, topic_name

log = logging.getLogger(__name__)


class Notices(Protocol):
    """What is known of the topic."""

    def decision(self, partition: int, hold: int) -> str | None:
        """``release`` or ``discard``, once that was decided about this hold."""

    def told(self, partition: int) -> int | None:
        """The hold that the topic says a partition is in."""


class NoNotices:
    """Nothing was decided, nothing was said."""

    def decision(self, partition: int, hold: int) -> str | None:
        return None

    def told(self, partition: int) -> int | None:
        return None


class HoldFeed:
    """Keeps up with the topic.

    Parameters
    ----------
    settings
        Where the broker is.
    exits
        The way out when the topic cannot be read.
    reach
        Knows of outages.
    """

    def __init__(self, settings: Settings, exits: Exits, *, reach: Reach | None = None) -> None:
        self._topic = topic_name(OUTPUT_HOLDS, settings)
        self._feed = Feed(settings, self._topic, exits, self._taken, reach=reach)
        self._decisions: dict[int, tuple[int, str]] = {}
        self._told: dict[int, int | None] = {}

    def decision(self, partition: int, hold: int) -> str | None:
        """``release`` or ``discard``, once that was decided about this hold."""
        about, decision = self._decisions.get(partition, (None, None))
        return decision if about == hold else None

    def told(self, partition: int) -> int | None:
        """The hold that the topic says a partition is in."""
        return self._told.get(partition)

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take in one record; what is no notice is passed over with a warning, as anybody may write here."""
        try:
            body = decode(value or b"null")
            kind, partition, hold = body["type"], int(body["partition"]), body["hold"]
            if kind == "hold":
                self._told[partition] = None if hold is None else int(hold)
            elif kind == "decision" and body["decision"] in (RELEASE, DISCARD):
                self._decisions[partition] = (int(hold), body["decision"])
            else:
                raise ValueError
        except (CodecError, KeyError, TypeError, ValueError) as error:
            log.warning("A record of %s is no notice and is passed over (%s).", self._topic, type(error).__name__)

    async def start(self) -> None:
        """Begin reading; returns when everything there is known."""
        await self._feed.start()
        await self._feed.ready.wait()

    async def stop(self) -> None:
        """End reading."""
        await self._feed.stop()

    async def _taken(self, record: Any) -> None:
        self.take(record.key, record.value)
