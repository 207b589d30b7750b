"""Wording: figures and facts of a customer as people say them, in English, whatever the language of the shop."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

ONE: Final = "1"


def number(value: float) -> str:
    """A figure, no finer than it is of use.

    >>> number(1234.5), number(47.3), number(2.52), number(3.0), number(0.04)
    ('1,234', '47', '2.5', '3', '0.04')
    """
    size = abs(value)
    if size >= 9.95:
        return f"{value:,.0f}"
    if size >= 0.095:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.1g}" if size >= 0.001 else "0"


def money(value: float) -> str:
    """An amount, without a currency: the shop knows its own.

    >>> money(1234.5), money(85.0), money(12.4), money(0.0)
    ('1,234', '85', '12.40', 'nothing')
    """
    if abs(value) < 0.005:
        return "nothing"
    if abs(value) >= 99.995:
        return f"{value:,.0f}"
    return f"{value:.2f}".removesuffix(".00")


def share(value: float) -> str:
    """A part of a whole.

    >>> share(0.123), share(0.004), share(1.0), share(0.0)
    ('12%', '0.4%', '100%', 'nothing')
    """
    if value < 0.0005:
        return "nothing"
    return f"{value:.0%}" if value >= 0.00995 else f"{value:.1%}"


@lru_cache(maxsize=4096)
def counted(value: float, one: str, many: str) -> str:
    """A figure and what it counts. Cached: most are small whole numbers.

    >>> counted(1.0, "order", "orders"), counted(0.0, "order", "orders"), counted(2.5, "day", "days")
    ('1 order', 'no orders', '2.5 days')
    """
    figure = number(value)
    return f"no {many}" if figure == "0" else f"{figure} {one if figure == ONE else many}"


def days(value: float) -> str:
    """A span of days, in hours where it is less than one.

    >>> days(47.2), days(1.0), days(2.5), days(0.5), days(0.02)
    ('47 days', '1 day', '2.5 days', '12 hours', 'less than an hour')
    """
    if value >= 0.98:
        return counted(value, "day", "days")
    hours = round(value * 24.0)
    if hours == 0:
        return "less than an hour"
    return f"{hours} hour" if hours == 1 else f"{hours} hours"


def ago(value: float) -> str:
    """How long ago something was, in whole days from two on.

    >>> ago(8.3), ago(1.6), ago(0.01)
    ('8 days ago', '1.6 days ago', 'less than an hour ago')
    """
    return f"{days(float(round(value)) if value >= 1.95 else value)} ago"


def every(value: float) -> str:
    """How often, by the days between two times.

    >>> every(12.0), every(1.0), every(0.0)
    ('every 12 days', 'every day', 'every day')
    """
    span = days(max(value, 1.0))
    return "every day" if span == "1 day" else f"every {span}"
