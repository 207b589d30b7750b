"""Deadlines: one entry per user, never later than the true one, refiled when it fires. No sweeping over all users."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class DeadlineQueue:
    """The next instant at which each user wants to be looked at.

    Filing a later instant than the one on file does nothing: the entry fires early and is filed again. Filing an
    earlier one supersedes it. So most events cost no heap operation.

    >>> queue = DeadlineQueue()
    >>> queue.file("ada", 20); queue.file("bob", 10); queue.file("ada", 5)
    >>> queue.pop(15), queue.pop(15), queue.pop(15)
    ((5, 'ada'), (10, 'bob'), None)
    """

    __slots__ = ("_filed", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._filed: dict[str, int] = {}

    def __len__(self) -> int:
        """Users with an entry."""
        return len(self._filed)

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
        heap = self._heap
        while heap and heap[0][0] <= through:
            at, user_id = heappop(heap)
            if self._filed.get(user_id) == at:
                del self._filed[user_id]
                return at, user_id
        return None

    def drop(self, user_id: str) -> None:
        """Forget a user."""
        self._filed.pop(user_id, None)
