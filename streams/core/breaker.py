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
        self.trusted = trusted
        self.tripped = False
        """It tripped, and nobody has decided yet."""
        self.share = share
        self._least_users = least_users
        self._minute = _NO_MINUTE
        self._users: set[str] = set()
        self._changed: dict[str, tuple[str, str]] = {}
        self._exceeded = False

    def saw(self, seen: Iterable[Seen]) -> Trip | None:
        """Take note of users, in the order they were seen; the figures at the event that trips it, where one does.

        Behind a trip the rest of its minute is counted too (:meth:`figures`), and nothing after that until somebody
        has decided (:meth:`trust`, :meth:`reset`).
        """
        trip: Trip | None = None
        for at_ms, user_id, change in seen:
            minute = at_ms // MINUTE_MS
            if minute > self._minute:
                if self.tripped:
                    return trip
                self._begin(minute)
            self._users.add(user_id)
            if change is not None:
                self._note(user_id, change)
            users = len(self._users)
            if not self._exceeded and users >= self._least_users and len(self._changed) > self.share * users:
                self._exceeded = True
                if not self.trusted:
                    self.tripped = True
                    trip = self.figures()
        return trip

    def figures(self) -> Trip:
        """The minute as counted so far."""
        counts = Counter(self._changed.values()).most_common(MOST_TRANSITIONS)
        transitions = tuple((previous, current, count) for (previous, current), count in counts)
        return Trip(self._minute * MINUTE_MS, len(self._users), len(self._changed), transitions)

    def trust(self) -> None:
        """What was held is right: do not trip again until a minute has passed that would not have tripped."""
        self.trusted, self.tripped = True, False
        self._begin(_NO_MINUTE)

    def reset(self) -> None:
        """What was held is wrong: count afresh, and trip again if it goes on."""
        self.trusted = self.tripped = False
        self._begin(_NO_MINUTE)

    def _note(self, user_id: str, change: tuple[str, str]) -> None:
        """Who comes back to the stage of the minute's begin has not changed."""
        first = self._changed.pop(user_id, change)[0]
        if first != change[1]:
            self._changed[user_id] = (first, change[1])

    def _begin(self, minute: int) -> None:
        if self._minute != _NO_MINUTE and minute != _NO_MINUTE and not self._exceeded:
            self.trusted = False
        self._minute = minute
        self._users.clear()
        self._changed.clear()
        self._exceeded = False
