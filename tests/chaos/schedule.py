"""Which fault comes when, on whom: all from a seed, so the same seed is the same run of faults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

WORKERS: Final = ("worker-0", "worker-1")
"""Those that are always there; a guest comes and goes."""
GUEST: Final = "guest"
TRAINER: Final = "trainer"
SECOND_TRAINER: Final = "trainer-2"
BROKER: Final = "broker"


class Kind(StrEnum):
    """The faults."""

    KILLED = "worker killed (SIGKILL)"
    STOPPED = "worker stopped (SIGTERM)"
    FROZEN = "worker frozen past its session (SIGSTOP)"
    REASSIGNED = "worker joins or leaves"
    DISK_FULL = "disk full under a worker (RLIMIT_FSIZE)"
    STATE_LOST_RUNNING = "state folder deleted, worker running"
    STATE_LOST_STOPPED = "state folder deleted, worker killed"
    TRAINER_IN_CUT = "trainer killed in mid-cut"
    TWO_TRAINERS = "two trainers at once"
    BROKER_RESTARTED = "broker stopped and started"
    BROKER_KILLED = "broker killed and started"
    BROKER_AWAY = "broker away for long"


# Every kind comes once before any comes twice; then the ones that happen to people come more often.
_EACH: Final[tuple[Kind, ...]] = tuple(kind for kind in Kind if kind is not Kind.BROKER_AWAY)
_OFTEN: Final = (*_EACH, Kind.KILLED, Kind.KILLED, Kind.FROZEN, Kind.FROZEN, Kind.REASSIGNED, Kind.TRAINER_IN_CUT)

FIRST_AT_S: Final = 15.0
QUIET_END_S: Final = 20.0
LONG_RUN_MIN: Final = 30.0
LONG_AWAY_S: Final = 600.0
SPACING_S: Final = 28.5
SHORT_SPACING_S: Final = 13.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; ``at_s`` counts from the begin of the load, and it waits there for the one before to be over."""

    number: int
    at_s: float
    kind: Kind
    target: str
    seconds: float = 0.0
    """How long the broker is away, the worker frozen, the second trainer there."""
    variant: int = 0
    """Which of two ways, where there are two."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A run: how long the load lasts, and the faults in it."""

    seed: int
    load_s: float
    horizon_days: int
    """Of labels: short enough for a short run to see some."""
    faults: tuple[Fault, ...]


def schedule(seed: int, minutes: float, session_timeout_s: float) -> Schedule:
    """The faults of a seed.

    Parameters
    ----------
    minutes
        The whole run, with start and verdict.
    session_timeout_s
        Frozen workers are frozen for longer than this.

    Examples
    --------
    >>> one, again = schedule(7, 40, 10.0), schedule(7, 40, 10.0)
    >>> one == again, len(one.faults) >= 50
    (True, True)
    """
    if minutes < 3:
        raise ValueError("a run needs at least 3 minutes")
    dice = Random(f"chaos:{seed}")
    whole_s = minutes * 60.0
    load_s = whole_s - 60.0 - min(180.0, 0.1 * whole_s)
    away_s = LONG_AWAY_S if minutes >= LONG_RUN_MIN else round(0.15 * whole_s)
    spacing_s = SPACING_S if minutes >= LONG_RUN_MIN else SHORT_SPACING_S
    count = max(1, int((load_s - away_s - FIRST_AT_S - QUIET_END_S) // spacing_s))
    kinds = _deal(dice, count)
    away_after = dice.randrange(count // 3, max(count // 3 + 1, 2 * count // 3))
    faults: list[Fault] = []
    at_s = FIRST_AT_S
    for number, kind in enumerate([*kinds[:away_after], Kind.BROKER_AWAY, *kinds[away_after:]], start=1):
        seconds = away_s if kind is Kind.BROKER_AWAY else _seconds(dice, kind, session_timeout_s)
        faults.append(Fault(number, round(at_s, 1), kind, _target(dice, kind), seconds, dice.randrange(2)))
        at_s += spacing_s + (away_s if kind is Kind.BROKER_AWAY else 0.0)
    return Schedule(seed, load_s, 7 if minutes >= LONG_RUN_MIN else 1, tuple(faults))


def _deal(dice: Random, count: int) -> list[Kind]:
    kinds = list(_EACH)
    dice.shuffle(kinds)
    while len(kinds) < count:
        more = list(_OFTEN)
        dice.shuffle(more)
        kinds += more
    return kinds[:count]


def _target(dice: Random, kind: Kind) -> str:
    worker = dice.choice(WORKERS)  # thrown in any case: a kind more does not change all that follow
    if kind is Kind.REASSIGNED:
        return GUEST
    if kind in (Kind.TRAINER_IN_CUT, Kind.TWO_TRAINERS):
        return TRAINER
    if kind in (Kind.BROKER_RESTARTED, Kind.BROKER_KILLED, Kind.BROKER_AWAY):
        return BROKER
    return worker


def _seconds(dice: Random, kind: Kind, session_timeout_s: float) -> float:
    drawn = dice.random()
    if kind is Kind.FROZEN:
        return round(session_timeout_s + 2.0 + 4.0 * drawn, 1)
    if kind in (Kind.BROKER_RESTARTED, Kind.BROKER_KILLED):
        return round(4.0 * drawn, 1)
    if kind is Kind.TWO_TRAINERS:
        return round(12.0 + 10.0 * drawn, 1)
    return 0.0
