"""A policy proposed from a log: the shop's own rhythm and cut points instead of ours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final

import msgspec

from streams.core.errors import PolicyError
from streams.core.events import DAY_MS, MICRO, Event, Kind
from streams.core.policy import Policy

LEAST_CUSTOMERS: Final = 20


class History:
    """What a fit needs to know of one customer."""

    __slots__ = ("days", "last", "net", "orders")

    def __init__(self) -> None:
        self.days: set[int] = set()
        self.orders: set[str] = set()
        self.net = 0
        self.last = -1


class PolicyFit:
    """Gathers purchases, then proposes a policy.

    Parameters
    ----------
    base
        The policy whose other limits are kept.

    Example
    -------
    ``fit = PolicyFit(default); [fit.add(event) for event in events]; print(render_policy(fit.proposal("mine")))``
    """

    def __init__(self, base: Policy) -> None:
        self._base = base
        self._customers: dict[str, History] = {}
        self._newest = -1

    def add(self, event: Event) -> None:
        """Take in one clean event."""
        self._newest = max(self._newest, event.ts)
        if event.kind != Kind.PURCHASE or not event.lines:
            return
        limit = round(self._base.limits.line_value * MICRO)
        values = (0 if line.price is None else line.price * line.quantity for line in event.lines)
        net = sum(value for value in values if abs(value) <= limit)
        history = self._customers.get(event.user_id)
        if any(line.quantity > 0 for line in event.lines):
            if history is None:
                history = self._customers[event.user_id] = History()
            history.days.add(event.ts // DAY_MS)
            history.orders.add(event.order_key)
            history.last = max(history.last, event.ts)
        if history is not None:
            history.net += net

    @property
    def customers(self) -> int:
        """Users with an order so far."""
        return len(self._customers)

    def proposal(self, version: str) -> Policy:
        """The proposed policy.

        The shop's gap is the median over customers of their median gap between purchase days; R, F and M are cut at the
        quintiles of the customers as of the end of the log.

        Raises
        ------
        PolicyError
            Fewer than 20 customers, or none who came back.
        """
        histories = self._customers.values()
        gaps = [
            median(later - earlier for earlier, later in pairwise(sorted(history.days)))
            for history in histories
            if len(history.days) > 1
        ]
        if len(histories) < LEAST_CUSTOMERS or not gaps:
            raise PolicyError(
                f"The log has {len(histories)} customers, {len(gaps)} of whom came back; "
                f"a fit needs {LEAST_CUSTOMERS} and one.",
                "Give a longer log, or start from `ebbtide policy show`.",
            )
        recency = sorted((self._newest - history.last) // DAY_MS for history in histories)
        orders = sorted(len(history.orders) for history in histories)
        money = sorted(round(history.net / MICRO, 2) for history in histories)
        base = self._base
        return msgspec.structs.replace(
            base,
            version=version,
            gap=msgspec.structs.replace(base.gap, shop_days=round(float(median(gaps)), 1)),
            rfm=msgspec.structs.replace(
                base.rfm,
                recency_days=_ascending(_quintiles(recency), 1, 1),
                frequency_orders=_ascending(_quintiles(orders), 1, 2),
                monetary=_ascending(_quintiles(money), 1.0, 1.0),
            ),
        )


def _quintiles(ordered: Sequence[float]) -> list[float]:
    return [ordered[len(ordered) * fifth // 5] for fifth in (1, 2, 3, 4)]


def _ascending(cuts: Sequence[float], step: float, least: float) -> Any:
    """Cuts that ascend strictly, for quintiles that coincide."""
    ascending: list[float] = []
    for cut in cuts:
        floor = ascending[-1] + step if ascending else least
        ascending.append(max(cut, floor))
    return tuple(ascending)


def render_policy(policy: Policy) -> str:
    """A policy as TOML that :func:`streams.core.policy.parse_policy` reads back to an equal one."""
    document = msgspec.to_builtins(policy)
    lines = [f"version = {_value(document.pop('version'))}"]
    for section, entries in document.items():
        lines += ["", f"[{section}]"]
        for name, entry in entries.items():
            lines.append(f"{_value(name) if section == 'actions' else name} = {_value(entry)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return repr(value)
