"""When a user's portrait may be published: at once, but at most once a minute each."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from typing import Final

EVERY_S: Final = 60.0


class PortraitThrottle:
    """Remembers whose portrait changed and was not published yet. Instants in seconds of any one steady clock.

    >>> throttle = PortraitThrottle()
    >>> throttle.changed(["ann"], now_s=0.0, offset=5); throttle.due(0.0)
    ['ann']
    >>> throttle.changed(["ann"], now_s=1.0, offset=6); throttle.due(59.0), throttle.due(60.0)
    ([], ['ann'])
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._pending: dict[str, int] = {}
        self._queue: list[tuple[float, str]] = []
        self._sent: dict[str, float] = {}
        self._order: deque[tuple[float, str]] = deque()

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def oldest_offset(self) -> int | None:
        """Changelog offset from which on changes are unpublished; None where none are."""
        return next(iter(self._pending.values()), None)

    def changed(self, users: Iterable[str], now_s: float, offset: int) -> None:
        """Note changed portraits; ``offset`` is the first changelog offset at which the changes can stand."""
        for user in users:
            if user not in self._pending:
                self._pending[user] = offset
                heapq.heappush(self._queue, (max(now_s, self._sent.get(user, -self._every_s) + self._every_s), user))

    def due(self, now_s: float) -> list[str]:
        """Take out the users to publish now."""
        while self._order and self._order[0][0] <= now_s - self._every_s:
            sent_s, user = self._order.popleft()
            if self._sent.get(user) == sent_s:
                del self._sent[user]
        users: list[str] = []
        while self._queue and self._queue[0][0] <= now_s:
            users.append(self._publish(heapq.heappop(self._queue)[1], now_s))
        return users

    def flush(self, now_s: float) -> list[str]:
        """Take out everyone: the worker stops, or the run ends."""
        users = [self._publish(user, now_s) for user in list(self._pending)]
        self._queue.clear()
        return users

    def _publish(self, user: str, now_s: float) -> str:
        del self._pending[user]
        self._sent[user] = now_s
        self._order.append((now_s, user))
        return user
