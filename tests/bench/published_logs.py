"""Reference logs put into the input topics before a live benchmark begins, and what a worker must make of them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streams.codec import encode
from streams.core.events import DAY_MS, INPUT_TOPICS
from streams.provisioning import ensure_topics
from streams.replay.files import merge_logs, open_log
from streams.replay.outgoing import outgoing
from streams.replay.records import KINDS
from streams.settings import Settings
from tests.bench.reference_logs import BEGIN_MS, Record, ReferenceLog, records, rows
from tests.neighbours.load import Sent, publish


class Log(Protocol):
    """What can be published."""

    @property
    def id(self) -> str:
        """Its permanent name."""

    def records(self) -> Iterator[Record]:
        """Its records in order of arrival, the same every time."""


@dataclass(frozen=True, slots=True)
class Generated:
    """w1 or w3."""

    log: ReferenceLog

    @property
    def id(self) -> str:
        """Its permanent name."""
        return self.log.id

    def records(self) -> Iterator[Record]:
        """Made anew from the seed."""
        return records(self.log)


@dataclass(frozen=True, slots=True)
class Recent:
    """A generated log whose last event happens at a given instant."""

    log: ReferenceLog
    end_ms: int

    @property
    def id(self) -> str:
        """Its permanent name."""
        return self.log.id

    def records(self) -> Iterator[Record]:
        """Made anew from the seed, every event later by the same."""
        later_ms = self.end_ms - BEGIN_MS - self.log.days * DAY_MS
        for row in rows(self.log):
            row["ts"] += later_ms
            topic = INPUT_TOPICS[KINDS[row.pop("event_type")]]
            yield Record(topic, row["user_id"].encode(), encode(row), row["ts"])


@dataclass(frozen=True, slots=True)
class FromFile:
    """A real log, as ``ebbtide publish`` sends it: named by content and row."""

    id: str
    path: Path
    most: int | None = None
    """Its first rows only."""

    def records(self) -> Iterator[Record]:
        """Read from the file."""
        log = open_log(self.path)
        for number, (_, record) in enumerate(merge_logs([log])):
            if number == self.most:
                return
            message = outgoing(record, log.digest)
            if message is not None and message.key is not None:
                yield Record(message.topic, message.key, message.value, record.ts_ms or 0)


@dataclass(frozen=True, slots=True)
class Published:
    """What lies in the topics."""

    records: int
    distinct: int
    """Of them, without repeats of an id."""
    users: frozenset[bytes]
    by_topic: dict[str, int]
    seconds: float
    """What it took to put them there."""


def publish_log(log: Log, settings: Settings) -> Published:
    """Create the topics and fill them, in whole batches."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # fresh topics have no leader yet; it tries again
    ensure_topics(settings)
    began = time.monotonic()
    by_topic: Counter[str] = Counter()
    users: set[bytes] = set()
    values: set[int] = set()

    def sent() -> Iterator[Sent]:
        for record in log.records():
            by_topic[record.topic] += 1
            users.add(record.key)
            values.add(hash(record.value))  # a repeat is the same bytes
            yield Sent(record.topic, record.key, record.value)

    count = publish(settings, sent())
    return Published(count, len(values), frozenset(users), dict(by_topic), time.monotonic() - began)
