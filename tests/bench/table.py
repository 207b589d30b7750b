"""Results as a table, for whoever waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from tests.bench.results import Figures, ratio

_HEADINGS: Final = (
    "benchmark", "log", "candidate", "events", "events/s", "CPU µs/event", "peak MB", "ratio", "besides",
)  # fmt: skip
_WORDS: Final = ("benchmark", "log", "candidate", "besides")


def table_of(results: Sequence[Figures]) -> Table:
    """Every result in the order in which it came."""
    table = Table(title="Medians; ratios are against the first candidate on the same log", title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in _WORDS else "right", overflow="fold")
    before: tuple[str, str] | None = None
    for one in results:
        group = (one.benchmark, one.log)
        if before is not None and before != group:
            table.add_section()
        table.add_row(*(group if before != group else ("", "")), *cells(one, results))
        before = group
    return table


def cells(one: Figures, results: Sequence[Figures]) -> tuple[str, ...]:
    """The figures of one row, from the candidate's name on."""
    times = ratio(one, results)
    return (
        one.candidate,
        f"{one.events:,}",
        number(one.events_per_s),
        number(one.cpu_us_per_event),
        number(one.peak_mb),
        "" if times is None else f"{times:.2f}×",
        ", ".join(f"{name} {number(value)}" for name, value in one.more.items()),
    )


def number(value: float) -> str:
    """Three digits that count, none of them invented.

    Examples
    --------
    >>> [number(value) for value in (0, 0.0123, 4.567, 123.4, 45678.9)]
    ['–', '0.0123', '4.57', '123', '45,679']
    """
    if not value:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
