"""A bet against "no better": the evidence that the mean of bounded observations is above zero, valid at any time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Self

STAKES: Final = ((0.05, 0.125), (0.1, 0.125), (0.2, 0.25), (0.4, 0.5))
"""Shares of the wealth that are staked on each observation, and how much of the start each share is given."""
AT_ONCE: Final = 0.5
"""Share of the start that is bet from the first observation on; the rest begins later, a little at each."""
HALF_BEGUN: Final = 365
"""Observations after which half of that rest has begun."""


class EProcess:
    """Wealth of a gambler who starts with 1 and bets on observations of [-1, 1] being above zero on average.

    With a stake of λ an observation x turns the wealth W into W (1 + λ x). If, whatever came before, x is not above
    zero in the mean, the wealth is a non-negative supermartingale, so by Ville's inequality it *ever* reaches 1/a with
    a probability of at most a: it may be looked at after every observation, and acted upon. Nothing else is assumed of
    the observations, above all no independence.

    The start is spread over several stakes, and over when they begin: what a stake has lost in bad years would
    otherwise have to be won back before a change for the better shows. Both are mixtures of such processes with fixed
    weights, and so one themselves. What is begun late costs at most a factor of 2 at the beginning.

    Wealth is kept as logarithms: years of losses do not end in zero, nor gains in infinity.

    Attributes
    ----------
    days
        How many observations were bet on.

    Examples
    --------
    >>> evidence = EProcess()
    >>> for _ in range(30):
    ...     evidence.update(0.5)
    >>> round(evidence.value)
    63

    References
    ----------
    Ville, "Étude critique de la notion de collectif" (1939); Waudby-Smith and Ramdas, "Estimating means of bounded
    random variables by betting", JRSS B 86 (2024); Choe and Ramdas, "Comparing sequential forecasters", Operations
    Research 72 (2024); Shin, Ramdas and Rinaldo, "E-detectors", NEJSDS 2 (2024), for late beginnings.
    """

    def __init__(self) -> None:
        self.days = 0
        self._wealth = [math.log(AT_ONCE * share) for _, share in STAKES]
        """Logarithm of what each stake has made of what was begun."""

    def update(self, observation: float) -> None:
        """Bet on one observation.

        Raises
        ------
        ValueError
            It is outside [-1, 1], or no number.
        """
        if not -1.0 <= observation <= 1.0:
            raise ValueError(f"{observation!r} is not within -1 and 1")
        begun = _waiting(self.days) - _waiting(self.days + 1)
        self.days += 1
        self._wealth = [
            _log_of_sum(wealth + math.log1p(stake * observation), math.log(begun * share))
            for wealth, (stake, share) in zip(self._wealth, STAKES, strict=True)
        ]

    @property
    def log_value(self) -> float:
        """Natural logarithm of :attr:`value`."""
        total = math.log(_waiting(self.days))
        for wealth in self._wealth:
            total = _log_of_sum(total, wealth)
        return total

    @property
    def value(self) -> float:
        """The wealth: 1 at the start; how strongly what was seen speaks against "no better"."""
        return math.exp(min(self.log_value, 700.0))

    def state(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {"days": self.days, "wealth": list(self._wealth)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The process that :meth:`state` was taken of, to the bit.

        Raises
        ------
        ValueError, KeyError, TypeError
            On a state that does not hold together.
        """
        process = cls()
        process.days = int(state["days"])
        process._wealth = [float(wealth) for wealth in state["wealth"]]
        if process.days < 0 or len(process._wealth) != len(STAKES) or not all(map(math.isfinite, process._wealth)):
            raise ValueError("the wealth of an e-process does not hold together")
        return process


def _waiting(days: int) -> float:
    """How much of the start has not begun to bet."""
    return (1.0 - AT_ONCE) / (1.0 + days / HALF_BEGUN)


def _log_of_sum(a: float, b: float) -> float:
    """Logarithm of the sum of two numbers given by theirs."""
    high, low = (a, b) if a >= b else (b, a)
    return high + math.log1p(math.exp(low - high))
