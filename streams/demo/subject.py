"""What a demo is about: the simulated shop, whose truth is known, or somebody's own log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.core.errors import InputFileError
from streams.demo.shop import Shop
from streams.replay.files import open_log
from streams.settings import Settings

DAYS: Final = 180
USERS: Final = 2_000
HORIZON_DAYS: Final = 21
"""Of the simulated shop, whose customers order every 4 to 16 days: long enough to mean something, short enough that
labels come while one watches."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Where the records come from and how they are to be read."""

    title: str
    rows: int
    span: tuple[int, int]
    """From the first to the last event, or the end of the season; ms of event time."""
    horizon_days: int
    policy: Path | None
    feeding: tuple[str, ...]
    """What the interpreter is given to publish it."""
    shop: Shop | None = None
    """Its truth, where it is known."""


def simulated(seed: int, days: int = DAYS, users: int = USERS) -> Subject:
    """The simulated shop of a seed, read by the policy that Ebbtide ships."""
    shop = Shop(seed, days, users)
    season = shop.truth.season
    return Subject(
        title=f"a simulated shop of {users:,} people (seed {seed})",
        rows=shop.truth.records,
        span=(season.start, season.end),
        horizon_days=HORIZON_DAYS,
        policy=None,
        feeding=("-m", "streams.demo.feed", str(seed), str(days), str(users)),
        shop=shop,
    )


def own_logs(paths: Sequence[Path], settings: Settings, notify: Callable[[str], None], now_ms: int) -> Subject:
    """Somebody's event logs, read by their own policy and horizon.

    Parameters
    ----------
    settings
        Horizon and policy are taken from here.
    notify
        Is told what is unusual about a file.
    now_ms
        Events later than this do not count for where the logs end: the worker will refuse them.

    Raises
    ------
    InputFileError
        A file cannot be read, or none of its events has a time.
    """
    logs = [open_log(path, notify) for path in paths]
    instants = [
        record.ts_ms for log in logs for record in log.records() if record.ts_ms is not None and record.ts_ms <= now_ms
    ]
    names = ", ".join(path.name for path in paths)
    if not instants:
        raise InputFileError(f"{names} has no event with a time that has passed.", "The column ts must hold it.")
    return Subject(
        title=names,
        rows=sum(log.rows for log in logs),
        span=(min(instants), max(instants)),
        horizon_days=settings.horizon_days,
        policy=None if settings.policy is None else settings.policy.resolve(),
        feeding=("-m", "streams.cli", "publish", *(str(path.resolve()) for path in paths)),
    )
