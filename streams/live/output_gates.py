"""Makes the gates of a worker's partitions."""

from __future__ import annotations

import time
from collections.abc import Callable

from streams.core.breaker import Breaker
from streams.live.changelog import ChangelogReader
from streams.live.effects import EffectsInOrder
from streams.live.held_log import HeldLog, HeldTopic
from streams.live.hold_feed import Notices
from streams.live.observer import Observer
from streams.live.output_gate import OutputGate
from streams.live.seams import Clock, Engine
from streams.settings import Settings


class OutputGates:
    """What all gates of a worker have in common.

    Under ``--clock log`` nothing new is held: it runs through history, which nobody acts on and which has to come out
    as backfill has it; and in a log that knows only days, a minute is a day.

    Parameters
    ----------
    settings, clock
        Limits; which clock.
    notices
        What was decided.
    held_log
        Reads back what a partition holds.
    now_ms
        Wall clock, ms.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        notices: Notices,
        observer: Observer,
        *,
        held_log: Callable[[int], HeldLog] | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._settings = settings
        self._watching = not clock.by_log and settings.hold_share < 1
        self._notices = notices
        self._observer = observer
        self._held_log = held_log or (lambda partition: HeldTopic(settings, partition))
        self._now_ms = now_ms

    def gate(
        self,
        partition: int,
        stored: bytes | None,
        engine: Engine,
        effects: EffectsInOrder,
        changelog: ChangelogReader,
        changelog_end: Callable[[], int],
    ) -> OutputGate:
        """The gate of a partition that was taken, as it was left."""
        settings = self._settings
        return OutputGate(
            partition,
            engine,
            effects,
            Breaker(settings.hold_share, settings.hold_least_users) if self._watching else None,
            stored,
            self._held_log(partition),
            changelog,
            self._notices,
            self._observer,
            changelog_end=changelog_end,
            now_ms=self._now_ms,
        )
