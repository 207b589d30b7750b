"""Phrases: the words for each feature of the catalogue, and which features a phrase speaks for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from streams.core.families import MEMBERS
from streams.core.features import CATALOGUE, NAMES
from streams.core.sayings import EITHER, LESS, MORE, Compared, Own, Saying, Vector, always, has_rhythm, natural
from streams.core.wording import ago, counted, days, every, money, number, share

Figure = Callable[[float], str]
_INDEX: Final = {name: index for index, name in enumerate(NAMES)}


def _value(name: str) -> Callable[[Vector], float]:
    index = _INDEX[name]
    return lambda vector: natural(index, vector)


_recency, _gap, _mean = _value("recency_days"), _value("usual_gap_days"), _value("mean_gap_days")
_longest, _last, _bought = _value("longest_gap_days"), _value("last_gap_days"), _value("purchase_days")
_orders_ever, _browses = _value("orders"), _value("browses")


def _again(vector: Vector) -> bool:
    """Ordered on two days at least: then there is a gap of their own to speak of."""
    return _bought(vector) > 1.5


def _silent(vector: Vector) -> str:
    return f"no order for {days(_recency(vector))}"


def _overdue(vector: Vector) -> str | None:
    if _recency(vector) <= _gap(vector):
        return None
    if has_rhythm(vector):
        return f"{_silent(vector)}; usually {every(_gap(vector))}"
    return f"{_silent(vector)}; customers here usually order {every(_gap(vector))}"


def _rhythm(vector: Vector) -> str | None:
    if not has_rhythm(vector):
        return None
    return f"last order {ago(_recency(vector))}; usually {every(_gap(vector))}"


def _beyond_longest(vector: Vector) -> str | None:
    if not _again(vector) or _recency(vector) <= _longest(vector):
        return None
    return f"{_silent(vector)}; never longer than {days(_longest(vector))} before"


def _beyond_mean(vector: Vector) -> str | None:
    if not _again(vector) or _recency(vector) <= _mean(vector):
        return None
    return f"{_silent(vector)}; {every(_mean(vector))} on average before"


def _further_apart(vector: Vector) -> str | None:
    last, mean = _last(vector), _mean(vector)
    if not _again(vector) or last < 1.1 * mean:
        return None
    return f"orders come further apart: {days(last)} the last time, {days(mean)} on average"


def _irregular(vector: Vector) -> str | None:
    longest, mean = _longest(vector), _mean(vector)
    if not has_rhythm(vector) or longest < 1.5 * mean:
        return None
    return f"orders at irregular intervals: {days(mean)} on average, {days(longest)} at the longest"


def _unsettled(vector: Vector) -> str | None:
    if has_rhythm(vector) or _bought(vector) > 2.5:
        return None
    if _again(vector):
        return f"has ordered on 2 days only, the last time {ago(_recency(vector))}"
    return f"{_only_once(vector)}, {ago(_recency(vector))}"


def _only_once(vector: Vector) -> str | None:
    if _again(vector):
        return None
    return "has ordered only once" if _orders_ever(vector) < 1.5 else "has ordered on one day only"


def _falling(
    name: str, short: int, long: int, what: str, figure: Figure, other: Figure
) -> Callable[[Vector], str | None]:
    lately, before = _value(f"{name}_{short}d"), _value(f"{name}_{long}d")

    def told(vector: Vector) -> str | None:
        now, all_of_it = lately(vector), before(vector)
        # As a share of its days, lately must be clearly less than the whole of it.
        if now / short > 0.9 * all_of_it / long:
            return None
        return f"{what}: {figure(now)} in {short} days, {other(all_of_it)} in {long} days"

    return told


def _never_browsed(vector: Vector) -> str | None:
    return "has never clicked or searched" if _browses(vector) < 0.5 else None


def _nothing(_: Vector) -> str | None:
    return None


def _count(one: str, many: str) -> Figure:
    return lambda value: counted(value, one, many)


def _order_days(value: float) -> str:
    return "no orders" if value < 0.5 else counted(value, "day with an order", "days with an order")


class _Words(NamedTuple):
    speaks: int
    figure: Figure
    short: Figure
    fact: str
    average: str
    holds: Callable[[Vector], bool] = always
    counts: bool = False


_orders, _days = _count("order", "orders"), _count("day", "days")
_THE_AVERAGE: Final = "the average customer {}"
_ONE_BY_ONE: Final[dict[str, _Words]] = {
    "recency_days": _Words(MORE, ago, ago, "last order {}", "the average customer's {}"),
    "silence_days": _Words(MORE, ago, ago, "last seen {}", _THE_AVERAGE),
    "second_recency_days": _Words(MORE, ago, ago, "last order but one {}", "the average customer's {}", _again),
    "recency_share": _Words(
        MORE, share, share, "silent for {} of the time as a customer", "the average customer for {}", _again
    ),
    "tenure_days": _Words(EITHER, ago, ago, "first order {}", "the average customer's {}"),
    "active_days": _Words(LESS, _days, number, "seen on {} in all", "the average customer on {}"),
    "orders": _Words(LESS, _orders, number, "{} in all", _THE_AVERAGE, _again),
    "purchase_days": _Words(LESS, _days, number, "ordered on {} in all", "the average customer on {}", _again),
    "order_rate": _Words(LESS, number, number, "{} orders per 30 days as a customer", _THE_AVERAGE),
    "usual_gap_days": _Words(MORE, every, every, "usually orders {}", _THE_AVERAGE, has_rhythm),
    "mean_gap_days": _Words(MORE, every, every, "orders {} on average", _THE_AVERAGE, _again),
    "longest_gap_days": _Words(
        MORE, days, days, "once stayed away for {}", "the average customer's longest gap is {}", _again
    ),
    "last_gap_days": _Words(MORE, days, days, "{} between the last two orders", _THE_AVERAGE, _again),
    "order_value": _Words(EITHER, money, money, "spends {} per order", _THE_AVERAGE),
    "last_order_value": _Words(EITHER, money, money, "the last order was worth {}", "the average customer's {}"),
    "lines_per_order": _Words(EITHER, _count("item", "items"), number, "{} per order", _THE_AVERAGE),
    "refund_share": _Words(MORE, share, share, "{} of the spend was returned", "the average customer returned {}"),
    "interests": _Words(
        LESS, _count("category", "categories"), number, "interested in {}", "the average customer in {}", always, True
    ),
    "carts_open": _Words(
        EITHER, _count("thing", "things"), number, "{} put into the cart since the last order", _THE_AVERAGE
    ),
    "looked_after_order": _Words(
        EITHER, days, days, "looked around until {} after the last order", _THE_AVERAGE, lambda v: _browses(v) > 0.5
    ),
}
_IN_WINDOW: Final[dict[str, _Words]] = {
    "orders": _Words(LESS, _orders, number, "{} in $ days", _THE_AVERAGE, always, True),
    "order_days": _Words(LESS, _order_days, number, "{} in $ days", _THE_AVERAGE, always, True),
    "active_days": _Words(
        LESS, _count("active day", "active days"), number, "{} in $ days", _THE_AVERAGE, always, True
    ),
    "net_spend": _Words(LESS, money, money, "spent {} in $ days", _THE_AVERAGE),
    "clicks": _Words(LESS, _count("click", "clicks"), number, "{} in $ days", _THE_AVERAGE, always, True),
    "searches": _Words(LESS, _count("search", "searches"), number, "{} in $ days", _THE_AVERAGE, always, True),
    "visit_days": _Words(
        LESS, _count("day with a visit", "days with a visit"), number, "{} in $ days", _THE_AVERAGE, always, True
    ),
    "carts": _Words(
        LESS, _count("thing", "things"), number, "{} put into the cart in $ days", _THE_AVERAGE, always, True
    ),
}
"""Features that end in a window (``orders_30d``), by what they begin with; $ is the window."""
_OWN: Final[dict[str, tuple[Callable[[Vector], str | None], Callable[[Vector], str | None]]]] = {
    "overdue": (_overdue, _rhythm),
    "overdue_longest": (_beyond_longest, _rhythm),
    "overdue_mean": (_beyond_mean, _rhythm),
    "gap_trend": (_further_apart, _rhythm),
    "gap_spread": (_irregular, _rhythm),
    "no_rhythm": (_unsettled, _unsettled),
    "one_time": (_only_once, _only_once),
    "orders_trend_30d": (_falling("orders", 30, 90, "orders fall off", _orders, number), _nothing),
    "orders_trend_90d": (_falling("orders", 90, 365, "orders fall off", _orders, number), _nothing),
    "spend_trend_90d": (_falling("net_spend", 90, 365, "spends less", money, money), _nothing),
    "clicks_trend_7d": (_falling("clicks", 7, 30, "looks around less", _count("click", "clicks"), number), _nothing),
    "browses": (_never_browsed, _nothing),
}
_KIN: Final = (
    (r"recency_(over_.*|squared|no_rhythm|one_time|x_.*)", "recency_days"),
    (r"tenure_(squared|one_time)", "tenure_days"),
    (r"overdue_(over_.*|squared|deviations|x_.*)|gaps_longer.*", "overdue"),
    (r"mean_gap_of_.*|typical_gap_days", "mean_gap_days"),
    (r"recent_gap_days", "last_gap_days"),
    (r"gap_log_spread", "gap_spread"),
    (r"gaps", "no_rhythm"),
)
"""Features that bend another one, or say it in another way, and the one that is told of them."""


def saying_of(name: str) -> Saying | None:
    """What can be said about a feature; None where another one is told instead."""
    index = _INDEX[name]
    log = CATALOGUE[index].log
    if name in _OWN:
        return Own(index, *_OWN[name])
    if name in _ONE_BY_ONE:
        return Compared(index, log, *_ONE_BY_ONE[name])
    windowed = re.fullmatch(r"(.+)_(\d+)d", name)
    if windowed is not None and windowed[1] in _IN_WINDOW:
        words = _IN_WINDOW[windowed[1]]
        return Compared(index, log, *words._replace(fact=words.fact.replace("$", windowed[2])))
    return None


def _told_as(name: str) -> str:
    """The feature that is told of one."""
    return next((told for pattern, told in _KIN if re.fullmatch(pattern, name)), name)


SAYINGS: Final[dict[int, Saying]] = {
    index: saying for index, name in enumerate(NAMES) if (saying := saying_of(name)) is not None
}
"""By feature; the others are told by their kin."""


def _voices() -> tuple[list[int], list[tuple[int, int]], list[int]]:
    speakers: list[int] = []
    spans: list[tuple[int, int]] = []
    voice_of = [0] * len(NAMES)
    for members in MEMBERS:
        begin = len(speakers)
        for index in members:
            speaker = _INDEX[_told_as(NAMES[index])]
            if speaker not in speakers[begin:]:
                speakers.append(speaker)
            voice_of[index] = speakers.index(speaker, begin)
        spans.append((begin, len(speakers)))
    return speakers, spans, voice_of


_SPEAKERS, _SPANS, _VOICE_OF = _voices()
SPEAKERS: Final[tuple[int, ...]] = tuple(_SPEAKERS)
"""Features that are told, family by family: each speaks for itself and its kin."""
SPANS: Final[tuple[tuple[int, int], ...]] = tuple(_SPANS)
"""Per family, where its speakers begin and end."""
VOICE_OF: Final[tuple[int, ...]] = tuple(_VOICE_OF)
"""Per feature of the catalogue, the speaker that is told of it: a cut sums its contributions by them."""
