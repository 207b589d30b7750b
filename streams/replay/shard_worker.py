"""A shard in a process of its own: what it is asked and what it answers, as bytes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec

from streams import codec
from streams.core.events import Event
from streams.replay.run_options import RunOptions
from streams.replay.shards import Part, Shard
from streams.replay.turn_results import ClosingPage, TurnResult


class Work(msgspec.Struct, array_like=True, kw_only=True):
    """A turn, as far as one worker has to do with it."""

    parts: list[tuple[int, list[int], list[Event]]]
    """Partition, the places of its events in the turn, and the events."""
    clock: int
    watermark: int
    asked: bool
    watched: list[int]


class ShardWorker:
    """Holds a :class:`~streams.replay.shards.Shard` and answers for it; calls come one behind the other."""

    def __init__(self, options: RunOptions, partitions: Sequence[int]) -> None:
        self._shard = Shard(partitions, options)

    def take(self, records: Sequence[bytes], work: bytes) -> bytes:
        """Serve what the trainer cut, then take a turn; the encoded :class:`TurnResult`."""
        began = time.process_time()
        self.serve(records)
        turn = _work.decode(work)
        parts = {number: Part(places, events) for number, places, events in turn.parts}
        watched = frozenset(turn.watched)
        result = self._shard.take(parts, turn.clock, turn.watermark, asked=turn.asked, watched=watched)
        result.cpu_s = time.process_time() - began
        return encode(result)

    def serve(self, records: Sequence[bytes]) -> None:
        """Serve what the trainer cut."""
        for record in records:
            self._shard.serve(codec.decode(record))

    def kept(self, partition: int) -> bytes:
        """As :meth:`Shard.kept`."""
        return self._shard.kept(partition)

    def begin_anew(self, partition: int, kept: bytes) -> None:
        """As :meth:`Shard.begin_anew`."""
        self._shard.begin_anew(partition, kept)

    def closing(self, begin: int) -> bytes | None:
        """As :meth:`Shard.closing`; the encoded :class:`ClosingPage`."""
        page = self._shard.closing(begin)
        return None if page is None else encode(page)

    def stages(self) -> dict[str, int]:
        """As :meth:`Shard.stages`."""
        return self._shard.stages()


encode: Final = msgspec.msgpack.Encoder().encode
_work: Final = msgspec.msgpack.Decoder(Work)
decode_result: Final = msgspec.msgpack.Decoder(TurnResult).decode
decode_page: Final = msgspec.msgpack.Decoder(ClosingPage).decode
