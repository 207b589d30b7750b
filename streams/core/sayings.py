"""Sayings: what can be said of a customer about each feature, in words that somebody who runs a shop reads.

A saying is made of a customer's feature vector alone, so it repeats with it. It is a *reason* only where the customer
differs from the average in the direction that speaks for leaving: a marketer who reads "4 orders in 90 days; the
average customer 2" as a reason for leaving would rightly trust nothing else. What the model learned to weigh the other
way round is told as what it is (:mod:`streams.core.reasons`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from streams.core.families import MEMBERS
from streams.core.features import CATALOGUE, NAMES
from streams.core.wording import ago, counted, days, every, money, number, share

Vector = Sequence[float]
EITHER: Final = 0
MORE: Final = 1
LESS: Final = -1


def natural(index: int, vector: Vector) -> float:
    """The value of a feature in its unit."""
    return CATALOGUE[index].natural(vector[index])


def _always(_: Vector) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Saying:
    """What can be said about one feature.

    Parameters
    ----------
    feature
        Its index in the catalogue.
    speaks
        What speaks for leaving: ``MORE`` than the average, ``LESS``, or ``EITHER``, as the model finds it.
    figure
        The value as people say it.
    fact
        A sentence with a gap for the figure.
    average
        What the average customer's figure is put behind; its own gap.
    holds
        Whether it can be said of a customer at all.
    """

    feature: int
    speaks: int
    figure: Callable[[float], str]
    fact: str
    average: str
    holds: Callable[[Vector], bool] = _always

    def reason(self, vector: Vector, usual: Vector, term: float) -> str | None:
        """The saying as a reason for leaving; None where it is none. ``term`` is what the feature adds to the logit."""
        if not self.holds(vector):
            return None
        if (vector[self.feature] - usual[self.feature]) * self.speaks <= 0.0 and (self.speaks or term <= 0.0):
            return None
        mine, theirs = self._figures(vector, usual)
        return None if mine == theirs else f"{self.fact.format(mine)}; {self.average.format(theirs)}"

    def plain(self, vector: Vector, usual: Vector) -> str | None:
        """The saying as a mere fact; None where it cannot be said."""
        if not self.holds(vector):
            return None
        mine, theirs = self._figures(vector, usual)
        return self.fact.format(mine) if mine == theirs else f"{self.fact.format(mine)}; {self.average.format(theirs)}"

    def change(self, now: Vector, then: Vector, raised: bool) -> str | None:
        """What is different from an earlier vector, if that speaks for the risk's having risen (or fallen)."""
        if not self.holds(now):
            return None
        moved = now[self.feature] - then[self.feature]
        if moved == 0.0 or (self.speaks and (moved * self.speaks > 0.0) is not raised):
            return None
        mine, theirs = self._figures(now, then)
        return None if mine == theirs else f"{self.fact.format(mine)}; {theirs} at the last score"

    def _figures(self, vector: Vector, other: Vector) -> tuple[str, str]:
        return self.figure(natural(self.feature, vector)), self.figure(natural(self.feature, other))


_RECENCY: Final = NAMES.index("recency_days")
_ORDERS: Final = NAMES.index("orders")
_DAYS: Final = NAMES.index("purchase_days")
_GAP: Final = NAMES.index("usual_gap_days")
_LONGEST: Final = NAMES.index("longest_gap_days")
_MEAN: Final = NAMES.index("mean_gap_days")
_LAST: Final = NAMES.index("last_gap_days")
_NO_RHYTHM: Final = NAMES.index("no_rhythm")
_O30: Final = NAMES.index("orders_30d")
_O90: Final = NAMES.index("orders_90d")
_O365: Final = NAMES.index("orders_365d")
_M90: Final = NAMES.index("net_spend_90d")
_M365: Final = NAMES.index("net_spend_365d")
_BROWSES: Final = NAMES.index("browses")


def _bought_twice(vector: Vector) -> bool:
    """On two days at least: then there is a gap of their own to speak of."""
    return natural(_DAYS, vector) > 1.5


def _has_rhythm(vector: Vector) -> bool:
    return vector[_NO_RHYTHM] < 0.5


def _no_order_for(vector: Vector) -> str:
    return f"no order for {days(natural(_RECENCY, vector))}"


@dataclass(frozen=True, slots=True)
class Own:
    """A saying that holds the customer against their own past, not against the average.

    Parameters
    ----------
    feature
        The feature it is about.
    told
        The sentence; None where it is no reason for leaving.
    fact
        The same as a mere fact; None where it cannot be said.
    """

    feature: int
    told: Callable[[Vector], str | None]
    fact: Callable[[Vector], str | None] = lambda _: None

    def reason(self, vector: Vector, usual: Vector, term: float) -> str | None:
        """The saying as a reason for leaving; None where it is none."""
        return self.told(vector)

    def plain(self, vector: Vector, usual: Vector) -> str | None:
        """The saying as a mere fact; None where it cannot be said."""
        return self.fact(vector)

    def change(self, now: Vector, then: Vector, raised: bool) -> str | None:
        """Silence against the usual gap, now and then."""
        moved = now[_RECENCY] - now[_GAP] - then[_RECENCY] + then[_GAP]
        if moved == 0.0 or (moved > 0.0) is not raised or not _has_rhythm(now):
            return None
        mine, theirs = (f"{ago(natural(_RECENCY, one))}, usually {every(natural(_GAP, one))}" for one in (now, then))
        return None if mine == theirs else f"last order {mine}; {theirs} at the last score"


def _overdue(vector: Vector) -> str | None:
    silent, gap = natural(_RECENCY, vector), natural(_GAP, vector)
    if silent <= gap:
        return None
    if _has_rhythm(vector):
        return f"{_no_order_for(vector)}; usually {every(gap)}"
    return f"{_no_order_for(vector)}; customers here usually order {every(gap)}"


def _rhythm(vector: Vector) -> str | None:
    if not _has_rhythm(vector):
        return None
    return f"last order {ago(natural(_RECENCY, vector))}; usually {every(natural(_GAP, vector))}"


def _beyond_longest(vector: Vector) -> str | None:
    silent, longest = natural(_RECENCY, vector), natural(_LONGEST, vector)
    if not _bought_twice(vector) or silent <= longest:
        return None
    return f"{_no_order_for(vector)}; never longer than {days(longest)} before"


def _beyond_mean(vector: Vector) -> str | None:
    silent, mean = natural(_RECENCY, vector), natural(_MEAN, vector)
    if not _bought_twice(vector) or silent <= mean:
        return None
    return f"{_no_order_for(vector)}; {every(mean)} on average before"


def _growing_gaps(vector: Vector) -> str | None:
    last, mean = natural(_LAST, vector), natural(_MEAN, vector)
    if not _bought_twice(vector) or days(last) == days(mean) or last < mean:
        return None
    return f"orders come further apart: {days(last)} the last time, {days(mean)} on average"


def _unsettled(vector: Vector) -> str | None:
    bought = round(natural(_DAYS, vector))
    if _has_rhythm(vector) or bought > 2:
        return None
    if bought == 2:
        return f"has ordered on 2 days only, last {ago(natural(_RECENCY, vector))}"
    return f"{_only_once(vector)}, {ago(natural(_RECENCY, vector))}"


def _only_once(vector: Vector) -> str | None:
    if _bought_twice(vector):
        return None
    return "has ordered only once" if round(natural(_ORDERS, vector)) <= 1 else "has ordered on one day only"


def _fewer_orders(short: int, long: int, short_days: int, long_days: int) -> Callable[[Vector], str | None]:
    def told(vector: Vector) -> str | None:
        lately, before = natural(short, vector), natural(long, vector)
        if lately / short_days >= before / long_days:
            return None
        return (
            f"orders fall off: {counted(lately, 'order', 'orders')} in {short_days} days, "
            f"{number(before)} in {long_days} days"
        )

    return told


def _less_spent(vector: Vector) -> str | None:
    lately, before = natural(_M90, vector), natural(_M365, vector)
    if lately * 4.0 >= before or lately * 365.0 >= before * 90.0:
        return None
    return f"spends less: {money(lately)} in 90 days, {money(before)} in 365 days"


def _orders(value: float) -> str:
    return counted(value, "order", "orders")


_COMPARED: Final[dict[str, tuple[int, Callable[[float], str], str, str]]] = {
    "recency_days": (MORE, ago, "last order {}", "the average customer's {}"),
    "silence_days": (MORE, ago, "last seen {}", "the average customer {}"),
    "second_recency_days": (MORE, ago, "last order but one {}", "the average customer's {}"),
    "recency_share": (
        MORE,
        share,
        "no order in the last {} of the time as a customer",
        "the average customer's silence is {} of it",
    ),
    "tenure_days": (EITHER, days, "first order {} ago", "the average customer's {} ago"),
    "active_days": (LESS, number, "seen on {} days in all", "the average customer on {}"),
    "orders": (LESS, _orders, "{} in all", "the average customer {}"),
    "purchase_days": (LESS, number, "days with an order: {}", "the average customer {}"),
    "order_rate": (LESS, number, "orders per 30 days as a customer: {}", "the average customer {}"),
    "usual_gap_days": (MORE, every, "usually orders {}", "the average customer {}"),
    "mean_gap_days": (MORE, every, "orders {} on average", "the average customer {}"),
    "longest_gap_days": (MORE, days, "once did not order for {}", "the average customer's longest gap is {}"),
    "last_gap_days": (MORE, days, "the last gap between orders was {}", "the average customer's {}"),
    "order_value": (EITHER, money, "spends {} per order", "the average customer {}"),
    "last_order_value": (EITHER, money, "the last order was worth {}", "the average customer's {}"),
    "lines_per_order": (EITHER, number, "different items per order: {}", "the average customer {}"),
    "refund_share": (MORE, share, "{} of the spend was returned", "the average customer's {}"),
    "interests": (LESS, number, "categories of interest: {}", "the average customer {}"),
    "looked_after_order": (EITHER, days, "looked around until {} after the last order", "the average customer {}"),
}
"""Feature -> what speaks for leaving, its figure, the fact, the average."""
_IN_WINDOW: Final[dict[str, tuple[int, Callable[[float], str], str, str]]] = {
    "orders": (LESS, _orders, "{} in $ days", "the average customer {}"),
    "order_days": (LESS, number, "days with an order in the last $: {}", "the average customer {}"),
    "net_spend": (LESS, money, "spent {} in $ days", "the average customer {}"),
    "clicks": (LESS, lambda x: counted(x, "click", "clicks"), "{} in $ days", "the average customer {}"),
    "searches": (LESS, lambda x: counted(x, "search", "searches"), "{} in $ days", "the average customer {}"),
    "carts": (LESS, number, "things put into the cart in $ days: {}", "the average customer {}"),
}
"""Features that end in a window (``orders_30d``), by what they begin with; $ is the window."""
_HOLDS: Final[dict[str, Callable[[Vector], bool]]] = {
    "second_recency_days": lambda vector: natural(_ORDERS, vector) > 1.5,
    "usual_gap_days": _has_rhythm,
    "mean_gap_days": _bought_twice,
    "longest_gap_days": _bought_twice,
    "last_gap_days": _bought_twice,
}
_OWN: Final[dict[str, tuple[Callable[[Vector], str | None], Callable[[Vector], str | None]]]] = {
    "overdue": (_overdue, _rhythm),
    "overdue_longest": (_beyond_longest, _rhythm),
    "overdue_mean": (_beyond_mean, _rhythm),
    "gap_trend": (_growing_gaps, _rhythm),
    "no_rhythm": (_unsettled, _unsettled),
    "one_time": (_only_once, _only_once),
    "orders_trend_30d": (_fewer_orders(_O30, _O90, 30, 90), lambda _: None),
    "orders_trend_90d": (_fewer_orders(_O90, _O365, 90, 365), lambda _: None),
    "spend_trend_90d": (_less_spent, lambda _: None),
    "browses": (lambda vector: "has never clicked or searched" if vector[_BROWSES] < 0.5 else None, lambda _: None),
}


def _saying(index: int, name: str) -> Saying | Own | None:
    if name in _OWN:
        return Own(index, *_OWN[name])
    if name in _COMPARED:
        return Saying(index, *_COMPARED[name], _HOLDS.get(name, _always))
    windowed = re.fullmatch(r"(.+)_(\d+)d", name)
    if windowed is not None and windowed[1] in _IN_WINDOW:
        speaks, figure, fact, average = _IN_WINDOW[windowed[1]]
        return Saying(index, speaks, figure, fact.replace("$", windowed[2]), average)
    return None


_FOUND: Final = tuple(_saying(index, name) for index, name in enumerate(NAMES))
SAYINGS: Final[tuple[tuple[Saying | Own, ...], ...]] = tuple(
    tuple(saying for index in members if (saying := _FOUND[index]) is not None) for members in MEMBERS
)
"""Per family, what can be said of its features, in the order of the catalogue."""
