"""Both jobs on stock Faust, as its users write them: an agent, a table with its changelog, one event at a time.

``python -m tests.bench.rivals.faust_app ASSIGNMENT`` in Faust's own virtual environment.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import faust
from faust.types import StreamT

from tests.bench.rivals import totals_job
from tests.bench.rivals.assignment import Assignment, Marks


def app_of(assignment: Assignment, marks: Marks) -> faust.App:
    """The app; what is not named here is as Faust ships it."""
    app = faust.App(
        assignment.group,
        broker=f"kafka://{assignment.brokers}",
        store="rocksdb://",
        datadir=assignment.state,
        topic_partitions=assignment.partitions,
        autodiscover=False,
        web_enabled=False,
    )
    {"portrait": _portrait, "totals": _totals}[assignment.job](app, assignment, marks)
    return app


def _totals(app: faust.App, assignment: Assignment, marks: Marks) -> None:
    events = app.topic(assignment.source, key_type=str, value_serializer="json")
    told = app.topic(assignment.prefix + totals_job.TOPIC, key_type=str, value_serializer="json")
    totals: Any = app.Table("totals", partitions=assignment.partitions)

    @app.agent(events)
    async def add(stream: StreamT[Any]) -> None:
        event: Mapping[str, Any]
        async for event in stream:
            marks.applying()
            user_id = event["user_id"]
            count, cents = totals.get(user_id) or (0, 0)
            count, cents = count + 1, cents + totals_job.cents_of(event)
            totals[user_id] = (count, cents)
            message = totals_job.told(user_id, count, cents)
            if message is not None:
                await told.send(key=user_id, value=message)
            if marks.applied():
                os.kill(os.getpid(), signal.SIGTERM)


def _portrait(app: faust.App, assignment: Assignment, marks: Marks) -> None:
    from streams.core.engine import PartitionEngine
    from streams.core.events import Position
    from tests.bench.rivals.portrait_job import OUTPUTS, PortraitJob, cuts_from

    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    events = app.topic(assignment.source, **raw)
    outputs = {name: app.topic(assignment.prefix + name, **raw) for name in OUTPUTS}
    profiles: Any = app.Table("profiles", partitions=assignment.partitions, key_type=bytes, value_type=bytes)
    job = PortraitJob(cuts_from(assignment.cuts), "/faust")
    engines: dict[int, PartitionEngine] = {}

    class TableStore:
        """The table as the engine reads it; of the partition whose event it is, as a table's keys are."""

        def get(self, user_id: str, /) -> bytes | None:
            value: bytes | None = profiles.get(user_id.encode())
            return value

    @app.agent(events)
    async def portray(stream: StreamT[Any]) -> None:
        async for event in stream.events():
            marks.applying()
            message = event.message
            engine = engines.get(message.partition)
            if engine is None:
                engine = engines[message.partition] = job.engine(TableStore(), message.partition, cache_profiles=0)
            position = Position(message.topic, message.partition, message.offset)
            clean = job.event(message.value, position, round(message.timestamp * 1_000))
            applied = job.apply(engine, clean)
            for user_id, value in applied.changed.items():
                if value is None:
                    profiles.pop(user_id.encode(), None)
                else:
                    profiles[user_id.encode()] = value
            for output in applied.messages:
                await outputs[output.topic].send(key=output.key, value=output.value, headers=output.headers)
            if marks.applied():
                os.kill(os.getpid(), signal.SIGTERM)


def main(path: str) -> None:
    """Run until all is applied."""
    assignment = Assignment.read(path)
    marks = Marks(assignment)
    app = app_of(assignment, marks)
    sys.argv = ["faust", "worker", "-l", "info", "--without-web"]
    try:
        app.main()
    finally:
        marks.ended()


if __name__ == "__main__":
    main(sys.argv[1])
