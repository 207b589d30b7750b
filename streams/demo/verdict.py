"""What was told, held against what the simulator knows: who was caught, how early, and what that is worth.

Nothing here looks at the engine: it reads the messages as a service behind Kafka would, and the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from streams.core.events import DAY_MS
from streams.demo.customers import Archetype
from streams.demo.shop import Truth
from streams.demo.state import Told

TOP_SHARE: Final = 10
"""One in so many: the top decile."""
_PAST: Final = frozenset({"churned", "dormant"})
_CAME_BACK: Final = frozenset({"growing", "loyal", "reactivated"})


@dataclass(frozen=True, slots=True)
class Ranking:
    """The customers at one midnight: who could be ranked, and who stood in the top decile."""

    at_ms: int
    ranked: frozenset[str]
    top: frozenset[str]


@dataclass(frozen=True, slots=True)
class Catch:
    """A slipping customer who passed the churn limit."""

    user_id: str
    slips_ms: int
    """When the simulator let them begin to slip."""
    limit_ms: int
    caught_ms: int | None
    """The first midnight in between at which they stood in the top decile."""

    @property
    def days_before(self) -> float | None:
        """Days from being caught to the limit."""
        return None if self.caught_ms is None else (self.limit_ms - self.caught_ms) / DAY_MS


@dataclass(frozen=True, slots=True)
class Verdict:
    """Predictions against the truth."""

    slipping: int
    """Slipping customers, all of them."""
    too_early: int
    """Those who passed their limit before the model had its labels: nobody was ranked yet."""
    catches: tuple[Catch, ...]
    """The others who passed it."""
    by_chance: float | None
    """Share of the regulars in the top decile at least once over the same days: what catching costs."""
    since_ms: int | None
    """The first midnight with a ranking."""

    @property
    def caught(self) -> tuple[Catch, ...]:
        """Those who stood in the top decile in time, the earliest first."""
        found = [catch for catch in self.catches if catch.caught_ms is not None]
        return tuple(sorted(found, key=lambda catch: (-(catch.days_before or 0.0), catch.user_id)))

    @property
    def median_days_before(self) -> float | None:
        """Median of the days from being caught to the limit; None where nobody was."""
        days = [catch.days_before for catch in self.catches if catch.days_before is not None]
        return median(days) if days else None


def rankings(history: Iterable[Told]) -> list[Ranking]:
    """Midnight by midnight, all who had ordered twice or more and were not past their churn limit, by their risk.

    Parameters
    ----------
    history
        Every stage and probability told, in any order.

    Examples
    --------
    >>> day = DAY_MS
    >>> told = [Told(0, n, f"u{n}", "loyal", None) for n in range(20)]
    >>> told += [Told(day // 2, 30 + n, f"u{n}", None, n / 20) for n in range(20)]
    >>> told += [Told(day, 60, "u0", "loyal", None)]
    >>> [(each.at_ms // day, sorted(each.top)) for each in rankings(told)]
    [(1, ['u18', 'u19'])]
    """
    told = sorted(history, key=lambda each: (each.at_ms, each.user_id, each.seq))
    if not told:
        return []
    stage: dict[str, str | None] = {}
    risk: dict[str, float] = {}
    came_back: set[str] = set()
    found: list[Ranking] = []
    at, last = 0, told[-1].at_ms
    midnight = told[0].at_ms // DAY_MS * DAY_MS + DAY_MS
    while midnight <= last:
        while at < len(told) and told[at].at_ms <= midnight:
            each = told[at]
            at += 1
            if each.probability is not None:
                risk[each.user_id] = each.probability
            else:
                stage[each.user_id] = each.stage
                if each.stage in _CAME_BACK:
                    came_back.add(each.user_id)
        ranked = [user for user in risk if user in came_back and stage.get(user) not in _PAST]
        if len(ranked) >= TOP_SHARE:
            ranked.sort(key=lambda user: (-risk[user], user))
            found.append(Ranking(midnight, frozenset(ranked), frozenset(ranked[: len(ranked) // TOP_SHARE])))
        midnight += DAY_MS
    return found


def limits(history: Iterable[Told]) -> dict[str, int]:
    """When each user last passed the churn limit for good, ms: told as churned, and not taken back by an order."""
    passed: dict[str, int] = {}
    for each in sorted(history, key=lambda each: (each.at_ms, each.user_id, each.seq)):
        if each.stage == "churned":
            passed[each.user_id] = each.at_ms
        elif each.stage is not None and each.stage not in _PAST:
            passed.pop(each.user_id, None)
    return passed


def verdict(truth: Truth, history: Sequence[Told]) -> Verdict:
    """Hold what was told against who really slipped.

    A slipping customer is caught if they stood in the top decile at a midnight after they began to slip and before
    their limit. The regulars tell what that is worth: how many of them stood there over the very same days.
    """
    days = rankings(history)
    passed = limits(history)
    slipping = truth.of(Archetype.SLIPPING)
    regulars = [user.user_id for user in truth.of(Archetype.REGULAR)]
    catches: list[Catch] = []
    too_early = alarmed = watched = 0
    for user in slipping:
        limit, slips = passed.get(user.user_id), user.slips_at
        if limit is None or slips is None or slips >= limit:
            continue
        window = [day for day in days if slips <= day.at_ms < limit]
        if not window:
            too_early += 1
            continue
        caught = next((day.at_ms for day in window if user.user_id in day.top), None)
        catches.append(Catch(user.user_id, slips, limit, caught))
        seen: frozenset[str] = frozenset().union(*(day.ranked for day in window))
        topped: frozenset[str] = frozenset().union(*(day.top for day in window))
        watched += sum(name in seen for name in regulars)
        alarmed += sum(name in topped for name in regulars)
    return Verdict(
        slipping=len(slipping),
        too_early=too_early,
        catches=tuple(catches),
        by_chance=alarmed / watched if watched else None,
        since_ms=days[0].at_ms if days else None,
    )
