"""Each protection switched off: what the simulation must notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

import msgspec

from streams.core.engine import PartitionEngine
from streams.core.events import Event
from streams.live import changelog, taking
from streams.live.changelog import Changelog
from streams.live.effects import EffectsInOrder
from streams.live.fence import FENCE_PREFIX, NO_WRITER, ChangelogRecord, Gap, Restore
from streams.live.partition_record import InputPosition, PartitionRecord
from streams.live.standing import Surroundings, begun
from streams.live.store import CopyPosition
from tests.simulation import worker

Write = tuple[bytes, bytes | None]


def _last_value(self: Restore, records: Iterable[ChangelogRecord]) -> list[Write]:
    """Restoring by last value, as a stock changelog is."""
    writes: list[Write] = []
    for record in records:
        if record.key.startswith(FENCE_PREFIX):
            self.writer = record.writer
        else:
            writes.append((record.key, record.value))
    return writes


def _nothing_applied(self: PartitionEngine, event: Event, model: Any, step: Any) -> None:
    """Every delivery is taken for a new one."""
    profile = self._profiles.find(event.user_id)
    if profile is not None:
        profile.applied[event.kind] = (self.epochs[event.kind], -1)
    _EVENT(self, event, model, step)


async def _copy_first(self: EffectsInOrder, writes: Sequence[Write], tallies: Any = None) -> None:
    """The local copy before the changelog."""
    self._store.write(writes, CopyPosition(self._changelog.last, self._changelog.writer, self._now_ms()))
    await self._changelog.append(writes, tallies)


def _behind(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Done some time, by a task that nobody waits for."""
    return asyncio.ensure_future(coroutine)


async def _changelog_unawaited(self: EffectsInOrder, writes: Sequence[Write], tallies: Any = None) -> None:
    """Acks, as long as the changelog's own is still awaited."""
    _behind(_PERSIST(self, writes, tallies))


async def _outputs_unawaited(self: EffectsInOrder, effects: Any, **options: Any) -> list[tuple[int, int]]:
    """Outputs behind the ack."""
    _behind(_PUBLISH(self, effects, **options))
    return []


_EVENT: Final = PartitionEngine._event
_PERSIST: Final = EffectsInOrder.persist
_PUBLISH: Final = EffectsInOrder.publish


def _by_commits(record: PartitionRecord, now: Surroundings, has_profiles: bool) -> PartitionRecord:
    """No partition record: reading goes on at the group's offsets, and W begins anew."""
    inputs = tuple(
        InputPosition(topic_id=one.topic_id, next=one.oldest if one.committed is None else one.committed)
        for one in now.inputs
    )
    return msgspec.structs.replace(begun(PartitionRecord(), now), inputs=inputs)


OFF: Final[dict[str, Callable[[], list[Any]]]] = {
    "fence": lambda: [patch.object(Restore, "counted", _last_value)],
    "gap": lambda: [patch.object(changelog, "judge_gap", lambda records, ours: Gap(NO_WRITER, ()))],
    "rewriting": lambda: [patch.object(module, "rewrites", lambda keys, stored: []) for module in (changelog, taking)],
    "a key for each fence": lambda: [patch.object(changelog, "fence_key", lambda writer: FENCE_PREFIX)],
    "applied offsets": lambda: [patch.object(PartitionEngine, "_event", _nothing_applied)],
    "changelog before the local copy": lambda: [patch.object(EffectsInOrder, "persist", _copy_first)],
    "changelog before the ack": lambda: [patch.object(EffectsInOrder, "persist", _changelog_unawaited)],
    "outputs before the ack": lambda: [patch.object(EffectsInOrder, "publish", _outputs_unawaited)],
    "a tally beside each profile": lambda: [patch.object(Changelog, "_tallied", lambda self, *_: self._headers)],
    "partition record": lambda: [patch.object(worker, "as_an_operator", _by_commits)],
}
"""By name: what takes a protection away."""


@contextmanager
def without(protection: str) -> Iterator[None]:
    """Run without one protection."""
    with ExitStack() as patches:
        for one in OFF[protection]():
            patches.enter_context(one)
        yield
