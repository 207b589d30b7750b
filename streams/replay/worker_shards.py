"""Shards in several processes: turns are read ahead and shared out, and what they come to is put together again."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from streams import codec
from streams.core.events import DAY_MS, Event
from streams.replay.backups import Backup
from streams.replay.content_hash import ContentHash
from streams.replay.crew import RETRIES, Crew, Member
from streams.replay.pacing import Turn
from streams.replay.run_options import RunOptions
from streams.replay.shard_worker import Work, decode_result, encode
from streams.replay.shards import PAGE, minutes_to_watch, partition_of
from streams.replay.turn_results import Closed, ClosingPage, TurnResult, merged

PARTITIONS: Final = 64
"""What users are shared out by; more workers than that would have nothing to do."""
AHEAD: Final = 16
"""Turns that are read while others are applied."""
GIVEN: Final = 8
"""Turns that workers have before them."""
KEEP_EVERY_S: Final = 60.0
"""CPU time of the workers after which their partitions are kept; a crash costs no more than that."""
KEEPING_SHARE: Final = 20
"""And no sooner than so many times what keeping them took."""
_CUTS_KEPT_MS: Final = 3 * DAY_MS


def placed(loads: Mapping[int, int], workers: int, partitions: int = PARTITIONS) -> list[list[int]]:
    """Which worker holds which partitions, so that each has about as much to do: the largest first, to the least busy.

    Parameters
    ----------
    loads
        Events by partition, at the begin of the log.

    >>> placed({0: 9, 1: 4, 2: 4, 3: 2}, 2, partitions=4)
    [[0], [1, 2, 3]]
    """
    held: list[list[int]] = [[] for _ in range(workers)]
    busy = [0] * workers
    for partition in sorted(range(partitions), key=lambda number: (-loads.get(number, 0), number)):
        worker = min(range(workers), key=lambda number: (busy[number], len(held[number])))
        held[worker].append(partition)
        busy[worker] += loads.get(partition, 0)
    return [sorted(numbers) for numbers in held]


class WorkerShards:
    """All users, shared out among the workers of a crew.

    Parameters
    ----------
    crew
        Where workers come from.
    workers
        How many.
    options
        Of the run.
    folder
        A temporary folder for what workers are begun anew from.
    notify
        Is told when one is.
    partitions, retries, keep_every_s, keeping_share
        See :data:`PARTITIONS`, :data:`~streams.replay.crew.RETRIES`, :data:`KEEP_EVERY_S`, :data:`KEEPING_SHARE`.
    """

    def __init__(
        self,
        crew: Crew,
        workers: int,
        options: RunOptions,
        folder: Path,
        notify: Callable[[str], None],
        *,
        partitions: int = PARTITIONS,
        retries: int = RETRIES,
        keep_every_s: float = KEEP_EVERY_S,
        keeping_share: float = KEEPING_SHARE,
    ) -> None:
        self._crew = crew
        self._workers = workers
        self._least_users = options.hold_least_users
        self._folder = folder
        self._notify = notify
        self._partitions = partitions
        self._retries = retries
        self._keep_every_s = keep_every_s
        self._keeping_share = keeping_share
        self._members: list[Member] = []
        self._holder: dict[int, int] = {}
        self._serving = _Serving()
        self._busy_s = 0.0
        """CPU time of the workers since their partitions were kept."""
        self._keeping_s = 0.0

    # -- turns -------------------------------------------------------------------------------------------------------

    def results(self, turns: Iterable[Turn]) -> Iterator[tuple[Turn, TurnResult]]:
        """As :class:`~streams.replay.shards.Shards` has it."""
        unread = iter(turns)
        first = list(islice(unread, AHEAD))
        self._begin(first)
        unread = chain(first, unread)
        del first
        read: deque[tuple[Turn, list[bytes]]] = deque()
        given: deque[Turn] = deque()
        ended = False
        while True:
            while read and len(given) < GIVEN and not (given and given[-1].ends_day):
                turn, works = read.popleft()
                self._give(works)
                given.append(turn)
            if given and (ended or len(read) >= AHEAD or all(member.ready() for member in self._members)):
                result = merged([decode_result(member.answer()) for member in self._members])
                turn = given.popleft()
                yield turn, result
                self._applied(turn, result)
            elif not ended:
                following = next(unread, None)
                if following is None:
                    ended = True
                else:
                    # The events go along encoded: whoever takes the result has no use for them.
                    read.append((following._replace(events=[]), self._works(following)))
            elif not read:
                return

    def serve(self, record: dict[str, Any]) -> None:
        """As :class:`~streams.replay.shards.Shards` has it: it goes out with the next turn."""
        self._serving.add(record)

    def _begin(self, first: Sequence[Turn]) -> None:
        loads = Counter(partition_of(event.user_id, self._partitions) for turn in first for event in turn.events)
        for number, partitions in enumerate(placed(loads, self._workers, self._partitions)):
            backup = Backup(self._folder / f"worker-{number}")
            member = Member(self._crew, number, partitions, backup, self._notify, retries=self._retries)
            self._members.append(member)
            self._holder.update(dict.fromkeys(partitions, number))

    def _works(self, turn: Turn) -> list[bytes]:
        """A turn as each worker gets it."""
        count, holder = self._partitions, self._holder
        parts: dict[int, tuple[list[int], list[Event]]] = {}
        for place, event in enumerate(turn.events):
            partition = partition_of(event.user_id, count)
            part = parts.get(partition)
            if part is None:
                part = parts[partition] = ([], [])
            part[0].append(place)
            part[1].append(event)
        shared: list[list[tuple[int, list[int], list[Event]]]] = [[] for _ in self._members]
        for partition, (places, events) in parts.items():
            shared[holder[partition]].append((partition, places, events))
        watched = sorted(minutes_to_watch(turn.events, self._least_users))
        clock, watermark, asked = turn.clock, turn.watermark, turn.asked
        return [
            encode(Work(parts=theirs, clock=clock, watermark=watermark, asked=asked, watched=watched))
            for theirs in shared
        ]

    def _give(self, works: Sequence[bytes]) -> None:
        records = self._serving.due()
        for member, work in zip(self._members, works, strict=True):
            member.give(records, work)

    def _applied(self, turn: Turn, result: TurnResult) -> None:
        """Keep the partitions now and then, between two days: nobody has a turn before them."""
        self._busy_s += result.cpu_s / len(self._members)
        if turn.ends_day and self._busy_s >= max(self._keep_every_s, self._keeping_share * self._keeping_s):
            began = time.monotonic()
            for member in self._members:
                member.keep(self._serving.recent())
            self._keeping_s, self._busy_s = time.monotonic() - began, 0.0

    # -- the end -----------------------------------------------------------------------------------------------------

    def closing(self) -> Iterator[ClosingPage]:
        """As :class:`~streams.replay.shards.Shards` has it."""
        hashed = ContentHash()

        def users(pages: Iterable[ClosingPage]) -> Iterator[Closed]:
            for page in pages:
                hashed.add_sum(page.profiles_hash)
                yield from page.users

        everybody = merge(*(users(member.pages()) for member in self._members), key=itemgetter(0))
        while part := list(islice(everybody, PAGE)):
            yield ClosingPage(users=part)
        yield ClosingPage(profiles_hash=hashed.sum())

    def stages(self) -> Mapping[str, int]:
        """As :class:`~streams.replay.shards.Shards` has it."""
        total: Counter[str] = Counter()
        for member in self._members:
            total.update(member.stages())
        return total


class _Serving:
    """What the trainer cut, encoded: what is still to go out, and what anybody begun anew has to know."""

    def __init__(self) -> None:
        self._due: list[bytes] = []
        self._recent: deque[tuple[int, bool, bytes]] = deque()

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in a record, by day."""
        encoded, day = codec.encode(record), record["day"]
        self._due.append(encoded)
        self._recent.append((day, record["type"] == "cut", encoded))
        # A day without a cut of its own goes on with an earlier one: that is kept as well.
        cuts = [place for place, (at, is_cut, _) in enumerate(self._recent) if is_cut and at <= day - _CUTS_KEPT_MS]
        for _ in range(cuts[-1] if cuts else 0):
            self._recent.popleft()

    def due(self) -> list[bytes]:
        """What is to go out now."""
        due, self._due = self._due, []
        return due

    def recent(self) -> list[bytes]:
        """What scores are made with from here on."""
        return [encoded for _, _, encoded in self._recent]
