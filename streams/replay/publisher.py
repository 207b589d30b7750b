"""Publishing: event logs to the input topics, resumable, every row acknowledged or accounted for."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kafka.errors import KafkaError

from streams.access_list import Role
from streams.core.errors import BrokerError
from streams.core.events import INPUT_TOPICS
from streams.provisioning import ensure_topics, topic_ids
from streams.replay.merge import merge_logs
from streams.replay.outgoing import outgoing
from streams.replay.records import EventLog, RawRecord
from streams.replay.resume import PublishProgress
from streams.replay.sender import Future, KafkaSender, Sender
from streams.settings import Settings

PENDING: Final = 10_000
"""Messages sent and not yet acknowledged, at most: what a crash repeats."""
SAVE_EVERY_S: Final = 1.0
TELL_EVERY_S: Final = 0.1
LAST_ACKS_S: Final = 5.0
"""How long an interrupted publishing waits for acknowledgements on their way."""
STEP_S: Final = 0.25
"""The longest sleep while holding the pace, so that progress is kept and shown meanwhile."""


@dataclass(frozen=True, slots=True)
class PublishState:
    """Where a publishing stands, for a progress bar."""

    rows: int
    """Rows of all logs."""
    done: int
    """Rows that need not be sent again, from the first on: acknowledged, or impossible to send."""
    resumed: int
    """Those of them that an earlier run did."""


@dataclass(slots=True)
class PublishReport:
    """What a publishing did."""

    rows: int
    resumed: int = 0
    acknowledged: int = 0
    """Messages that Kafka acknowledged in this run."""
    unroutable: int = 0
    """Rows of this run that were not sent: no topic could be told for them, or they do not fit into a message."""
    by_topic: Counter[str] = field(default_factory=Counter)
    """Acknowledged messages by topic, without prefix."""
    seconds: float = 0.0


def publish(
    logs: Sequence[EventLog],
    settings: Settings,
    *,
    resume_path: Path,
    rate: float | None = None,
    speed: float | None = None,
    again: bool = False,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    on_progress: Callable[[PublishState], None] = lambda state: None,
) -> PublishReport:
    """Send every row of the logs to the input topic of its event type, in merge order, keyed by user.

    Parameters
    ----------
    logs
        Opened by :func:`~streams.replay.files.open_log`.
    settings
        Brokers, topic names and partitions, ack timeout. Missing input topics are created.
    resume_path
        The progress file. Rows it names as acknowledged by these very topics are not sent again.
    rate
        Messages per second, at most.
    speed
        Event time over real time: 60 sends an hour of the log in a minute.
    again
        Send from the first row on, whatever the progress file says (ids stay the same, so consumers drop the repeats).
    now, clock, sleep
        Wall clock (s since the epoch: the Kafka timestamps), monotonic clock (s), and how to wait (s).
    on_progress
        Is told about ten times a second, and at the end.

    Raises
    ------
    BrokerError
        Kafka cannot be reached, its topics do not fit, or it stopped acknowledging; says how far it came.
    StateError
        The progress file cannot be used or written.
    """
    ensure_topics(settings, INPUT_TOPICS, roles=(Role.PUBLISHER,))
    progress = PublishProgress(resume_path, [log.digest for log in logs], topic_ids(settings, INPUT_TOPICS))
    if again:
        progress.save(0)
    sender = KafkaSender(settings)
    pump = Pump(logs, sender, progress, now=now, clock=clock, sleep=sleep, on_progress=on_progress)
    return pump.run(rate=rate, speed=speed, ack_timeout_s=settings.ack_timeout_s)


class Pump:
    """Moves rows from logs to a sender at a pace, and counts what was acknowledged without a gap."""

    def __init__(
        self,
        logs: Sequence[EventLog],
        sender: Sender,
        progress: PublishProgress,
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        on_progress: Callable[[PublishState], None],
    ) -> None:
        self._logs = logs
        self._sender = sender
        self._progress = progress
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._on_progress = on_progress
        self._rows = sum(log.rows for log in logs)
        self._resumed = min(progress.acknowledged, self._rows)
        self._done = self._resumed
        self._pending: deque[tuple[str | None, Future | None]] = deque()
        self._report = PublishReport(rows=self._rows, resumed=self._resumed)
        self._saved_at = self._told_at = clock()

    def run(self, *, rate: float | None, speed: float | None, ack_timeout_s: float) -> PublishReport:
        """Send everything that is left and wait for it; whatever ends it, what was acknowledged is kept."""
        started = self._clock()
        try:
            self._send_all(rate, speed, ack_timeout_s)
            while self._pending:
                self._await_oldest(ack_timeout_s)
        except KafkaError as error:
            self._settle()
            raise BrokerError(
                f"Kafka stopped acknowledging ({type(error).__name__}: {error}): {self._done:,} of {self._rows:,} rows "
                "are published.",
                "Once it is back, run the same command again: it goes on from there.",
            ) from error
        except BaseException:
            self._settle()
            raise
        self._sender.close(LAST_ACKS_S)
        self._progress.save(self._done)
        self._report.seconds = self._clock() - started
        self._tell()
        return self._report

    def _send_all(self, rate: float | None, speed: float | None, ack_timeout_s: float) -> None:
        pace = Pace(self._clock, rate, speed)
        for place, (index, record) in enumerate(merge_logs(self._logs)):
            if place < self._resumed:
                continue
            due = pace.due(record)
            while (wait := due - self._clock()) > 0:
                self._sleep(min(wait, STEP_S))
                self._collect()
            message = outgoing(record, self._logs[index].digest)
            if message is None:
                self._pending.append((None, None))
            else:
                self._pending.append((message.topic, self._sender.send(message, int(self._now() * 1000))))
            if len(self._pending) >= PENDING:
                self._await_oldest(ack_timeout_s)
            if place & 63 == 0:
                self._collect()

    def _await_oldest(self, ack_timeout_s: float) -> None:
        future = self._pending[0][1]
        if future is not None:
            future.get(timeout=ack_timeout_s)
        self._collect()

    def _collect(self) -> None:
        """Count the acknowledged head of what is pending; raises what failed there."""
        pending = self._pending
        while pending and (pending[0][1] is None or pending[0][1].is_done):
            topic, future = pending[0]
            if topic is None or future is None:
                self._report.unroutable += 1
            else:
                future.get(timeout=0)
                self._report.acknowledged += 1
                self._report.by_topic[topic] += 1
            pending.popleft()
            self._done += 1
        instant = self._clock()
        if instant - self._saved_at >= SAVE_EVERY_S:
            self._progress.save(self._done)
            self._saved_at = instant
        if instant - self._told_at >= TELL_EVERY_S:
            self._tell()
            self._told_at = instant

    def _settle(self) -> None:
        """Before going: take the acknowledgements on their way, keep the count."""
        self._sender.close(LAST_ACKS_S)
        with suppress(KafkaError):  # the first that failed ends the count, and is why we are here, or came on top
            self._collect()
        self._progress.save(self._done)
        self._tell()

    def _tell(self) -> None:
        self._on_progress(PublishState(self._rows, self._done, self._resumed))


class Pace:
    """When a row is due: so many rows a second, or event time so many times as fast as real time."""

    def __init__(self, clock: Callable[[], float], rate: float | None, speed: float | None) -> None:
        self._rate = rate
        self._speed = speed
        self._started = clock()
        self._rows = -1
        self._first_ts: int | None = None

    def due(self, record: RawRecord) -> float:
        """The instant of the clock at which the next row may go; a row without a time is never waited for."""
        self._rows += 1
        after = self._rows / self._rate if self._rate is not None else 0.0
        if self._speed is not None and record.ts_ms is not None:
            if self._first_ts is None:
                self._first_ts = record.ts_ms
            after = max(after, (record.ts_ms - self._first_ts) / 1000 / self._speed)
        return self._started + after
