"""Both jobs on Quix Streams, as its users write them: a StreamingDataFrame with stateful apply, RocksDB, changelog on.

``python -m tests.bench.rivals.quix_app ASSIGNMENT`` in Quix's own virtual environment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from quixstreams import Application, message_context  # type: ignore[import-not-found]
from quixstreams.models.serializers import Serializer  # type: ignore[import-not-found]

from tests.bench.rivals import totals_job
from tests.bench.rivals.assignment import Assignment, Marks


def app_of(assignment: Assignment) -> Any:
    """The application; what is not named here is as Quix ships it."""
    return Application(
        broker_address=assignment.brokers,
        consumer_group=assignment.group,
        auto_offset_reset="earliest",
        state_dir=assignment.state,
        loglevel="WARNING",
    )


def totals(app: Any, assignment: Assignment, marks: Marks) -> None:
    """A count and a sum per user."""
    events = app.topic(assignment.source, key_deserializer="str", value_deserializer="json")
    told = app.topic(assignment.prefix + totals_job.TOPIC, key_serializer="str", value_serializer="json")

    def add(event: dict[str, Any], state: Any) -> dict[str, Any] | None:
        marks.applying()
        count, cents = state.get("total", (0, 0))
        count, cents = count + 1, cents + totals_job.cents_of(event)
        state.set("total", (count, cents))
        if marks.applied():
            app.stop()
        return totals_job.told(event["user_id"], count, cents)

    app.dataframe(events).apply(add, stateful=True).filter(lambda message: message is not None).to_topic(told)


def portrait(app: Any, assignment: Assignment, marks: Marks) -> None:
    """The whole job. State is by key: a silent user's deadlines wait for that user's next event."""
    from streams.core.engine import PartitionEngine
    from streams.core.events import Position
    from tests.bench.rivals.portrait_job import OUTPUTS, Message, OneUser, PortraitJob, cuts_from

    class Body(Serializer):  # type: ignore[misc]
        """A message's bytes are its body."""

        def __call__(self, message: Message, ctx: Any) -> bytes:
            return message.value

    events = app.topic(assignment.source, key_deserializer="bytes", value_deserializer="bytes")
    outputs = {name: app.topic(assignment.prefix + name, value_serializer=Body()) for name in OUTPUTS}
    job = PortraitJob(cuts_from(assignment.cuts), "/quix")
    engines: dict[int, tuple[OneUser, PartitionEngine]] = {}

    def portray(value: bytes, key: bytes, timestamp: int, headers: Any, state: Any) -> Iterable[Message]:
        marks.applying()
        context = message_context()
        partition = context.partition
        if partition not in engines:
            store = OneUser()
            engines[partition] = store, job.engine(store, partition, cache_profiles=0)
        store, engine = engines[partition]
        clean = job.event(value, Position(context.topic, partition, context.offset), timestamp)
        user_id = clean.user_id
        store.user_id, store.value = user_id, state.get_bytes("profile")
        applied = job.apply(engine, clean)
        job.forget(engine)
        if user_id in applied.changed:
            stored = applied.changed[user_id]
            if stored is None:
                state.delete("profile")
            else:
                state.set_bytes("profile", stored)
        if marks.applied():
            app.stop()
        return applied.messages

    messages = app.dataframe(events).apply(portray, stateful=True, expand=True, metadata=True)
    messages = messages.set_headers(lambda message, key, timestamp, headers: message.headers)
    messages.to_topic(lambda message, key, timestamp, headers: outputs[message.topic], key=lambda message: message.key)


def main(path: str) -> None:
    """Run until all is applied."""
    assignment = Assignment.read(path)
    marks = Marks(assignment)
    app = app_of(assignment)
    {"portrait": portrait, "totals": totals}[assignment.job](app, assignment, marks)
    try:
        app.run()
    finally:
        marks.ended()


if __name__ == "__main__":
    main(sys.argv[1])
