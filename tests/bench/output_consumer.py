"""A consumer of outputs that notes when it had each of them.

``python -m tests.bench.output_consumer BROKERS PARTITIONS TOPIC…`` says ``ready``, watches until its input ends, then
writes what it saw: a line each, the time (monotonic clock, s) and the body.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Sequence

from confluent_kafka import OFFSET_END, Consumer, TopicPartition


def watch(brokers: str, partitions: int, topics: Sequence[str]) -> None:
    """The process itself."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bench-watch", "enable.auto.commit": False})
    consumer.assign([TopicPartition(name, number, OFFSET_END) for name in topics for number in range(partitions)])
    consumer.poll(0.5)
    print("ready", flush=True)
    records: list[tuple[float, bytes]] = []
    while not select.select([sys.stdin], [], [], 0)[0]:
        while (message := consumer.poll(0.02)) is not None:
            at_s = time.monotonic()
            if message.error() is not None:
                raise AssertionError(str(message.error()))
            records.append((at_s, message.value() or b""))
    consumer.close()
    sys.stdout.buffer.writelines(b"%.6f %b\n" % record for record in records)


if __name__ == "__main__":
    watch(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
