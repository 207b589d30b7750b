"""Dead letters on a broker, and redrives of them: for the contract suite."""

from __future__ import annotations

from collections.abc import Sequence

from streams.core.cleaning import CleaningPolicy
from streams.core.events import Position
from streams.core.ports import Rejection
from streams.dead_letters import ATTEMPT_HEADER, ORIGIN_HEADER, dead_letter
from streams.provisioning import ensure_topics
from streams.replay.connections import new_producer
from streams.replay.finished_topics import FinishedTopics
from streams.replay.letters import Wanted
from streams.replay.mending import Mended, Mending, parse_assignment
from streams.replay.redrive import Redrive
from streams.replay.redrive_desk import KafkaDesk, StoredLetters
from streams.replay.redrive_plan import Choice, RedriveReport, carry_out
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, PURCHASES, topic_name
from tests.support.redrive_desks import NOW_MS

LEASE_MS = 1_000
LETTERS = 6


class Cut(Exception):
    """The run ends here."""


class CutDesk(KafkaDesk):
    """Sends, and is then cut off."""

    def send(self, messages: Sequence[Mended]) -> None:
        super().send(messages)
        raise Cut


def write_letters(settings: Settings) -> None:
    """Letters of negative prices in topics that nobody has used."""
    ensure_topics(settings)
    producer = new_producer(settings, "test")
    for offset in range(LETTERS):
        where = Position(topic_name(PURCHASES, settings), offset % 4, offset)
        raw = b'{"user_id":"u%d","ts":%d,"price":-1}' % (offset, NOW_MS)
        value, headers = dead_letter(raw, [("trace", b"1")], Rejection("bad_price", "negative", where), NOW_MS)
        producer.send(topic_name(DEAD_LETTERS, settings), value=value, key=b"k", partition=offset % 4, headers=headers)
    producer.flush(timeout=60)
    producer.close()


def redrive_all(settings: Settings, desk: type[KafkaDesk] = KafkaDesk, run: str = "one") -> RedriveReport:
    """Send everything again, mended."""
    mending = Mending([parse_assignment("price=2")], CleaningPolicy(), settings.partitions, now_ms=NOW_MS)
    with desk(settings) as opened, Redrive(opened, run, LEASE_MS) as running:
        return carry_out(running, StoredLetters(settings).read(), Choice(Wanted(), running.ledger), mending)


def redriven(settings: Settings) -> list[tuple[int, bytes | None, bytes, bytes]]:
    """Partition, key, attempt and letter of what stands in the input."""
    found = []
    for record in FinishedTopics(settings, [PURCHASES]).records():
        headers = dict(record.headers)
        assert headers["trace"] == b"1"
        found.append((record.partition, record.key, headers[ATTEMPT_HEADER], headers[ORIGIN_HEADER].rsplit(b"-", 1)[0]))
    return sorted(found)


ONCE = sorted((offset % 4, b"k", b"1", b"purchases-%d-%d" % (offset % 4, offset)) for offset in range(LETTERS))
