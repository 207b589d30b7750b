"""Both jobs on Bytewax, as its users write them: keyed state in memory; there is no changelog, and recovery is off.

``python -m tests.bench.rivals.bytewax_app ASSIGNMENT`` in Bytewax's own virtual environment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import bytewax.operators as op  # type: ignore[import-not-found]
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource  # type: ignore[import-not-found]
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.run import cli_main  # type: ignore[import-not-found]

from tests.bench.rivals import totals_job
from tests.bench.rivals.assignment import Assignment, Marks

Total = tuple[int, int]


def source_of(assignment: Assignment) -> Any:
    """Reads to the end of the topic, then the flow ends."""
    return KafkaSource([assignment.brokers], [assignment.source], tail=False)


def totals(assignment: Assignment, marks: Marks) -> Any:
    """A count and a sum per user."""
    from streams.codec import decode, encode

    def add(total: Total | None, event: dict[str, Any]) -> tuple[Total, dict[str, Any] | None]:
        marks.applying()
        count, cents = total or (0, 0)
        count, cents = count + 1, cents + totals_job.cents_of(event)
        marks.applied()
        return (count, cents), totals_job.told(event["user_id"], count, cents)

    def message(keyed: tuple[str, dict[str, Any] | None]) -> Any:
        user_id, told = keyed
        return None if told is None else KafkaSinkMessage(user_id.encode(), encode(told))

    flow = Dataflow("totals")
    events = op.map("decode", op.input("events", flow, source_of(assignment)), lambda record: decode(record.value))
    keyed = op.key_on("user", events, lambda event: event["user_id"])
    messages = op.filter_map("message", op.stateful_map("add", keyed, add), message)
    op.output("told", messages, KafkaSink([assignment.brokers], assignment.prefix + totals_job.TOPIC))
    return flow


def portrait(assignment: Assignment, marks: Marks) -> Any:
    """The whole job. State is by key: a silent user's deadlines wait for that user's next event."""
    from streams.core.engine import PartitionEngine
    from streams.core.events import Event, Position
    from tests.bench.rivals.portrait_job import Message, NoStore, PortraitJob, cuts_from

    job = PortraitJob(cuts_from(assignment.cuts), "/bytewax")

    def clean(record: Any) -> Event:
        position = Position(record.topic, record.partition, record.offset)
        return job.event(record.value, position, record.timestamp[1])

    def portray(engine: PartitionEngine | None, event: Event) -> tuple[PartitionEngine, Iterable[Message]]:
        marks.applying()
        # A user's state is a live object that nobody has to encode: an engine of that user alone.
        engine = engine or job.engine(NoStore(), event.partition, cache_profiles=None)
        messages = job.apply(engine, event, store=False).messages
        marks.applied()
        return engine, messages

    def outgoing(keyed: tuple[str, Message]) -> Any:
        message = keyed[1]
        return KafkaSinkMessage(message.key, message.value, assignment.prefix + message.topic, message.headers)

    flow = Dataflow("portrait")
    events = op.map("clean", op.input("events", flow, source_of(assignment)), clean)
    keyed = op.key_on("user", events, lambda event: event.user_id)
    messages = op.map("outgoing", op.stateful_flat_map("portray", keyed, portray), outgoing)
    op.output("outputs", messages, KafkaSink([assignment.brokers], None))
    return flow


def main(path: str) -> None:
    """Run until all is applied."""
    assignment = Assignment.read(path)
    marks = Marks(assignment)
    flow = {"portrait": portrait, "totals": totals}[assignment.job](assignment, marks)
    try:
        cli_main(flow)
    finally:
        marks.ended()


if __name__ == "__main__":
    main(sys.argv[1])
