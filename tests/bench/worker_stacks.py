"""Stacks of a live worker while it catches up with a log on Apache Kafka: all it does, fetching and sending too."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Skipped
from tests.bench.live_processes import confined, running_broker
from tests.bench.live_run import Cores, catch_up, fresh_settings, installation
from tests.bench.measuring import cores
from tests.bench.published_logs import Generated, publish_log
from tests.bench.reference_logs import ReferenceLog
from tests.bench.sampling import Stack, recording, stacks
from tests.support.brokers import kafka_is_missing

_ENDED_WITHIN_S: Final = 60.0
_ATTACHED_AFTER_S: Final = 1.0
_TURN: Final = "Handle._run ("
"""Below it is the event loop, the same for all."""


def sampled_worker(log: ReferenceLog, scratch: Path) -> Counter[Stack]:
    """Publish a log, start a worker, and look at it until all is applied.

    Raises
    ------
    Skipped
        Apache Kafka is missing, or py-spy, or the right to look into another process.
    """
    if missing := kafka_is_missing():
        raise Skipped(missing)
    tested, beside = cores()
    folded = scratch / "worker.folded"
    with running_broker("kafka", scratch, beside) as brokers, confined({beside}):
        settings = fresh_settings(brokers, scratch)
        published = publish_log(Generated(log), settings)
        with (
            installation(settings, Cores((tested,), beside), scratch) as live,
            _looked_at(live.workers[0].running.pid, folded),
        ):
            catch_up(live, published)
    return by_thread(stacks(folded))


@contextmanager
def _looked_at(pid: int, folded: Path) -> Iterator[None]:
    command = [*recording(folded), "--gil", "--threads", "--pid", str(pid)]
    spy = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(_ATTACHED_AFTER_S)
        yield
    finally:
        spy.send_signal(signal.SIGINT)
        _, told = spy.communicate(timeout=_ENDED_WITHIN_S)
    if not folded.is_file():
        raise Skipped(f"py-spy may not look into another process: {told.decode(errors='replace').strip()}")


def by_thread(found: Counter[Stack]) -> Counter[Stack]:
    """Stacks that begin with the thread's name, without the loop that runs everything in it.

    Examples
    --------
    >>> stack = ("thread (7): MainThread", "main (a.py)", "Handle._run (asyncio/events.py)", "take (b.py)")
    >>> by_thread(Counter({stack: 3}))
    Counter({('MainThread', 'take (b.py)'): 3})
    """
    shown: Counter[Stack] = Counter()
    for (thread, *frames), samples in found.items():
        turns = [at for at, frame in enumerate(frames) if frame.startswith(_TURN)]
        shown[thread.partition(": ")[2], *(frames[turns[-1] + 1 :] if turns else ["event loop"])] += samples
    return shown
