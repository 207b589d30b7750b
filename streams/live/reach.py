"""Whether Kafka can be reached, and how long something has taken apart from outages.

While no broker answers, a worker waits, and no deadline of ours may pass because of it. So every wait for Kafka is
measured by :meth:`Reach.waited_s`, which stands still during an outage and begins anew at its end; and silence is
measured by :meth:`Reach.counted_ms`, which leaves outages out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from streams.core.errors import AccessError, BrokerError
from streams.live.connections import new_client
from streams.reaching import why_unreachable
from streams.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

PROBE_EVERY_S: Final = 1.0
ANSWER_WITHIN_S: Final = 3.0
"""A frozen broker accepts connections and says nothing."""
DOUBT_S: Final = 2.0
"""Waiting counts up to this long after the last answer: behind it, an outage may have begun that is not known yet."""
UNANSWERED: Final = 2
"""Probes in a row without an answer that make an outage."""
TELL_EVERY_S: Final = 60.0
LOOK_EVERY_S: Final = 10.0
"""Between two looks at why nobody answers; what turns us away twice in a row is no outage."""
RETRY_EVERY_S: Final = 0.5
REMEMBERED: Final = 100
"""Outages remembered, for silence."""


class Reach:
    """What is known of the brokers. Never probed, it takes them to be there.

    Parameters
    ----------
    brokers
        How messages call them.
    clock
        A steady clock, s: that of the instants given to it.
    now_ms
        Wall clock, ms.

    Examples
    --------
    >>> now = [0.0]
    >>> reach = Reach("kafka:9092", clock=lambda: now[0], now_ms=lambda: round(now[0] * 1000))
    >>> reach.answered(); now[0] = 1.0; reach.answered()
    >>> now[0] = 600.0; reach.unanswered(); reach.unanswered()
    >>> reach.away, reach.waited_s(0.0)
    (True, 3.0)
    >>> reach.answered(); now[0] = 601.0
    >>> reach.away, reach.waited_s(0.0), reach.counted_ms(0, 601_000)
    (False, 1.0, 2000)
    """

    def __init__(
        self,
        brokers: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._brokers = brokers
        self._clock = clock
        self._now_ms = now_ms
        self._answered: tuple[float, int] | None = None
        self._failures = 0
        self._away: tuple[float, int] | None = None
        self._back_at: float | None = None
        self._told_at = 0.0
        self._outages: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    def now(self) -> float:
        """An instant for :meth:`waited_s`."""
        return self._clock()

    @property
    def away(self) -> bool:
        """Whether no broker can be reached."""
        return self._away is not None

    @property
    def away_s(self) -> float:
        """How long none has been reached; 0 while one can be."""
        return 0.0 if self._away is None else self._clock() - self._away[0]

    @property
    def back_at(self) -> float | None:
        """The end of the last outage; None where there was none."""
        return self._back_at

    def not_reached(self) -> str | None:
        """Why nothing goes on, in words; None while a broker can be reached."""
        return f"no Kafka broker answers at {self._brokers} for {self.away_s:.0f} s" if self.away else None

    def was_away(self, within_s: float) -> bool:
        """Whether there is an outage, or one ended within the last seconds."""
        return self.away or (self._back_at is not None and self._clock() - self._back_at <= within_s)

    def waited_s(self, since: float) -> float:
        """Seconds from an instant until now that count: not those of an outage, nor any before its end."""
        until = self._clock()
        if self._answered is not None:
            until = min(until, self._answered[0] + DOUBT_S)
        return max(0.0, until - max(since, self._back_at or since))

    def counted_ms(self, since_ms: int, until_ms: int) -> int:
        """Milliseconds of wall time between two instants, without outages."""
        outages = list(self._outages)
        if self._away is not None:
            outages.append((self._away[1], until_ms))
        out = sum(max(0, min(end, until_ms) - max(begin, since_ms)) for begin, end in outages)
        return max(0, until_ms - since_ms - out)

    def answered(self) -> None:
        """A broker answered."""
        now = self._clock()
        if self._away is not None:
            self._outages.append((self._away[1], self._now_ms()))
            log.warning("Kafka at %s answers again, after %.0f s.", self._brokers, now - self._away[0])
            self._away, self._back_at = None, now
        self._failures = 0
        self._answered = (now, self._now_ms())

    def unanswered(self) -> None:
        """No broker answered."""
        now = self._clock()
        self._failures += 1
        if self._away is None:
            if self._failures < UNANSWERED:
                return
            self._away = self._answered or (now, self._now_ms())
            self._told_at = now
            log.error(
                "No Kafka broker answers at %s. Waiting for it; nothing is lost, and this process goes on by itself.",
                self._brokers,
            )
        elif now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            log.warning("Still no Kafka broker answers at %s, for %.0f s.", self._brokers, now - self._away[0])

    async def through(self, step: Callable[[], Awaitable[T]], within_s: float) -> T:
        """Do a step that needs a broker; again and again where it fails, until it has failed for ``within_s``.

        Parameters
        ----------
        step
            May be begun anew whenever it failed.
        within_s
            Seconds, as :meth:`waited_s` counts them.

        Raises
        ------
        BrokerError, KafkaError
            What the step raised, once a broker has been there for so long. At once what waiting does not mend.
        """
        began = self.now()
        while True:
            try:
                return await step()
            except (KafkaError, BrokerError, TimeoutError) as error:
                if not _may_pass(error) or self.waited_s(began) >= within_s:
                    raise
                log.info("Trying again: %s", error)
            await asyncio.sleep(RETRY_EVERY_S)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, KafkaError):
        return bool(error.retriable)
    return type(error) in (BrokerError, TimeoutError)  # those below BrokerError are not outages


class Probe:
    """Asks once a second whether a broker answers, by a connection of its own.

    Parameters
    ----------
    settings, topic
        Where, and a topic that we may describe.
    reach
        Told the answers.
    tell
        Called after each: (reachable, seconds away).
    look
        Asks a broker that does not let us in for the reason; it may block for some seconds.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        reach: Reach,
        tell: Callable[[bool, float], None] = lambda there, s: None,
        *,
        look: Callable[[Settings], BrokerError | None] = why_unreachable,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._reach = reach
        self._tell = tell
        self._look = look
        self._looked_at = -math.inf
        self._turned_away = False
        self._client: AIOKafkaClient | None = None

    async def run(self) -> None:
        """Ask for ever.

        Raises
        ------
        AccessError
            A broker is there and does not let us in, twice in a row: a password or certificate was changed meanwhile.
        """
        try:
            while True:
                if await self._answers():
                    self._reach.answered()
                else:
                    await self._hang_up()
                    self._reach.unanswered()
                    await self._refuse_if_turned_away()
                self._tell(not self._reach.away, self._reach.away_s)
                await asyncio.sleep(PROBE_EVERY_S)
        finally:
            await self._hang_up()

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(2 * ANSWER_WITHIN_S):
                if self._client is None:
                    self._client = new_client(self._settings, request_timeout_s=ANSWER_WITHIN_S)
                    await self._client.bootstrap()
                    return bool(await self._client.set_topics([self._topic]))
                return bool(await self._client.force_metadata_update())
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("No broker answered: %r", error)
            return False

    async def _refuse_if_turned_away(self) -> None:
        if not self._reach.away or self._reach.now() - self._looked_at < LOOK_EVERY_S:
            return
        found = await asyncio.to_thread(self._look, self._settings)
        self._looked_at = self._reach.now()
        if isinstance(found, AccessError) and self._turned_away:
            raise found
        self._turned_away = isinstance(found, AccessError)

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(client.close(), ANSWER_WITHIN_S)
