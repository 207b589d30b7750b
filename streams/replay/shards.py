"""Shards: who applies the turns of a run to the users, each to its own.

A user belongs to one of a fixed number of partitions, by hash, and each partition has an engine of its own. Which
shard holds which partitions decides nothing: every turn ends with all of them at the same log time, and what they gave
is put in an order of its own (:mod:`streams.replay.turn_results`). So the results are the same for any number of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol
from zlib import crc32

import msgspec

from streams.core.engine import PartitionEngine
from streams.core.events import MINUTE_MS, Event
from streams.core.ports import Example, Output, Seen, Step
from streams.core.tally import Counts, add
from streams.model_records import new_cuts
from streams.replay.content_hash import ContentHash
from streams.replay.pacing import Turn
from streams.replay.run_options import RunOptions
from streams.replay.score_times import scores_at
from streams.replay.turn_results import Closed, ClosingPage, Told, TurnResult, as_learned, count, in_order, told_of

PAGE: Final = 512
"""Users whose portraits are written at a time when a run ends."""


def partition_of(user_id: str, partitions: int) -> int:
    """The partition that a user belongs to.

    >>> partition_of("ada", 64) == partition_of("ada", 64)
    True
    """
    return crc32(user_id.encode("utf-8", "surrogatepass")) % partitions


class Shards(Protocol):
    """All users, whoever holds them."""

    def results(self, turns: Iterable[Turn]) -> Iterator[tuple[Turn, TurnResult]]:
        """Take turns, one behind the other, and give what each came to.

        Turns may be read ahead. Behind a turn that ends a day nothing is applied before the next result is asked for.
        """

    def serve(self, record: dict[str, Any]) -> None:
        """What the trainer cut is scored with from now on."""

    def closing(self) -> Iterator[ClosingPage]:
        """The portraits of everybody, by user, at the end of a run."""

    def stages(self) -> Mapping[str, int]:
        """Users by stage."""


def minutes_to_watch(events: Sequence[Event], least_users: int) -> frozenset[int]:
    """The minutes of a turn in which so many users may have been seen, whatever the turns beside it hold.

    >>> def click(ts): return Event(ts, 0, str(ts), "ann", 0, 0, True)
    >>> turn = [click(minute * 60_000 + second) for minute, second in ((1, 0), (2, 0), (3, 0), (3, 1), (4, 0))]
    >>> sorted(minutes_to_watch(turn, 2))
    [1, 3, 4]
    """
    counted = Counter([event.ts // MINUTE_MS for event in events])
    enough = {minute for minute, number in counted.items() if number >= least_users}
    return frozenset(enough.union((min(counted), max(counted)) if counted else ()))


class Part(NamedTuple):
    """The events of one partition in a turn, each with its place among all of the turn."""

    places: Sequence[int]
    events: Sequence[Event]


class _Kept(msgspec.Struct, array_like=True):
    """What is kept of a partition to begin it anew: log time, and the stored profiles."""

    watermark: int
    newest: int
    clock: int
    profiles: list[tuple[str, bytes]]


class Shard:
    """The users of some partitions.

    Parameters
    ----------
    partitions
        Their numbers.
    options
        Of the run.
    """

    def __init__(self, partitions: Iterable[int], options: RunOptions) -> None:
        self._options = options
        self._engines = {partition: self._engine({}) for partition in partitions}
        self._cuts = new_cuts(options.horizon_days, options.propensity_days)
        self._users: list[tuple[str, int]] = []

    def _engine(self, stored: Mapping[str, bytes]) -> PartitionEngine:
        options = self._options
        return PartitionEngine(
            options.policy,
            stored,
            horizon_days=options.horizon_days,
            propensity_days=options.propensity_days,
            mode="replay",
            grace_ms=options.grace_ms,
            redelivered=False,
        )

    def serve(self, record: dict[str, Any]) -> None:
        """Score with a cut, by its day, from now on."""
        self._cuts.add(record, own=True)

    def take(
        self, parts: Mapping[int, Part], clock: int, watermark: int, *, asked: bool, watched: Container[int]
    ) -> TurnResult:
        """Take a turn.

        Parameters
        ----------
        parts
            Events by partition.
        clock, watermark, asked
            As :class:`~streams.replay.pacing.Turn` has them.
        watched
            The minutes of the log in which it matters who was seen (:func:`minutes_to_watch`).
        """
        taken = _Taken(watched)
        for partition, engine in self._engines.items():
            part = parts.get(partition)
            if part is not None:
                taken.step(engine.process(part.events, self._cuts), part)
            taken.step(engine.advance(clock, self._cuts, watermark=watermark), None)
            if asked:
                taken.outputs(scores_at(engine, clock, self._options.look_back_days, self._cuts))
            taken.users += len(engine)
        return taken.result()

    # -- the end -----------------------------------------------------------------------------------------------------

    def closing(self, begin: int) -> ClosingPage | None:
        """The portraits of the users from a place on; None behind the last. ``begin`` rises by :data:`PAGE`."""
        if not self._users:
            engines = self._engines.items()
            self._users = sorted((user_id, number) for number, engine in engines for user_id in engine.users())
        if begin >= len(self._users):
            return None
        page, hashed = ClosingPage(users=[]), ContentHash()
        for user_id, number in self._users[begin : begin + PAGE]:
            engine = self._engines[number]
            portrait = engine.portrait(user_id)
            told = None if portrait is None else told_of(portrait)
            if told is not None:
                hashed.add(told.line + (engine.settled(user_id) or b""))
            stored = engine.encoded(user_id) if self._options.stored_profiles else None
            page.users.append(Closed(user_id, told, stored, engine.pending(user_id)))
        page.profiles_hash = hashed.sum()
        return page

    def stages(self) -> dict[str, int]:
        """Users by stage."""
        total: dict[str, int] = {}
        for engine in self._engines.values():
            for stage, users in engine.stages.items():
                total[stage] = total.get(stage, 0) + users
        return total

    # -- beginning anew ----------------------------------------------------------------------------------------------

    def kept(self, partition: int) -> bytes:
        """What :meth:`begin_anew` needs of a partition, between two turns."""
        engine = self._engines[partition]
        profiles = [(user_id, value) for user_id in engine.users() if (value := engine.encoded(user_id)) is not None]
        return _encode(_Kept(engine.watermark, engine.newest, engine.clock, profiles))

    def begin_anew(self, partition: int, kept: bytes) -> None:
        """Put a partition where it was when it was kept."""
        found = _decode_kept(kept)
        engine = self._engines[partition] = self._engine(dict(found.profiles))
        engine.watermark, engine.newest, engine.clock = found.watermark, found.newest, found.clock
        for user_id, value in found.profiles:
            engine.restore(user_id, value)
            engine.last_order(user_id)  # which decodes the profile: an unbounded engine holds all of them


class _Taken:
    """What a shard gathers in a turn."""

    def __init__(self, watched: Container[int]) -> None:
        self.users = 0
        self._watched = watched
        self._told: list[Told] = []
        self._hash = ContentHash()
        self._examples: list[Example] = []
        self._counts: dict[str, int] = {}
        self._tally: Counts = {}
        self._seen: list[tuple[int, Seen]] = []

    def step(self, step: Step, part: Part | None) -> None:
        """Take in one step of an engine; ``part`` is what it was given."""
        if step.rejected:
            raise AssertionError(f"an event in time order was rejected: {step.rejected[0][1]}")
        count(self._counts, step.facts)
        for tallied in step.facts.tallies.values():
            add(self._tally, tallied)
        self.outputs(step.outputs)
        self._examples += step.examples
        if part is not None:
            self._see(step.seen, part)

    def outputs(self, outputs: Iterable[Output]) -> None:
        """Take in outputs."""
        for output in outputs:
            told = told_of(output)
            self._hash.add(told.line)
            self._told.append(told)

    def _see(self, seen: Sequence[Seen], part: Part) -> None:
        """Who was seen, beside the place of the event: each is of one event, and in their order."""
        watched = self._watched
        places = zip(part.places, part.events, strict=True)
        for one in seen:
            if one.at_ms // MINUTE_MS in watched:
                for place, event in places:
                    if event.ts == one.at_ms and event.user_id == one.user_id:
                        self._seen.append((place, one))
                        break

    def result(self) -> TurnResult:
        """All of it, in order."""
        return TurnResult(
            told=in_order(self._told),
            told_hash=self._hash.sum(),
            examples=as_learned(self._examples),
            counts=self._counts,
            tally=self._tally,
            seen=sorted(self._seen, key=itemgetter(0)),
            users=self.users,
        )


class OneShard:
    """All users in this process, in one partition: nothing is sent anywhere."""

    def __init__(self, options: RunOptions) -> None:
        self._shard = Shard([0], options)
        self._least_users = options.hold_least_users

    @property
    def engine(self) -> PartitionEngine:
        """That of the one partition, with all its users."""
        return self._shard._engines[0]

    def results(self, turns: Iterable[Turn]) -> Iterator[tuple[Turn, TurnResult]]:
        """As :class:`Shards` has it; no turn is read ahead."""
        for turn in turns:
            parts = {0: Part(range(len(turn.events)), turn.events)} if turn.events else {}
            watched = minutes_to_watch(turn.events, self._least_users)
            yield turn, self._shard.take(parts, turn.clock, turn.watermark, asked=turn.asked, watched=watched)

    def serve(self, record: dict[str, Any]) -> None:
        """As :class:`Shards` has it."""
        self._shard.serve(record)

    def closing(self) -> Iterator[ClosingPage]:
        """As :class:`Shards` has it."""
        begin = 0
        while (page := self._shard.closing(begin)) is not None:
            yield page
            begin += PAGE

    def stages(self) -> Mapping[str, int]:
        """As :class:`Shards` has it."""
        return self._shard.stages()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_kept: Final = msgspec.msgpack.Decoder(_Kept).decode
