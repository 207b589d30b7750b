"""What live workers left behind as settled profiles, read from the changelog by the fence rule."""

from __future__ import annotations

from streams.core.engine import PartitionEngine
from streams.live.fence import RESERVED, ChangelogRecord, Restore, writer_of
from streams.policies.reader import read_policy
from streams.settings import Settings
from streams.topics import CHANGELOG
from tests.support.live_runs import read_topic


def live_stored(settings: Settings) -> dict[str, bytes]:
    """Every stored profile, as it stands in the changelog."""
    stored: dict[str, bytes] = {}
    changelog = read_topic(settings, CHANGELOG)
    for partition in range(settings.partitions):
        entries = [
            ChangelogRecord(record.offset, record.key, record.value, writer_of(record.headers))
            for record in changelog
            if record.partition == partition
        ]
        for key, value in Restore().counted(entries):
            if value is None:
                stored.pop(key.decode(), None)
            elif not key.startswith(RESERVED):
                stored[key.decode()] = value
    return stored


def live_settled(settings: Settings, until: int, *, horizon_days: int) -> dict[str, bytes]:
    """Every stored profile, settled to the end as its owner would when it next touched it."""
    stored = live_stored(settings)
    engine = PartitionEngine(read_policy(None), stored, horizon_days=horizon_days, mode="replay")
    engine.watermark = until + 1
    return {user_id: engine.settled(user_id) or b"" for user_id in stored}
