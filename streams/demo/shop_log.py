"""The simulated shop as an event log, for the publisher and for backfill."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from streams import codec
from streams.core.errors import OutputFolderError
from streams.core.events import Kind
from streams.demo.shop import Arrival, Shop
from streams.replay.records import Fault, RawRecord

_EVENT_TYPES: Final = {int(Kind.CLICK): "click", int(Kind.SEARCH): "search", int(Kind.PURCHASE): "purchase"}


class ShopLog:
    """An :class:`~streams.replay.records.EventLog` of a shop, in the order of arrival: late records stay late.

    >>> log = ShopLog(Shop(seed=7, days=60, users=40))
    >>> next(log.records()).row
    0
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.path = Path("simulated shop")
        self.digest = hashlib.sha256(shop.name.encode()).hexdigest()
        self.rows = shop.truth.records
        self.in_order = True
        self.extra_columns: tuple[str, ...] = ()

    def records(self) -> Iterator[RawRecord]:
        """Every record; one that is no JSON has the fault ``not_json``."""
        for row, arrival in enumerate(self._shop.arrivals()):
            if isinstance(arrival.raw, bytes):
                yield RawRecord(row, None, None, arrival.raw, Fault("not_json", "cut off on the way"))
            else:
                yield RawRecord(row, arrival.kind, arrival.ts, _typed(arrival), None)


def write_log(shop: Shop, path: Path) -> None:
    """Write the shop's records as JSON lines, in the order of arrival (a reader will sort the late ones in).

    Raises
    ------
    OutputFolderError
        The file cannot be written.
    """
    try:
        with path.open("wb") as file:
            for arrival in shop.arrivals():
                if isinstance(arrival.raw, bytes):
                    file.write(arrival.raw + b"\n")
                else:
                    file.write(codec.encode(_typed(arrival), newline=True))
    except OSError as error:
        raise OutputFolderError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from error


def _typed(arrival: Arrival) -> dict[str, Any]:
    assert isinstance(arrival.raw, dict)
    return {"event_type": _EVENT_TYPES[arrival.kind], **arrival.raw}
