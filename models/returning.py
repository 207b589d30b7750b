"""How customers go on: chances to buy, horizon by horizon, by how many horizons they have stayed away.

One horizon says little about a year. Multiplying it by 365 / H would have everybody buy for ever; multiplying the
chances would have everybody who pauses once be gone. Here a customer moves between states of silence: a purchase leads
to the first, a horizon without one to the next, and the chance to buy in each is what the shop's customers have shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any, Final, Self

YEAR_DAYS: Final = 365
STATES: Final = 13
"""Whole horizons since the last order, the last state for that many and more."""
PRIOR: Final = 20.0
"""A state begins with this many labels' worth of the chance of the state before it."""
_EDGE: Final = 1e-6


def states_for(horizon_days: int) -> int:
    """How many states of silence fit into a year.

    >>> states_for(30), states_for(90)
    (13, 5)
    """
    return min(STATES, max(2, math.ceil(YEAR_DAYS / horizon_days)))


class Returning:
    """Counts, per state of silence, of customers who bought within the next horizon.

    Parameters
    ----------
    horizon_days
        Days of the horizon.

    Examples
    --------
    >>> shop = Returning(30)
    >>> for bought in (True, True, True, False):
    ...     shop.observe(3.0, bought)
    >>> shop.seen[0], shop.bought[0]
    (4, 3)

    References
    ----------
    Pfeifer and Carraway, "Modeling customer relationships as Markov chains", J. of Interactive Marketing 14 (2000).
    """

    __slots__ = ("bought", "horizon_days", "seen")

    def __init__(self, horizon_days: int) -> None:
        if horizon_days < 1:
            raise ValueError(f"horizon_days must be at least 1, not {horizon_days}")
        self.horizon_days = horizon_days
        self.seen = [0] * states_for(horizon_days)
        self.bought = [0] * len(self.seen)

    def observe(self, recency_days: float, bought: bool) -> None:
        """Count one label of somebody whose last order was that many days before the score."""
        state = state_of(recency_days, self.horizon_days, len(self.seen))
        self.seen[state] += 1
        self.bought[state] += bought

    def chances(self) -> list[float]:
        """The chance to buy within a horizon, per state; each is held a little by that of the state before it."""
        result: list[float] = []
        before = 0.5
        for seen, bought in zip(self.seen, self.bought, strict=True):
            before = (bought + PRIOR * before) / (seen + PRIOR)
            result.append(before)
        return result

    def state(self) -> dict[str, Any]:
        """Everything counted, JSON-ready."""
        return {"horizon_days": self.horizon_days, "seen": list(self.seen), "bought": list(self.bought)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The counts that :meth:`state` was taken of.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        counts = cls(int(state["horizon_days"]))
        seen, bought = [int(n) for n in state["seen"]], [int(n) for n in state["bought"]]
        if not len(seen) == len(bought) == len(counts.seen) or any(
            not 0 <= some <= every for some, every in zip(bought, seen, strict=True)
        ):
            raise ValueError("more bought than were seen, or in other states")
        counts.seen, counts.bought = seen, bought
        return counts


def state_of(recency_days: float, horizon_days: int, states: int) -> int:
    """The state of silence: whole horizons since the last order, at most the last state.

    >>> state_of(29.9, 30, 13), state_of(30.0, 30, 13), state_of(9_999.0, 30, 13)
    (0, 1, 12)
    """
    return min(max(int(recency_days // horizon_days), 0), states - 1)


def buying_horizons(
    chances: Sequence[float], state: int, first: float, horizon_days: int, days: int = YEAR_DAYS
) -> float:
    """Expected number of horizons with a purchase within the coming days.

    The first horizon has the customer's own chance. How it compares with that of their state, as odds, is how the
    customer differs from others in it, and that stays with them from then on, whatever state they come to. The last
    horizon counts for the part of it that lies within.

    Parameters
    ----------
    chances
        Per state of silence, as :meth:`Returning.chances` gives them.
    state
        The customer's, now.
    first
        The customer's own chance to buy within the first horizon.
    horizon_days, days
        Length of one horizon, and how far to look.

    Examples
    --------
    >>> buying_horizons([0.5, 0.5], 0, 0.5, 100, 250)
    1.25
    """
    first = min(max(first, _EDGE), 1.0 - _EDGE)
    usual = min(max(chances[state], _EDGE), 1.0 - _EDGE)
    differs = first / (1.0 - first) * (1.0 - usual) / usual
    own = [(odds := chance * differs) / (odds + 1.0 - chance) for chance in chances]
    horizons = days / horizon_days
    whole = math.ceil(horizons)
    # By renewal: a purchase comes for the first time in some horizon, and what follows begins anew.
    again = _first_times(own, 0, own[0], whole)
    coming = _first_times(own, state, first, whole)
    after_one = [1.0]
    """The chance to buy in each horizon from a purchase on, the farthest first."""
    for _ in range(1, whole):
        after_one.insert(0, sum(map(mul, again, after_one)))
    # The last horizon counts for a part; before it, whatever follows the first purchase counts whole.
    part = horizons - (whole - 1)
    total = nearer = 0.0
    for coming_first, last in zip(reversed(coming), reversed(after_one), strict=True):
        total += coming_first * (nearer + last * part)
        nearer += last
    return total


def _first_times(own: Sequence[float], state: int, first: float, count: int) -> list[float]:
    """The chance that the first purchase falls into each of the coming horizons; that of the next one is given."""
    found, left = [first], 1.0 - first
    for chance in [*own[state + 1 :], *[own[-1]] * count][: count - 1]:
        found.append(left * chance)
        left *= 1.0 - chance
    return found
