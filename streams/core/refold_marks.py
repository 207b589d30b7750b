"""Where folding a user's open events again may begin: disorder near their end costs what is near their end."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from streams.core.events import Event
from streams.core.fold import Moment
from streams.core.state import State

MARK_EVERY: Final = 32
"""Open events after which a refold leaves a mark to begin at next time: disorder is mostly near the end."""


class Walk(Protocol):
    """Walks along while a view is made anew, and hears of what comes by in the order of the log."""

    def told(self, moment: Moment) -> None:
        """A deadline has fired."""

    def ordered(self, state: State, event: Event) -> None:
        """An event has opened an order."""

    def walked(self) -> Any:
        """What was made of it up to here, to be taken up by a later walk."""

    def resume(self, walked: Any) -> bool:
        """Take up what an earlier walk had made; False where it would not be the same any more."""


class Mark(NamedTuple):
    """A state on the way from the settled one to the view."""

    events: int
    """How many of the open events are in."""
    state: bytes
    walked: Any
    """What was made of what was heard up to there; None where there was nothing to hear."""


class Marks:
    """The marks of one user. They continue one settled state, and are gone with it."""

    __slots__ = ("_marks", "_settled")

    def __init__(self) -> None:
        self._settled = b""
        self._marks: list[Mark] = []

    def nearest(self, settled: bytes, walk: Walk | None) -> Mark:
        """Where folding again may begin.

        As long as there was nothing to hear of, no deadline and no order, whoever walks along hears the same from a
        mark on as from the settled state on; behind that, only who takes up what was heard up to the mark.
        """
        if self._settled is not settled:
            self._settled = settled
            self._marks.clear()
        while self._marks:
            mark = self._marks[-1]
            if walk is None or mark.walked is None or walk.resume(mark.walked):
                return mark
            self._marks.pop()
        return Mark(0, settled, None)

    def leave(self, mark: Mark) -> None:
        """Remember one, behind all others."""
        self._marks.append(mark)

    def inserted(self, at: int) -> None:
        """An event has come in at this place among the open ones: what was behind it is wrong."""
        while self._marks and self._marks[-1].events > at:
            self._marks.pop()
