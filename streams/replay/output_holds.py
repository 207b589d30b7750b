"""Outputs that are held, as their owners say it on ``output-holds``; and what is decided about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.codec import CodecError, decode, encode
from streams.core.errors import UnknownHoldError
from streams.hold_notices import decision_notice
from streams.replay.connections import kafka_in_words, new_producer
from streams.replay.finished_topics import FinishedTopics
from streams.settings import Settings
from streams.topics import OUTPUT_HOLDS, topic_name

LOOK_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class PartitionHold:
    """What is known of one partition that holds its outputs, or did."""

    partition: int
    hold: int | None
    """None: its outputs go out."""
    body: dict[str, Any]
    """What its owner said last."""
    decision: str | None = None
    """What was decided about this hold, and not carried out yet."""

    @property
    def share(self) -> float:
        """Users who changed stage, of those seen."""
        return float(self.body["changed"]) / float(self.body["users"])


def standing(settings: Settings) -> list[PartitionHold]:
    """Every partition that ever held outputs, in order.

    Raises
    ------
    BrokerError
        The broker is away, or the topic is missing.
    """
    said: dict[int, dict[str, Any]] = {}
    decided: dict[int, dict[str, Any]] = {}
    for record in FinishedTopics(settings, [OUTPUT_HOLDS]).records():
        body = _body(record.value)
        into = {"hold": said, "decision": decided}.get(body.get("type", ""))
        if into is not None and isinstance(body.get("partition"), int):
            into[body["partition"]] = body
    found = []
    for partition, body in sorted(said.items()):
        hold = body.get("hold")
        decision = decided.get(partition, {})
        about_this = hold is not None and decision.get("hold") == hold
        found.append(PartitionHold(partition, hold, body, decision.get("decision") if about_this else None))
    return found


def chosen(holds: Iterable[PartitionHold], partitions: Sequence[int]) -> list[PartitionHold]:
    """Those that hold now, of the partitions named, or of all where none is.

    Raises
    ------
    UnknownHoldError
        A partition that was named holds nothing.
    """
    held = {one.partition: one for one in holds if one.hold is not None}
    for partition in partitions:
        if partition not in held:
            held_now = ", ".join(map(str, held)) or "none"
            raise UnknownHoldError(
                f"Partition {partition} holds no outputs.", f"Those that do: {held_now}. See: ebbtide outputs."
            )
    return [held[partition] for partition in sorted(set(partitions) or held)]


def decide(settings: Settings, holds: Iterable[PartitionHold], decision: str, now_ms: int) -> None:
    """Write down what is decided; the owners read it and carry it out, now or when there is one again.

    Raises
    ------
    BrokerError
        Kafka did not take it.
    """
    name = topic_name(OUTPUT_HOLDS, settings)
    with kafka_in_words(settings, "Write", f"topic {name}", "took no decision", "Run the same command again."):
        producer = new_producer(settings, "outputs")
        try:
            waiting = []
            for one in holds:
                assert one.hold is not None
                key, body = decision_notice(one.partition, one.hold, decision, now_ms)
                waiting.append(producer.send(name, key=key, value=encode(body), partition=0))
            for future in waiting:
                future.get(timeout=settings.ack_timeout_s)
        finally:
            producer.close(timeout=settings.ack_timeout_s)


def wait_until_settled(
    settings: Settings,
    holds: Sequence[PartitionHold],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[int, dict[str, Any]]:
    """Wait for owners to carry out a decision; what each says of how its hold ended, for those that did in time."""
    until = clock() + seconds
    while True:
        now = {one.partition: one for one in standing(settings)}
        ended = {
            one.partition: now[one.partition].body.get("settled") or {}
            for one in holds
            if one.partition in now and now[one.partition].hold != one.hold
        }
        if len(ended) == len(holds) or clock() >= until:
            return ended
        sleep(LOOK_EVERY_S)


def _body(value: bytes | None) -> dict[str, Any]:
    try:
        body = decode(value or b"null")
    except CodecError:
        return {}
    return body if isinstance(body, dict) else {}
