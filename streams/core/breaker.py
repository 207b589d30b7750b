"""The output circuit breaker: when too many users seen in a minute change stage, it is not told before somebody looked.

A producer's bad day (an order for everybody) or a wrong policy moves most of the users it touches; a healthy shop moves
few of them. The breaker only watches: what is held, and what becomes of it, is the shell's.

*Minute* is a minute of the log's time (the newest event time so far), so the log decides when it trips, not the run.
*Seen* is who had an accepted event in it, or was brought over to a new policy; who merely stayed silent was not seen.
*Changed* is who was then told another life-cycle stage than before; a first stage is not a change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streams.core.events import MINUTE_MS
from streams.core.ports import Seen

MOST_TRANSITIONS: Final = 10
_NO_MINUTE: Final = -1


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the breaker tripped."""

    minute_ms: int
    """Begin of the minute, event time."""
    users: int
    changed: int
    transitions: tuple[tuple[str, str, int], ...]
    """(previous, current, how many), most frequent first."""

    @property
    def share(self) -> float:
        """Users who changed stage, of those seen."""
        return self.changed / self.users


class _Minute:
    """Who was seen in the present minute, and who changed stage in it."""

    __slots__ = ("changed", "number", "users")

    def __init__(self) -> None:
        self.number = _NO_MINUTE
        self.users: set[str] = set()
        self.changed: dict[str, tuple[str, str]] = {}

    def begin(self, number: int) -> None:
        """Count afresh."""
        self.number = number
        self.users.clear()
        self.changed.clear()

    def take(self, user_id: str, change: tuple[str, str] | None) -> None:
        """Count one; who comes back to the stage of the minute's begin has not changed."""
        self.users.add(user_id)
        if change is not None:
            first = self.changed.pop(user_id, change)[0]
            if first != change[1]:
                self.changed[user_id] = (first, change[1])

    def figures(self) -> Trip:
        """As counted so far."""
        counts = Counter(self.changed.values()).most_common(MOST_TRANSITIONS)
        transitions = tuple((previous, current, count) for (previous, current), count in counts)
        return Trip(self.number * MINUTE_MS, len(self.users), len(self.changed), transitions)


class Breaker:
    """Watches one partition.

    Parameters
    ----------
    share
        Trips above this share of the users seen in a minute; 1 never trips.
    least_users
        Fewer users in a minute say nothing.
    trusted
        What goes on now was found to be right (:meth:`trust`).

    >>> breaker = Breaker(share=0.5, least_users=2)
    >>> breaker.saw([Seen(0, "ann", None), Seen(1, "bob", ("visitor", "new_customer"))])
    >>> breaker.saw([Seen(2, "cid", ("growing", "churned"))]).share > 0.5
    True
    """

    def __init__(self, share: float, least_users: int, *, trusted: bool = False) -> None:
        self.share = share
        self.trusted = trusted
        self.tripped = False
        """It tripped, and nobody has decided yet."""
        self._least_users = least_users
        self._minute = _Minute()
        self._exceeded = False

    def saw(self, seen: Iterable[Seen]) -> Trip | None:
        """Take note of users, in the order they were seen; the figures at the event that trips it, where one does.

        Behind a trip the rest of its minute is counted too (:meth:`figures`), and nothing after that until somebody
        has decided (:meth:`trust`, :meth:`reset`).
        """
        trip: Trip | None = None
        now = self._minute
        for at_ms, user_id, change in seen:
            minute = at_ms // MINUTE_MS
            if minute > now.number:
                if self.tripped:
                    return trip
                if now.number != _NO_MINUTE and not self._exceeded:
                    self.trusted = False
                self._begin(minute)
            now.take(user_id, change)
            users = len(now.users)
            if not self._exceeded and users >= self._least_users and len(now.changed) > self.share * users:
                self._exceeded = True
                if not self.trusted:
                    self.tripped = True
                    trip = now.figures()
        return trip

    def figures(self) -> Trip:
        """The minute as counted so far."""
        return self._minute.figures()

    def trust(self) -> None:
        """What was held is right: do not trip again until a minute has passed that would not have tripped."""
        self.trusted, self.tripped = True, False
        self._begin(_NO_MINUTE)

    def reset(self) -> None:
        """What was held is wrong: count afresh, and trip again if it goes on."""
        self.trusted = self.tripped = False
        self._begin(_NO_MINUTE)

    def _begin(self, minute: int) -> None:
        self._minute.begin(minute)
        self._exceeded = False


class HighestShare:
    """The nearest a log came to tripping a breaker: what to choose its limit by.

    Parameters
    ----------
    least_users
        As a breaker has it.

    >>> log = HighestShare(least_users=2)
    >>> log.saw([Seen(0, "ann", ("visitor", "activated")), Seen(1, "bob", None), Seen(2, "cid", None)])
    >>> log.highest.share
    0.5
    """

    def __init__(self, least_users: int) -> None:
        self.highest: Trip | None = None
        """The figures at that event, without transitions; None where no minute had users enough."""
        self._least_users = least_users
        self._minute = _Minute()
        self._share = -1.0

    def saw(self, seen: Iterable[Seen]) -> None:
        """Take note of users, in the order they were seen."""
        now = self._minute
        for at_ms, user_id, change in seen:
            minute = at_ms // MINUTE_MS
            if minute > now.number:
                now.begin(minute)
            now.take(user_id, change)
            users = len(now.users)
            if users >= self._least_users and len(now.changed) / users > self._share:
                self._share = len(now.changed) / users
                self.highest = Trip(now.number * MINUTE_MS, users, len(now.changed), ())
