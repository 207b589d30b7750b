"""``ebbtide worker --clock log --trainer`` with a bug: it stumbles over users whose id ends in "-stumble".

``python -m tests.support.stumbling_worker``; settings come from the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from streams.core.engine import PartitionEngine
from streams.core.events import Event
from streams.core.ports import ChurnScorer
from streams.live import worker
from streams.live.serve import serve_worker
from streams.settings import load_settings


class StumblingEngine(PartitionEngine):
    """See the module."""

    def process(self, events: Iterable[Event], model: ChurnScorer, **more: Any) -> Any:
        waiting = list(events)
        for event in waiting:
            if event.user_id.endswith("-stumble"):
                raise KeyError(event.user_id, event)
        return super().process(waiting, model, **more)


if __name__ == "__main__":
    setattr(worker, "PartitionEngine", StumblingEngine)  # noqa: B010 (a type may not be assigned to)
    given = {name: value for name, value in os.environ.items() if name.startswith("EBBTIDE_")}
    sys.exit(serve_worker(load_settings(given), "log", None, with_trainer=True))
