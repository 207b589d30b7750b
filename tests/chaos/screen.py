"""Live progress: a few lines that stay in place on a terminal, one line per event where it is piped."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tests.chaos.cluster import Cluster

EVENTS = 8
PLAIN_EVERY_S = 30.0


class Screen:
    """See the module. A context manager."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._told_s = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def tell(self, cluster: Cluster, words: str) -> None:
        """Show an event; without words, how things stand."""
        at_s = time.monotonic() - cluster.story.began_s
        if words:
            self._events.append(f"{at_s:7.1f} s  {words}")
        if self._console.is_terminal:
            self._live.update(self._picture(cluster, at_s))
        elif words or at_s - self._told_s > PLAIN_EVERY_S:
            self._told_s = at_s
            print(f"{at_s:7.1f} s  {words or self._standing(cluster)}", flush=True)

    def _picture(self, cluster: Cluster, at_s: float) -> Group:
        grid = Table.grid(padding=(0, 2))
        for name, member in cluster.members.items():
            state = "away" if member.pid is None else f"pid {member.pid}"
            grid.add_row(name, Text(state, style="green" if member.pid else "dim"), f"{member.starts} starts")
        head = Text(f"chaos: SEED={cluster.plan.seed}  {at_s:.0f} s  {self._standing(cluster)}", style="bold")
        return Group(head, grid, *(Text(line, no_wrap=True, overflow="ellipsis") for line in self._events))

    def _standing(self, cluster: Cluster) -> str:
        done, planned = len(cluster.story.faults), len(cluster.plan.faults)
        return (
            f"{done} of {planned} faults, {cluster.feeder.events:,} events of {cluster.feeder.days} days, "
            f"{cluster.watch.lag} portions wait, {len(cluster.story.exits)} exits, "
            f"{len(cluster.story.violations)} violations"
        )
