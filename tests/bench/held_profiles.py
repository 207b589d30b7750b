"""What users take in memory, in a process that holds nothing else: their deadlines alone, and their decoded profiles.

    python -m tests.bench.held_profiles STORE

STORE is what ``tests.bench.stages --store`` wrote: a MessagePack map of users and stored profiles.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
from pathlib import Path

import msgspec

from streams.core.engine import PartitionEngine
from streams.policies.reader import read_policy
from tests.bench.stages import CACHE_PROFILES, HORIZON_DAYS


def resident_bytes() -> int:
    """Resident memory of this process now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def held(store: dict[str, bytes]) -> dict[str, float]:
    """Bytes a user: stored (mean and p99), as deadlines in the engine's queues, and decoded.

    No more are decoded than a worker would keep so.
    """
    sizes = sorted(map(len, store.values()))
    engine = PartitionEngine(read_policy(None), store, horizon_days=HORIZON_DAYS, mode="live", cache_profiles=None)
    before = resident_bytes()
    engine.restore_all((user_id.encode(), value) for user_id, value in store.items())
    queued = resident_bytes()
    looked_at = list(store)[:CACHE_PROFILES]
    for user_id in looked_at:
        engine.last_order(user_id)
    decoded = resident_bytes()
    users = len(store)
    return {
        "users": float(users),
        "stored_bytes": statistics.fmean(sizes),
        "stored_p99_bytes": float(sizes[int(0.99 * (users - 1))]),
        "queued_bytes": (queued - before) / users,
        "decoded_bytes": (decoded - queued) / len(looked_at),
    }


def main() -> None:
    """Print the figures of one file, JSON."""
    store = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=dict[str, bytes])
    print(json.dumps(held(store)))


if __name__ == "__main__":
    main()
