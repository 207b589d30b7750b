"""Sparse tiles: one row per active day (a year back) and per active hour (a day back), and sums over them.

A window of n days at an instant is the calendar day (UTC) of that instant and the n - 1 before it; 24 h is the hour and
the 23 before it. So sums are exact at tile resolution and a tile leaves a window at a midnight.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from streams.core.events import DAY_MS, HOUR_MS
from streams.core.state import AMOUNT, CARTS, CLICKS, DAY, ORDERS, SEARCHES, State

YEAR_DAYS: Final = 365
WINDOW_DAYS: Final = (7, 30, 90, YEAR_DAYS)


class Sums(NamedTuple):
    """What happened in one window. ``amount`` is net, in millionths; ``days`` counts days with an order."""

    clicks: int
    searches: int
    carts: int
    orders: int
    amount: int
    days: int


def roll(state: State, instant: int) -> None:
    """Let go of tiles that have left the year and the day, keeping the year's running sums right."""
    oldest_day = instant // DAY_MS - YEAR_DAYS
    days = state.days
    while days and days[0][DAY] <= oldest_day:
        gone = days.pop(0)
        state.orders_365d -= gone[ORDERS]
        state.amount_365d -= gone[AMOUNT]
    oldest_hour = instant // HOUR_MS - 24
    hours = state.hours
    while hours and hours[0][DAY] <= oldest_hour:
        hours.pop(0)


def tile(tiles: list[list[int]], number: int) -> list[int]:
    """The tile of a day or hour, made in its place if it is not there."""
    if tiles and tiles[-1][DAY] == number:
        return tiles[-1]
    fresh = [number, 0, 0, 0, 0, 0]
    at = len(tiles)
    while at and tiles[at - 1][DAY] >= number:
        at -= 1
        if tiles[at][DAY] == number:
            return tiles[at]
    tiles.insert(at, fresh)
    return fresh


def add(state: State, instant: int, column: int, by: int) -> None:
    """Count something at an instant in its day and hour, if those are still held."""
    day = instant // DAY_MS
    if day > state.through // DAY_MS - YEAR_DAYS:
        tile(state.days, day)[column] += by
        if column == ORDERS:
            state.orders_365d += by
        elif column == AMOUNT:
            state.amount_365d += by
    hour = instant // HOUR_MS
    if hour > state.through // HOUR_MS - 24:
        tile(state.hours, hour)[column] += by


def window(state: State, instant: int, days: int) -> Sums:
    """Sums over the last ``days`` calendar days as of an instant (at or after everything folded)."""
    oldest = instant // DAY_MS - days
    clicks = searches = carts = orders = amount = order_days = 0
    for row in reversed(state.days):
        if row[DAY] <= oldest:
            break
        clicks += row[CLICKS]
        searches += row[SEARCHES]
        carts += row[CARTS]
        orders += row[ORDERS]
        amount += row[AMOUNT]
        order_days += row[ORDERS] > 0
    return Sums(clicks, searches, carts, orders, amount, order_days)


def last_hours(state: State, instant: int) -> Sums:
    """Sums over the last 24 h as of an instant."""
    oldest = instant // HOUR_MS - 24
    clicks = searches = carts = orders = amount = 0
    for row in state.hours:
        if row[DAY] > oldest:
            clicks += row[CLICKS]
            searches += row[SEARCHES]
            carts += row[CARTS]
            orders += row[ORDERS]
            amount += row[AMOUNT]
    return Sums(clicks, searches, carts, orders, amount, int(orders > 0))
