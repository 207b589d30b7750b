"""The catalogue of topics: what each is for, how it is keyed, kept and cut into partitions, who writes and reads it.

Names here are without the prefix; :func:`topic_name` gives the one on the broker.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.core.events import DAY_MS, HOUR_MS, MINUTE_MS
from streams.settings import Settings

CLICKS: Final = "clicks"
SEARCHES: Final = "searches"
PURCHASES: Final = "purchases"
SEGMENT_CHANGES: Final = "segment-changes"
CHURN_RISK: Final = "churn-risk"
PURCHASE_PROPENSITY: Final = "purchase-propensity"
CUSTOMER_VALUE: Final = "customer-value"
LATE_EVENTS: Final = "late-events"
DEAD_LETTERS: Final = "dead-letters"
HELD_OUTPUTS: Final = "held-outputs"
OUTPUT_HOLDS: Final = "output-holds"
DEAD_LETTER_DECISIONS: Final = "dead-letter-decisions"
USER_PROFILES: Final = "user-profiles"
TRAINING_EXAMPLES: Final = "training-examples"
MODEL_CUTS: Final = "model-cuts"
MODEL_EVENTS: Final = "model-events"
MODEL_SCORECARD: Final = "model-scorecard"
CHANGELOG: Final = "ebbtide-changelog"

FOR_EVER: Final = "-1"
ARRIVAL: Final = "LogAppendTime"
HARMLESS_AHEAD_MS: Final = 5 * MINUTE_MS
"""How far producers' own timestamps may be ahead and do no harm: with the tolerance of cleaning, W goes no further
ahead of true time than the grace makes up for."""
MOST_AHEAD_MS: Final = HOUR_MS
"""How far they may be ahead at all: what Kafka 4 allows a topic that somebody made without thinking of it."""


class Cleanup(StrEnum):
    """What Kafka does with old records."""

    DELETE = "delete"
    """They go after the retention."""
    COMPACT = "compact"
    """The newest of each key stays."""


class Keep(StrEnum):
    """How long records stay in a topic that deletes."""

    INPUT = "input_retention_days"
    OUTPUT = "output_retention_days"
    FOR_EVER = "for ever"
    NEWEST = "newest of each key"


@dataclass(frozen=True, slots=True)
class Topic:
    """One entry of the catalogue.

    ``written_by`` and ``read_by`` are commands of ``ebbtide``, or ``subscribers``: other people's services. What Kafka
    must allow whom follows from them (:mod:`streams.access_list`).
    """

    name: str
    purpose: str
    key: str
    cleanup: Cleanup
    keep: Keep
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    single: bool = False
    """One partition, whatever ``partitions`` says: its order is global."""
    compaction_lag_ms: int = 0
    """No record younger than this is compacted away."""
    tombstone_ms: int = 0
    """How long a tombstone stays for readers that were away."""
    stamped: bool = False
    """Kafka stamps its records on arrival: what is the future, and what is silence, is judged by these timestamps."""

    def partitions(self, settings: Settings) -> int:
        """How many partitions it has: one, or the number that inputs, changelog and keyed outputs share."""
        return 1 if self.single else settings.partitions

    def config(self, settings: Settings) -> dict[str, str]:
        """What it is created with, in Kafka's names and units (ms)."""
        config = {"cleanup.policy": self.cleanup.value}
        if self.cleanup is Cleanup.COMPACT:
            config["min.compaction.lag.ms"] = str(self.compaction_lag_ms)
            config["delete.retention.ms"] = str(self.tombstone_ms)
            # Without effect while it only compacts; a cleanup policy that is changed by mistake deletes nothing.
            config["retention.ms"] = FOR_EVER
        else:
            config["retention.ms"] = self._retention_ms(settings)
        if self.stamped:
            config["message.timestamp.type"] = ARRIVAL
        return config

    def differences(self, actual: dict[str, str]) -> list[str]:
        """What in an existing topic's configuration breaks a promise of Ebbtide, in words; [] where nothing does.

        Retention is the operator's business, and a topic may wait longer before it compacts. A name that the broker
        does not report is not held against it (the embedded broker reports few).
        """
        wrong: list[str] = []
        cleanup = actual.get("cleanup.policy", self.cleanup.value)
        if cleanup != self.cleanup.value:
            wrong.append(f"cleanup.policy is {cleanup}, not {self.cleanup.value}")
        if self.cleanup is Cleanup.COMPACT:
            for name, least in (
                ("min.compaction.lag.ms", self.compaction_lag_ms),
                ("delete.retention.ms", self.tombstone_ms),
            ):
                if int(actual.get(name, least)) < least:
                    wrong.append(f"{name} is {actual[name]}, below {least}")
        if (ahead := self._ahead_ms(actual)) > MOST_AHEAD_MS:
            wrong.append(
                f"message.timestamp.type is {actual['message.timestamp.type']}, not {ARRIVAL}, and "
                f"message.timestamp.after.max.ms {ahead}, above {MOST_AHEAD_MS}: one producer's clock could carry "
                "time away from everybody else's events"
            )
        return wrong

    def cautions(self, actual: dict[str, str]) -> list[str]:
        """What in an existing topic's configuration does no harm yet and may, in words; [] where nothing does."""
        ahead = self._ahead_ms(actual)
        if not HARMLESS_AHEAD_MS < ahead <= MOST_AHEAD_MS:
            return []
        caution = (
            f"records carry their producers' timestamps, up to {ahead // MINUTE_MS} min ahead: while one producer's "
            f"clock is, others' events count as late; message.timestamp.type={ARRIVAL} rules it out"
        )
        return [caution]

    def _ahead_ms(self, actual: dict[str, str]) -> int:
        """How far the timestamps of records may be ahead of true time; 0 where Kafka sets or does not report them."""
        if not self.stamped or actual.get("message.timestamp.type", ARRIVAL) == ARRIVAL:
            return 0
        return int(actual.get("message.timestamp.after.max.ms", 0))

    def _retention_ms(self, settings: Settings) -> str:
        days = {Keep.INPUT: settings.input_retention_days, Keep.OUTPUT: settings.output_retention_days}.get(
            self.keep, -1
        )
        return FOR_EVER if days == -1 else str(days * DAY_MS)


def _input(name: str, purpose: str) -> Topic:
    # A bootstrap sets the group's offsets, for which Kafka asks that it may read.
    writers, readers = ("publish", "dead-letters"), ("worker", "replay", "dead-letters", "bootstrap")
    return Topic(name, purpose, "user_id", Cleanup.DELETE, Keep.INPUT, writers, readers, stamped=True)


def _output(
    name: str,
    purpose: str,
    key: str = "user_id",
    read_by: tuple[str, ...] = ("diff", "subscribers"),
    written_by: tuple[str, ...] = ("worker",),
) -> Topic:
    return Topic(name, purpose, key, Cleanup.DELETE, Keep.OUTPUT, written_by, read_by)


CATALOGUE: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        _input(CLICKS, "what users looked at, put in carts, shared"),
        _input(SEARCHES, "what users searched for"),
        _input(PURCHASES, "what users bought and gave back"),
        _output(
            SEGMENT_CHANGES,
            "a user moved to another stage, tier or risk band, with the evidence",
            written_by=("worker", "bootstrap"),
        ),
        _output(CHURN_RISK, "how likely a customer is to churn, with reasons"),
        _output(PURCHASE_PROPENSITY, "how likely a user, customer or visitor, is to buy within days"),
        _output(CUSTOMER_VALUE, "what a customer is expected to spend, within the horizon and within a year"),
        _output(LATE_EVENTS, "accepted events that came after their user's profile was settled"),
        _output(
            DEAD_LETTERS,
            "rejected records: original bytes, reason code, where they stood",
            "as received",
            ("dead-letters",),
        ),
        Topic(
            DEAD_LETTER_DECISIONS,
            "what a redrive has done with which dead letter, and whose turn it is: no letter is sent twice",
            "topic, partition, offset and hash of the rejected record",
            Cleanup.COMPACT,
            Keep.NEWEST,
            ("dead-letters",),
            ("dead-letters",),
            single=True,
            # Whose turn it is, is read off the order of records no older than an acknowledgement takes.
            compaction_lag_ms=HOUR_MS,
            tombstone_ms=DAY_MS,
        ),
        Topic(
            HELD_OUTPUTS,
            "segment changes and risks that the circuit breaker holds until somebody decides",
            "user_id",
            Cleanup.DELETE,
            Keep.OUTPUT,  # as long as they would have stood in their own topics
            ("worker",),
            ("worker",),
        ),
        Topic(
            OUTPUT_HOLDS,
            "which partitions hold their outputs and why, and what was decided about it",
            "hold or decision, and partition",
            Cleanup.COMPACT,
            Keep.NEWEST,
            ("worker", "outputs"),
            ("worker", "outputs"),
            single=True,
        ),
        Topic(
            USER_PROFILES,
            "the portrait of every user, at most once a minute each",
            "user_id",
            Cleanup.COMPACT,
            Keep.NEWEST,
            ("worker", "bootstrap"),
            ("profile", "diff", "subscribers", "bootstrap"),
            tombstone_ms=DAY_MS,
        ),
        Topic(
            TRAINING_EXAMPLES,
            "scores whose outcome is known, and how far each partition of the inputs has come",
            "user_id",
            Cleanup.DELETE,
            Keep.FOR_EVER,  # rare beside events; a trainer that starts from nothing learns the same model again
            (
                "worker",
                "model rollback",
                "bootstrap",
            ),  # a rollback asks the trainer here, in the order of what it learns
            ("trainer", "bootstrap"),
            single=True,
        ),
        Topic(
            MODEL_CUTS,
            "the model as of the end of each event-time day",
            "day",
            Cleanup.DELETE,
            Keep.FOR_EVER,  # `worker --clock log` scores with the cuts of the events' days
            ("trainer", "bootstrap"),
            ("worker", "trainer", "model", "model rollback", "bootstrap"),
            single=True,
        ),
        Topic(
            MODEL_EVENTS,
            "what happened to the models: takeovers, drift alarms, rollbacks",
            "id of the event",
            Cleanup.DELETE,
            Keep.FOR_EVER,  # a few a year
            ("trainer",),
            ("model", "model rollback", "subscribers"),
            single=True,
        ),
        Topic(
            MODEL_SCORECARD,
            "how good the served scores were, exact over the last 10,000 labels, and what became of every score",
            "head",
            Cleanup.COMPACT,
            Keep.NEWEST,
            ("trainer",),
            ("scorecard", "subscribers"),
            single=True,
        ),
        Topic(
            CHANGELOG,
            "stored profiles, partition records and fences: what a worker restores from",
            "user_id, or the name of the record",
            Cleanup.COMPACT,
            Keep.NEWEST,
            ("worker", "bootstrap"),
            ("worker", "bootstrap"),
            # A zombie's value may stand behind the good one until the next owner has rewritten it: the good one must
            # still be there when that owner restores.
            compaction_lag_ms=HOUR_MS,
            # A local store that was away for less than this sees every tombstone.
            tombstone_ms=7 * DAY_MS,
        ),
    )
}


SHADOWED: Final = (
    SEGMENT_CHANGES,
    CHURN_RISK,
    PURCHASE_PROPENSITY,
    CUSTOMER_VALUE,
    LATE_EVENTS,
    DEAD_LETTERS,
    USER_PROFILES,
    TRAINING_EXAMPLES,
    MODEL_CUTS,
    MODEL_EVENTS,
    MODEL_SCORECARD,
)
"""The topics that a replay writes beside; inputs and changelog stay the live installation's own."""


def topic_name(name: str, settings: Settings, suffix: str = "") -> str:
    """Name on the broker of a topic of the catalogue, or of its shadow for a replay.

    >>> topic_name(CLICKS, Settings(topic_prefix="eu."))
    'eu.clicks'
    >>> topic_name(CHURN_RISK, Settings(), suffix="-trial")
    'churn-risk-trial'
    """
    return f"{settings.topic_prefix}{CATALOGUE[name].name}{suffix}"


def topics_table() -> str:
    """The catalogue as a Markdown table, for the documentation.

    >>> topics_table().splitlines()[2].split("|")[1]
    ' `clicks` '
    """
    lines = [
        "| topic | what it holds | key | partitions | kept | written by | read by |",
        "|---|---|---|---|---|---|---|",
    ]
    for topic in CATALOGUE.values():
        partitions = "1" if topic.single else "`partitions`"
        kept = f"`{topic.keep}`" if topic.keep in (Keep.INPUT, Keep.OUTPUT) else str(topic.keep)
        lines.append(
            f"| `{topic.name}` | {topic.purpose} | {topic.key} | {partitions} | {kept} "
            f"| {', '.join(topic.written_by)} | {', '.join(topic.read_by)} |"
        )
    return "\n".join(lines) + "\n"
