"""Deadlines: one entry per user, never later than the true one, refiled when it fires. No sweeping over all users.

What a restart finds is filed in bulk and kept apart: few of a million users are due soon, and most come back first.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import accumulate
from typing import Final

from streams.core.events import DAY_MS


class DeadlineQueue:
    """The next instant at which each user wants to be looked at.

    Filing a later instant than the one on file does nothing: the entry fires early and is filed again. Filing an
    earlier one supersedes it. So most events cost no heap operation.

    >>> queue = DeadlineQueue()
    >>> queue.file("ada", 20); queue.file("bob", 10); queue.file("ada", 5)
    >>> queue.pop(15), queue.pop(15), queue.pop(15)
    ((5, 'ada'), (10, 'bob'), None)
    """

    __slots__ = ("_filed", "_heap", "_standing")

    def __init__(self, roster: Roster | None = None) -> None:
        self._heap: list[tuple[int, str]] = []
        self._filed: dict[str, int] = {}
        self._standing = Standing(Roster() if roster is None else roster)

    def __len__(self) -> int:
        """Entries: one per user, and one more for each who was filed in bulk and by name."""
        return len(self._filed) + len(self._standing)

    def file_all(self, instants: Iterable[int]) -> None:
        """Ask for a look at each of the users that were added to the roster since, at these instants (ms).

        Such an entry stays until it fires, whatever is filed or dropped by name: an early look does no harm.
        """
        self._standing.add(instants)

    def file(self, user_id: str, at: int) -> None:
        """Ask for a look at a user at an instant (ms), or sooner."""
        on_file = self._filed.get(user_id)
        if on_file is not None and on_file <= at:
            return
        self._filed[user_id] = at
        heappush(self._heap, (at, user_id))
        if len(self._heap) > 4 * len(self._filed) + 64:
            self._heap = [(at, user) for user, at in self._filed.items()]
            heapify(self._heap)

    def pop(self, through: int) -> tuple[int, str] | None:
        """Take the earliest entry at or before an instant; None if there is none."""
        if through >= self._standing.quiet_until:
            return self._pop_either(through)
        heap = self._heap
        while heap and heap[0][0] <= through:
            at, user_id = heappop(heap)
            if self._filed.get(user_id) == at:
                del self._filed[user_id]
                return at, user_id
        return None

    def _pop_either(self, through: int) -> tuple[int, str] | None:
        heap, standing = self._heap, self._standing.first(through)
        while heap and heap[0][0] <= through and (standing is None or heap[0] < standing):
            at, user_id = heappop(heap)
            if self._filed.get(user_id) == at:
                del self._filed[user_id]
                return at, user_id
        if standing is not None:
            self._standing.take()
        return standing

    def drop(self, user_id: str) -> None:
        """Forget a user."""
        self._filed.pop(user_id, None)


class Roster:
    """User ids by number, as UTF-8 one behind the other: a quarter of the memory of as many strings.

    >>> roster = Roster(); roster.extend([b"ada", b"bob"]); roster[1], len(roster)
    ('bob', 2)
    """

    __slots__ = ("_ends", "_text")

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        return self._text[self._ends[number] : self._ends[number + 1]].decode()

    def extend(self, keys: Iterable[bytes]) -> None:
        """Add user ids in UTF-8."""
        keys = list(keys)
        self._ends.extend(accumulate(map(len, keys[1:]), initial=len(self._text) + len(keys[0])) if keys else ())
        self._text += b"".join(keys)


class Standing:
    """Deadlines that were there at the start, one for each of a roster; only taken from. 12 bytes a user.

    They are put in order as their time comes: those of a day, then of the two days behind it, then of four.
    """

    __slots__ = ("_due", "_instants", "_known", "_rest", "_roster", "_span_ms", "quiet_until")

    def __init__(self, roster: Roster) -> None:
        self.quiet_until = _FOR_EVER
        """None is due before this instant."""
        self._roster = roster
        self._instants = array("q")
        self._rest = array("I")
        """Numbers of those due behind ``_known``, ascending."""
        self._due: list[int] = []
        """Numbers of those due up to it, the first last."""
        self._known = _NEVER
        self._span_ms = DAY_MS

    def __len__(self) -> int:
        return len(self._rest) + len(self._due)

    def add(self, instants: Iterable[int]) -> None:
        """One for each user that the roster has more."""
        if self._due:
            self._rest = array("I", sorted([*self._rest, *self._due]))
            self._due.clear()
        first = len(self._instants)
        self._instants.extend(instants)
        self._rest.extend(range(first, len(self._instants)))
        self._known = _NEVER
        self._look()

    def first(self, through: int) -> tuple[int, str] | None:
        """The earliest at or before an instant, and whose it is."""
        if through > self._known and self._rest:
            self._look_ahead(through)
        if through < self.quiet_until:
            return None
        number = self._due[-1]
        return self._instants[number], self._roster[number]

    def take(self) -> None:
        """The earliest has had its turn."""
        self._due.pop()
        self._look()

    def _look_ahead(self, through: int) -> None:
        instants, known = self._instants, through + self._span_ms
        due = self._due[::-1] + [number for number in self._rest if instants[number] <= known]
        self._rest = array("I", [number for number in self._rest if instants[number] > known])
        due.sort(key=instants.__getitem__)
        due.reverse()
        self._due, self._known = due, known
        self._span_ms *= 2
        self._look()

    def _look(self) -> None:
        if self._due:
            self.quiet_until = self._instants[self._due[-1]]
        else:
            self.quiet_until = self._known + 1 if self._rest else _FOR_EVER


_NEVER: Final = -(1 << 63)
"""Before every instant."""
_FOR_EVER: Final = 1 << 63
"""Behind every instant."""
